"""Training material: recordings of single voices, packed into one small file.

A pack is a ZIP archive (stored, not deflated) of Ogg Opus files, one for each utterance, and
`index.json`, which says whose voice each one is. Five hours of speech take about 50 MB, so a
training run can move to another machine with its material.
"""

import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from vsat.errors import AudioError

PACK_RATE = 16_000  # Hz; also a rate that Opus takes as it is
OPUS_LEVEL = 0.932  # libsndfile's compression level; 0.932 is about 23 kbit/s for one channel


@dataclass(frozen=True)
class Utterance:
    """One recording of one voice, before it is packed.

    Attributes:
        path: an audio file, mono or to be mixed down.
        corpus: the collection that it came from; sets how often it is drawn.
        speaker: whose voice it is, unique within the corpus.
    """

    path: Path
    corpus: str
    speaker: str


@dataclass(frozen=True)
class Voice:
    """All utterances of one speaker, in memory.

    Attributes:
        corpus: the collection that it came from.
        speaker: the speaker's name within the corpus.
        utterances: int16 arrays (samples,) at `PACK_RATE`.
    """

    corpus: str
    speaker: str
    utterances: tuple[np.ndarray, ...]

    @property
    def seconds(self) -> float:
        """How much of this voice there is."""
        return sum(map(len, self.utterances)) / PACK_RATE


@dataclass(frozen=True)
class _Entry:
    name: str
    corpus: str
    speaker: str
    seconds: float


def write_pack(utterances: Iterable[Utterance], target: Path) -> int:
    """Encode the utterances as Opus and write them to `target`; return their number.

    Raises:
        AudioError: a recording can't be read.
    """
    entries: list[_Entry] = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for number, utterance in enumerate(utterances):
            samples = _read_mono(utterance.path)
            encoded = io.BytesIO()
            soundfile.write(
                encoded,
                samples,
                PACK_RATE,
                format="OGG",
                subtype="OPUS",
                compression_level=OPUS_LEVEL,
            )
            name = f"{number:05d}.opus"
            archive.writestr(name, encoded.getvalue())
            seconds = round(len(samples) / PACK_RATE, 3)
            entries.append(_Entry(name, utterance.corpus, utterance.speaker, seconds))
        archive.writestr("index.json", json.dumps([asdict(entry) for entry in entries], indent=0))
    return len(entries)


def read_pack(source: Path) -> list[Voice]:
    """Decode a pack into memory: about 115 MB for an hour of speech."""
    by_speaker: dict[tuple[str, str], list[np.ndarray]] = {}
    with zipfile.ZipFile(source) as archive:
        for entry in json.loads(archive.read("index.json")):
            encoded = io.BytesIO(archive.read(entry["name"]))
            samples, rate = soundfile.read(encoded, dtype="int16")
            if rate != PACK_RATE:
                raise AudioError(
                    f"{entry['name']} in {source} has {rate} Hz, not {PACK_RATE} Hz.",
                    hint="Make the pack again with `make pack`.",
                )
            by_speaker.setdefault((entry["corpus"], entry["speaker"]), []).append(samples)
    return [
        Voice(corpus, speaker, tuple(utterances))
        for (corpus, speaker), utterances in sorted(by_speaker.items())
    ]


def _read_mono(path: Path) -> np.ndarray:
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise AudioError(f"{path} can't be read as audio: {error}.") from error
    mono = samples.mean(axis=1)  # (samples,)
    return mono if rate == PACK_RATE else soxr.resample(mono, rate, PACK_RATE)


def hours(voices: Sequence[Voice]) -> float:
    """How many hours of speech the voices hold together."""
    return sum(voice.seconds for voice in voices) / 3600


def corpora(voices: Sequence[Voice]) -> Iterator[str]:
    """The names of the corpora that the voices come from, each once, sorted."""
    yield from sorted({voice.corpus for voice in voices})
