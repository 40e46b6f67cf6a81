"""What a model is judged on: a recording, the voices in it where they are known, and a digest."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vsat.audio.io import open_recording, read_blocks
from vsat.audio.resample import resample
from vsat.errors import AudioError
from vsat.files import sha256_of

MAX_LENGTH_DIFFERENCE = 0.05  # s; encoders pad that much, more means another recording
PEAK = 0.9  # that a mixture made of single voices is kept below


@dataclass(frozen=True)
class Part:
    """A single voice that a mixture is made with.

    Attributes:
        path: of the recording.
        start_s: where it is cut from.
        gain_db: after it was brought to the level of the others.
    """

    path: Path
    start_s: float
    gain_db: float


@dataclass(frozen=True)
class Example:
    """A recording with or without references, or single voices to be mixed.

    Attributes:
        name: unique in its test set.
        mixture: the recording; None where it is made of `parts`.
        references: a recording of each voice in it, or nothing where they are not known.
        parts: single voices that are mixed, each of which is then a reference.
        length_s: how much of the parts is mixed.
    """

    name: str
    mixture: Path | None
    references: tuple[Path, ...] = ()
    parts: tuple[Part, ...] = ()
    length_s: float = 0.0

    @property
    def has_references(self) -> bool:
        """Whether the voices in it are known."""
        return bool(self.references or self.parts)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file that it is made of."""
        own = (self.mixture,) if self.mixture else ()
        return (*own, *self.references, *(part.path for part in self.parts))

    def digest(self) -> str:
        """SHA-256 over what is heard: the files' contents, and how they are put together.

        Raises:
            StorageError: a file can't be read.
        """
        content = hashlib.sha256()
        for path in self.paths:
            content.update(bytes.fromhex(sha256_of(path)))
        for part in self.parts:
            content.update(f"{part.start_s:.6f} {part.gain_db:.6f} {self.length_s:.6f};".encode())
        return content.hexdigest()


@dataclass(frozen=True)
class Audio:
    """An example in memory.

    Attributes:
        mixture: (samples,) float32.
        references: (sources, samples) float32; None where they are not known.
        sample_rate: in Hz.
        notes: what was adjusted so that all fit, as full sentences.
    """

    mixture: np.ndarray
    references: np.ndarray | None
    sample_rate: int
    notes: tuple[str, ...] = field(default=())


def load(example: Example) -> Audio:
    """Read an example, or mix it.

    References of another rate are resampled to that of the mixture, and what an encoder added at
    their end is cut off; both are noted. More difference than that is an error.

    Raises:
        AudioError: a file can't be read, or the references don't belong to the mixture.
    """
    if example.parts:
        return _mixed(example)
    assert example.mixture
    mixture, sample_rate = read(example.mixture)
    if not example.references:
        return Audio(mixture, None, sample_rate)
    notes: list[str] = []
    voices = [_fitted(path, mixture, sample_rate, notes) for path in example.references]
    return Audio(mixture, np.stack(voices), sample_rate, tuple(notes))


def read(path: Path) -> tuple[np.ndarray, int]:
    """A recording as one channel, (samples,) float32, with its rate in Hz.

    Raises:
        AudioError: it can't be read, or has no samples.
    """
    sample_rate = open_recording(path).sample_rate
    blocks = list(read_blocks(path))
    if not blocks:
        raise AudioError(f"{path} has no samples.", hint="Check that the recording was saved.")
    return np.nan_to_num(np.concatenate(blocks), posinf=0.0, neginf=0.0), sample_rate


def _fitted(path: Path, mixture: np.ndarray, sample_rate: int, notes: list[str]) -> np.ndarray:
    """A reference with the rate and the length of its mixture."""
    voice, rate = read(path)
    if rate != sample_rate:
        voice = resample(voice, rate, sample_rate)
        notes.append(f"{path.name} was resampled from {rate} to {sample_rate} Hz.")
    surplus = len(voice) - len(mixture)
    if abs(surplus) > MAX_LENGTH_DIFFERENCE * sample_rate:
        raise AudioError(
            f"{path} is {abs(surplus) / sample_rate:.2f} s {'longer' if surplus > 0 else 'shorter'}"
            " than its mixture.",
            hint="References begin and end with their mixture; cut or pad them.",
        )
    if surplus:
        notes.append(f"{path.name} was brought to the length of its mixture.")
    return np.pad(voice[: len(mixture)], (0, max(0, -surplus)))


def _mixed(example: Example) -> Audio:
    sample_rate = max(open_recording(part.path).sample_rate for part in example.parts)
    n_samples = round(example.length_s * sample_rate)
    voices = np.stack([_cut(part, n_samples, sample_rate) for part in example.parts])
    peak = float(np.abs(voices.sum(axis=0)).max())
    if peak > PEAK:
        voices *= PEAK / peak
    return Audio(voices.sum(axis=0), voices, sample_rate)


def _cut(part: Part, n_samples: int, sample_rate: int) -> np.ndarray:
    """A stretch of a single voice at the level that it has in the mixture."""
    voice, rate = read(part.path)
    voice = resample(voice, rate, sample_rate)
    start = round(part.start_s * sample_rate)
    stretch = np.pad(voice[start : start + n_samples], (0, n_samples))[:n_samples]
    level = float(np.sqrt(np.mean(np.square(stretch, dtype=np.float64))))
    if level < 1e-5:
        raise AudioError(
            f"{part.path} is silent from {part.start_s:.1f} s on.",
            hint="Leave it out of the folder of single voices.",
        )
    gain = 0.05 / level * 10 ** (part.gain_db / 20)
    return (stretch * gain).astype(np.float32)
