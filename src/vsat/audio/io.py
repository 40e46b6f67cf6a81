"""Reading and writing recordings as streams, through libsndfile."""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import soundfile

from vsat.errors import AudioError
from vsat.files import map_os_errors, staging_name, sync_directory, sync_file

MIN_RATE = 1_000  # Hz; below that nothing of a voice is left
MAX_RATE = 768_000  # Hz; the fastest converters made
BLOCK_BYTES = 8 << 20  # read at once, whatever the number of channels


@dataclass(frozen=True)
class Recording:
    """What the header of an audio file says.

    Attributes:
        path: the file.
        sample_rate: in Hz.
        channels: number of channels.
        n_samples: of each channel, as the header says; what is read may be less.
    """

    path: Path
    sample_rate: int
    channels: int
    n_samples: int

    @property
    def seconds(self) -> float:
        """Length, as the header says."""
        return self.n_samples / self.sample_rate


def open_recording(path: Path) -> Recording:
    """Read the header of an audio file.

    Raises:
        AudioError: it can't be read, is no audio, is empty, or has an impossible rate.
    """
    with _opened(path) as file:
        recording = Recording(path, file.samplerate, file.channels, file.frames)
    check_rate(recording.sample_rate, str(path))
    if recording.n_samples == 0:
        raise AudioError(f"{path} has no samples.", hint="Check that the recording was saved.")
    return recording


def check_rate(sample_rate: int, what: str) -> None:
    """Refuse a sample rate at which there is no voice.

    Raises:
        AudioError: it is outside `MIN_RATE` to `MAX_RATE`.
    """
    if not MIN_RATE <= sample_rate <= MAX_RATE:
        raise AudioError(
            f"{what} has a sample rate of {sample_rate} Hz.",
            hint=f"Rates from {MIN_RATE} to {MAX_RATE} Hz can be separated.",
        )


def read_blocks(path: Path) -> Iterator[np.ndarray]:
    """The channels' mean as a stream of blocks of a few MB of input each.

    Yields:
        float32 arrays (samples,), nominally within [-1, 1]. NaN and infinities pass through.

    Raises:
        AudioError: the file can't be read any further.
    """
    with _opened(path) as file:
        count = max(1, BLOCK_BYTES // (4 * file.channels))
        while True:
            block = _read(file, count, path)
            if not len(block):
                return
            yield block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)  # (T,)


def _read(file: soundfile.SoundFile, count: int, path: Path) -> np.ndarray:
    try:
        return np.asarray(file.read(count, dtype="float32", always_2d=True))  # (T, C)
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"{path} is damaged: {error.error_string}",
            hint="Convert it again from its source, for example to WAV.",
        ) from error


def _opened(path: Path) -> soundfile.SoundFile:
    _check_readable(path)
    try:
        return soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        if path.stat().st_size == 0:
            raise AudioError(f"{path} is empty.", hint="Check that it was saved.") from error
        raise AudioError(
            f"{path} is not audio that can be read: {error.error_string}",
            hint="WAV, FLAC, Ogg, Opus, MP3 and AIFF can; convert others, for example with ffmpeg.",
        ) from error
    except TypeError as error:  # a name such as x.raw, for which soundfile wants a rate
        raise AudioError(
            f"{path} has no header, so its rate is unknown.", hint="Convert it to WAV."
        ) from error


def _check_readable(path: Path) -> None:
    if not path.exists():
        raise AudioError(f"There is no file {path}.", hint="Check the path.")
    if not path.is_file():
        raise AudioError(f"{path} is not a file.", hint="Name an audio file.")
    if not os.access(path, os.R_OK):
        raise AudioError(f"{path} can't be read.", hint="Check its permissions.")


class VoiceWriter:
    """Writes one voice each into WAV files that get their names only when all are whole.

    Use it as a context manager; leaving it with an error removes everything.

    Args:
        paths: final names.
        sample_rate: in Hz.

    Raises:
        StorageError: the place can't be written to, or is full.
    """

    def __init__(self, paths: tuple[Path, ...], sample_rate: int) -> None:
        self.paths = paths
        self._staged = [staging_name(path) for path in paths]
        self._rate = sample_rate
        self._files: list[soundfile.SoundFile] = []

    def __enter__(self) -> "VoiceWriter":
        folder = self.paths[0].parent
        with map_os_errors(f"writing to {folder}"):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                for staged in self._staged:
                    self._files.append(self._create(staged))
            except BaseException:
                self._discard()
                raise
        return self

    def _create(self, staged: Path) -> soundfile.SoundFile:
        staged.touch()  # gives the system's own error where libsndfile says "System error"
        # RF64 holds more than 4 GB and is written as plain WAV while it is smaller.
        return soundfile.SoundFile(staged, "w", self._rate, 1, "FLOAT", format="RF64")

    def write(self, voices: np.ndarray) -> None:
        """Append to every voice.

        Shape:
            (sources, samples), float32.

        Raises:
            StorageError: the disk is full.
        """
        with map_os_errors(f"writing to {self.paths[0].parent}"):
            for file, voice in zip(self._files, voices, strict=True):
                try:
                    file.write(voice)
                except soundfile.LibsndfileError as error:
                    raise OSError(
                        errno.ENOSPC, f"The disk is full ({error.error_string})"
                    ) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._discard()
            return
        try:
            with map_os_errors(f"writing to {self.paths[0].parent}"):
                self._commit()
        except BaseException:
            self._discard()
            raise

    def _commit(self) -> None:
        for file in self._files:
            file.close()
        for staged in self._staged:
            sync_file(staged)
        for staged, path in zip(self._staged, self.paths, strict=True):
            os.replace(staged, path)
        sync_directory(self.paths[0].parent)

    def _discard(self) -> None:
        for file in self._files:
            file.close()
        for staged in self._staged:
            staged.unlink(missing_ok=True)
