"""Makes a report of two versions on synthesised conversations, and the picture of it in the docs.

The voices come from flite and espeak-ng, so all of it may be shared and made again by anyone. The
candidate is the model that ships. The baseline stands for an earlier version of it: its voices with
a quarter of the mixture left in.

    apt-get install chromium espeak-ng flite
    python examples/make_report.py report.html --picture docs/pictures/report.png
"""

import argparse
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from vsat import VoiceSeparator
from vsat.evaluation.differences import compare
from vsat.metrics import (
    best_permutation,
    pairwise_si_sdr_db,
    si_sdr_db,
    si_sdr_improvement_db,
)
from vsat.report import Comparison, Difference, Report, ReportFile, write_report

SAMPLE_RATE = 16_000  # Hz
VOICE_LEVEL_DB = -26.0  # RMS of each voice against full scale
LEFT_IN = 0.25  # share of the mixture in the voices of the baseline
BASELINE, CANDIDATE = "voice_separator@1", "voice_separator@2"
DECIDES = "si_sdri_db"

VOICES = {
    "slt": ["flite", "-voice", "slt", "-t"],
    "rms": ["flite", "-voice", "rms", "-t"],
    "awb": ["flite", "-voice", "awb", "-t"],
    "man": ["espeak-ng", "-v", "en-us+m3", "-s170", "-p28"],
    "woman": ["espeak-ng", "-v", "en-gb+f3", "-s165", "-p62"],
}
CONVERSATIONS = {  # file: (first voice, second voice, what they say)
    "monday breakfast.wav": (
        "slt", "man",
        "I put the recorder in the middle of the table, so we should both be on it.",
        "That is fine, but nobody will know who said what when we talk together.",
    ),
    "phone call.wav": (
        "woman", "rms",
        "Could you read the number to me once more, please, and a little slower this time?",
        "Of course. It begins with a seven, then there are two zeros, and a four.",
    ),
    "in the car.wav": (
        "awb", "slt",
        "We take the second road on the left, and then it is straight on for a mile.",
        "The map says that the bridge is closed, so we had better turn around here.",
    ),
    "interview 1.wav": (
        "man", "woman",
        "What was the first thing you noticed when you came into the room that evening?",
        "It was quiet, and all the windows stood open, although it rained outside.",
    ),
    "interview 2.wav": (
        "rms", "slt",
        "Tell me how the two of you began to work on this, and who had the idea.",
        "It was my brother who asked for it, because he could not follow our talks.",
    ),
    "workshop.wav": (
        "rms", "man",
        "Hold the board on that side, and I will mark the place where we have to cut.",
        "Wait a moment, this end is not level yet, and the clamp has come loose again.",
    ),
}  # fmt: skip


def main() -> None:
    """Write the report, and the picture where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path)
    parser.add_argument("--picture", type=Path, help="a screenshot of the page as PNG")
    arguments = parser.parse_args()
    files = list(separated())
    scores = {file.name: scores_of(file) for file in files}
    report = Report(
        title="Is version 2 better on my recordings?",
        test_set="conversations",
        versions=(BASELINE, CANDIDATE),
        scores=scores,
        comparisons=(compared(scores),),
        facts={"Voices": "flite and espeak-ng", "Engine": "OpenVINO, f32"},
    )
    write_report(arguments.report, report, files)
    if arguments.picture:
        take_picture(arguments.report, arguments.picture)


def speak(voice: str, words: str) -> np.ndarray:
    """Synthesise some words at `SAMPLE_RATE` and `VOICE_LEVEL_DB`; float32 (samples,)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "words.wav"
        program, *options = VOICES[voice]
        to_file = [words, "-o", str(path)] if program == "flite" else ["-w", str(path), words]
        subprocess.run([program, *options, *to_file], check=True)
        samples, rate = soundfile.read(path, dtype="float32")
    samples = soxr.resample(samples, rate, SAMPLE_RATE)
    return samples * 10 ** (VOICE_LEVEL_DB / 20) / np.sqrt(np.mean(samples**2))


def separated() -> Iterator[ReportFile]:
    """Each conversation with its voices, as both versions give them."""
    separator = VoiceSeparator(precision="f32")
    for name, (first, second, *words) in CONVERSATIONS.items():
        spoken = [speak(first, words[0]), speak(second, words[1])]
        length = max(map(len, spoken))
        references = np.stack([np.pad(one, (0, length - len(one))) for one in spoken])
        references[1] = np.roll(references[1], length - len(spoken[1]))  # it ends last
        mixture = references.sum(axis=0)
        estimates = separator.separate_voices(mixture, SAMPLE_RATE)
        estimates = estimates[list(best_permutation(pairwise_si_sdr_db(estimates, references)))]
        earlier = (1 - LEFT_IN) * estimates + LEFT_IN * mixture
        yield ReportFile(
            name, mixture, SAMPLE_RATE, {BASELINE: earlier, CANDIDATE: estimates}, references
        )


def scores_of(file: ReportFile) -> dict[str, dict[str, float]]:
    """Scores of both versions in one file."""
    assert file.references is not None
    return {
        label: {
            DECIDES: si_sdr_improvement_db(estimates, file.references, file.mixture),
            "si_sdr_db": float(np.mean(list(map(si_sdr_db, estimates, file.references)))),
        }
        for label, estimates in file.estimates.items()
    }


def compared(scores: dict[str, dict[str, dict[str, float]]]) -> Comparison:
    """The paired differences and the verdict, as `vsat compare` finds them."""
    measures = (DECIDES, "si_sdr_db")
    columns = {
        (label, measure): [one[label][measure] for one in scores.values()]
        for label in (BASELINE, CANDIDATE)
        for measure in measures
    }
    found = [compare(key, columns[CANDIDATE, key], columns[BASELINE, key]) for key in measures]
    text = found[0].sentence(CANDIDATE, BASELINE, " dB")
    differences = tuple(
        Difference(one.measure, one.mean, one.low, one.high, one.win_rate, one.n_files)
        for one in found
    )
    return Comparison(BASELINE, CANDIDATE, DECIDES, found[0].verdict.value, text, differences)


def take_picture(report: Path, picture: Path) -> None:
    """Keep what Chromium shows of the report, with its last recording open."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport={"width": 1180, "height": 900})
        page.goto(report.resolve().as_uri())
        page.keyboard.press("k")
        page.wait_for_selector(".stage[data-drawn]")
        for key in ("4", "ArrowRight", "ArrowRight"):
            page.keyboard.press(key)
        page.evaluate("document.activeElement.blur()")
        page.screenshot(path=picture, full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
