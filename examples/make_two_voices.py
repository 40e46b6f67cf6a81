"""Makes two_voices.flac: two synthesised voices in an overlapping conversation.

The voices come from flite ("slt", a woman) and espeak-ng ("en-us", a man), so the recording may be
shared and made again by anyone:

    apt-get install espeak-ng flite
    python examples/make_two_voices.py
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr

SAMPLE_RATE = 16_000  # Hz; the rate that the packaged model works at
DURATION_S = 11.0
VOICE_LEVEL_DB = -26.0  # RMS of each utterance against full scale: two of them never clip
LEAD_DB = 1.5  # the second voice is a little louder, as people are who fall into a word

# (voice, begin in seconds, words): the second voice begins before the first one has ended
CONVERSATION = [
    ("flite", 0.3, "I put the recorder in the middle of the table, so we should both be on it."),
    ("espeak", 2.5, "That is fine, but nobody will know who said what when we talk together."),
    ("flite", 5.5, "They will. The separator gives each of us a recording of our own."),
    ("espeak", 7.2, "Then let me interrupt you one more time, just to be sure."),
]


def speak(voice: str, words: str, target: Path) -> None:
    """Synthesise some words to a WAV file."""
    commands = {
        "flite": ["flite", "-voice", "slt", "-t", words, "-o", str(target)],
        "espeak": ["espeak-ng", "-v", "en-us+m3", "-s175", "-p28", "-w", str(target), words],
    }
    subprocess.run(commands[voice], check=True)


def utterance(voice: str, words: str) -> np.ndarray:
    """Synthesise some words at `SAMPLE_RATE` and at the voice's level; float64 (samples,)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "words.wav"
        speak(voice, words, path)
        samples, rate = soundfile.read(path, dtype="float64")
    samples = soxr.resample(samples, rate, SAMPLE_RATE)
    level_db = VOICE_LEVEL_DB + (LEAD_DB if voice == "espeak" else 0.0)
    return samples * 10 ** (level_db / 20) / np.sqrt(np.mean(samples**2))


def make_references() -> np.ndarray:
    """Return each voice on its own; float64 (sources, samples)."""
    references = np.zeros((2, round(DURATION_S * SAMPLE_RATE)))
    for voice, begin_s, words in CONVERSATION:
        samples = utterance(voice, words)
        begin = round(begin_s * SAMPLE_RATE)
        end = begin + len(samples)
        if end > references.shape[1]:
            raise SystemExit(f"DURATION_S is {end / SAMPLE_RATE:.1f} at least: {words}")
        references[0 if voice == "flite" else 1, begin:end] += samples
    return references


def main() -> None:
    """Write the mixture, and the references where they are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).resolve().parent
    parser.add_argument("-o", "--output", type=Path, default=here / "two_voices.flac")
    parser.add_argument("--references", type=Path, help="folder for each voice on its own")
    arguments = parser.parse_args()
    references = make_references()
    soundfile.write(arguments.output, references.sum(axis=0), SAMPLE_RATE, subtype="PCM_16")
    if arguments.references:
        arguments.references.mkdir(parents=True, exist_ok=True)
        for number, reference in enumerate(references, start=1):
            path = arguments.references / f"reference{number}.flac"
            soundfile.write(path, reference, SAMPLE_RATE, subtype="PCM_16")


if __name__ == "__main__":
    main()
