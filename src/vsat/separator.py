"""Separates recordings with a version from the registry, as arrays or as files of any length."""

import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vsat.audio.chunks import Stitcher, windows
from vsat.audio.io import VoiceWriter, check_rate, open_recording, read_blocks
from vsat.audio.resample import exactly, resample_stream
from vsat.engines import Engine, open_engine
from vsat.engines.precision import agreement_db, choose_precision
from vsat.errors import AudioError, UsageError
from vsat.progress import Progress, silent
from vsat.registry import DEFAULT_MODEL_ID, ModelRegistry

WINDOW_S = 12.0  # what the model sees at once: long enough to know who is who
OVERLAP_S = 3.0  # of two windows: usually holds speech by which to tell the voices
LEVEL_DBFS = -25.0  # RMS that a recording is brought to before the model: what it was trained on
MIN_RMS = 1e-6  # -120 dBFS; below that a recording is silence and is not brought to any level
MAX_GAIN = 1e4
MAX_ARRAY_CHANNELS = 64  # more "channels" than that mean that the axes were exchanged


@dataclass(frozen=True)
class SeparationResult:
    """What was made of one recording.

    Attributes:
        mixture_path: the recording.
        paths: a file for each voice.
        sample_rate: of the files, that of the recording, in Hz.
        seconds: length of the recording.
        elapsed_s: time that it took, without loading the model.
        model: id and version, as "id@version".
        engine: that ran the model.
        precision: of its arithmetic.
        warnings: what the person should know of the result.
    """

    mixture_path: Path
    paths: tuple[Path, ...]
    sample_rate: int
    seconds: float
    elapsed_s: float
    model: str
    engine: str
    precision: str
    warnings: tuple[str, ...]

    @property
    def real_time_factor(self) -> float:
        """Seconds of work for a second of audio."""
        return self.elapsed_s / self.seconds


class VoiceSeparator:
    """A version of a model, loaded and ready.

    Args:
        model_id: "id", for its current version, or "id@version".
        version: instead of "@version".
        registry: where the model is; None for the default one.
        engine: "auto", "openvino", "onnxruntime" or "torch".
        precision: "auto", "f32" or "bf16". "auto" takes bf16 where the processor has it and this
            version measured at least 40 dB of agreement with its own f32 output on this machine.
        threads: at most so many; None for all cores.

    Raises:
        ModelNotFoundError: no such model or version; it is a `KeyError` too.
        BundleError: its files are damaged or missing.
        EngineError: it can't be loaded.

    Example:
        >>> import numpy as np, vsat
        >>> separator = vsat.VoiceSeparator()
        >>> mixture = np.random.default_rng(0).normal(0, 0.05, 16_000).astype("float32")
        >>> separator.separate_voices(mixture, sample_rate=16_000).shape
        (2, 16000)
    """

    def __init__(
        self,
        model_id: str = DEFAULT_MODEL_ID,
        *,
        version: int | None = None,
        registry: ModelRegistry | None = None,
        engine: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
    ) -> None:
        registry = registry or ModelRegistry()
        record = registry.resolve(model_id, version)
        bundle = registry.get_bundle(record.model_id, record.version)
        manifest = bundle.manifest
        if manifest.sample_rate is None or manifest.sources is None:
            raise UsageError(
                f"{record.model_id}@{record.version} is kept for another task and can't separate.",
                hint="Choose one that `vsat models` lists with the task separation.",
            )
        self.model = f"{record.model_id}@{record.version}"
        self.sample_rate, self.sources = manifest.sample_rate, manifest.sources

        def measured() -> float:
            known = registry.measurement(record.digest, "bf16_agreement_db")
            if known is None:
                known = agreement_db(bundle, threads)
                registry.keep_measurement(record.digest, "bf16_agreement_db", known)
            return known

        chosen = choose_precision(engine, precision, measured)
        self._engine: Engine = open_engine(bundle, engine, chosen, threads)
        self._engine.expect(round(WINDOW_S * self.sample_rate))

    @property
    def engine(self) -> str:
        """The name of the engine that runs the model."""
        return self._engine.name

    @property
    def precision(self) -> str:
        """The precision of the engine's arithmetic."""
        return self._engine.precision

    def close(self) -> None:
        """Give back what the model holds."""
        self._engine.close()

    def separate_voices(self, audio_data: np.ndarray, sample_rate: int | None = None) -> np.ndarray:
        """Separate a recording that is in memory.

        Silence gives silence. NaN and infinite samples count as silence, with a warning.

        Args:
            audio_data: floating point, nominally within [-1, 1]; channels are mixed down.
            sample_rate: of it, in Hz; None for that of the model.

        Returns:
            float32, at the rate and of the exact length of the input; not limited to [-1, 1].

        Shape:
            (samples,) or (channels, samples) to (sources, samples).

        Raises:
            UsageError: it is no floating point array of one of these shapes.
            AudioError: it is empty, or its rate is impossible.
        """
        mixture = _mono(audio_data)
        rate = self.sample_rate if sample_rate is None else _checked_rate(sample_rate)
        repaired = _Repair()
        clean = [repaired.block(mixture)]
        voices = list(self._stream(clean, rate, len(mixture), _gain(clean)))
        for message in repaired.warnings():
            warnings.warn(message, stacklevel=2)
        return np.concatenate(voices, axis=1)

    def separate_file(
        self,
        path: str | Path,
        output_dir: str | Path,
        *,
        progress: Progress = silent,
    ) -> list[Path]:
        """Separate a recording of any length; memory does not grow with it.

        Args:
            path: any format that libsndfile reads.
            output_dir: made if needed; receives `<name>.voice1.wav` and so on, in 32-bit float, at
                the rate and of the length of the recording. They appear when they are complete.
            progress: called with the seconds done and the seconds in all.

        Returns:
            The files, a voice each.

        Raises:
            AudioError: the recording can't be read, or is empty.
            StorageError: the folder can't be written to, or is full.
        """
        return list(self.separate(path, output_dir, progress=progress).paths)

    def separate(
        self,
        path: str | Path,
        output_dir: str | Path,
        *,
        progress: Progress = silent,
    ) -> SeparationResult:
        """Like `separate_file`, and tells more about the result."""
        begin = time.perf_counter()
        path, output_dir = Path(path), Path(output_dir)
        recording = open_recording(path)
        rate = recording.sample_rate
        survey = _Repair()
        gain = _gain(survey.block(block) for block in read_blocks(path))
        total = survey.n_samples
        if total == 0:
            raise AudioError(f"{path} has no samples that can be read.", hint="Save it again.")
        if total < recording.n_samples:
            promised = f"its header says {recording.seconds:.1f} s"
            survey.note(f"The file ends after {total / rate:.1f} s; {promised}.")
        paths = tuple(
            output_dir / f"{path.stem}.voice{number + 1}.wav" for number in range(self.sources)
        )
        _refuse_overwriting(path, paths)
        blocks = (_Repair().block(block) for block in read_blocks(path))
        done = 0
        with VoiceWriter(paths, rate) as writer:
            for voices in self._stream(blocks, rate, total, gain):
                writer.write(voices)
                done += voices.shape[1]
                progress(done / rate, total / rate)
        return SeparationResult(
            mixture_path=path,
            paths=paths,
            sample_rate=rate,
            seconds=total / rate,
            elapsed_s=time.perf_counter() - begin,
            model=self.model,
            engine=self.engine,
            precision=self.precision,
            warnings=tuple(survey.warnings()),
        )

    def _stream(
        self, blocks: Iterable[np.ndarray], rate: int, length: int, gain: float
    ) -> Iterator[np.ndarray]:
        """Separate a stream at `rate`; yields (sources, samples) that add up to `length`."""
        if gain == 0:
            yield from _silence(self.sources, length)
            return
        levelled = (block * np.float32(gain) for block in blocks)
        mixture = resample_stream(levelled, rate, self.sample_rate)
        separated = (voices.T for voices in self._separate_windows(mixture))  # (T, S)
        back = exactly(resample_stream(separated, self.sample_rate, rate), length)
        for voices in back:
            yield np.ascontiguousarray(voices.T / np.float32(gain))

    def _separate_windows(self, mixture: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        length = round(WINDOW_S * self.sample_rate)
        overlap = round(OVERLAP_S * self.sample_rate)
        stitcher = Stitcher()
        for window in windows(mixture, length, overlap):
            estimates = self._run(window.samples)
            yield stitcher.add(estimates, window.overlap, overlap)
        yield stitcher.finish()

    def _run(self, mixture: np.ndarray) -> np.ndarray:
        """Estimates (sources, samples) of one window; a silent window is silent without a run."""
        if not mixture.any():
            return np.zeros((self.sources, len(mixture)), np.float32)
        shortest = self.sample_rate // 10  # below that, filters and strides may not fit
        padded = np.pad(mixture, (0, max(0, shortest - len(mixture))))
        estimates = self._engine.run(np.ascontiguousarray(padded[None]))[0, :, : len(mixture)]
        if not np.isfinite(estimates).all():
            raise AudioError(
                f"{self.model} gave samples that are not finite.",
                hint="Try --precision f32, or another version.",
            )
        return estimates


class _Repair:
    """Replaces what is no number by silence, and counts it."""

    def __init__(self) -> None:
        self.n_samples = 0
        self._n_bad = 0
        self._notes: list[str] = []

    def block(self, samples: np.ndarray) -> np.ndarray:
        self.n_samples += len(samples)
        if np.isfinite(samples).all():
            return samples
        self._n_bad += int(np.count_nonzero(~np.isfinite(samples)))
        return np.asarray(np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0))

    def note(self, message: str) -> None:
        self._notes.append(message)

    def warnings(self) -> list[str]:
        if self._n_bad:
            return [*self._notes, f"{self._n_bad} samples were no numbers and count as silence."]
        return self._notes


def _gain(blocks: Iterable[np.ndarray]) -> float:
    """The one gain for a recording, from its RMS; 0 for silence."""
    power, count = 0.0, 0
    for block in blocks:
        power += float(np.square(block, dtype=np.float64).sum())
        count += len(block)
    rms = (power / max(count, 1)) ** 0.5
    return min(10 ** (LEVEL_DBFS / 20) / rms, MAX_GAIN) if rms > MIN_RMS else 0.0


def _silence(sources: int, length: int) -> Iterator[np.ndarray]:
    piece = 1 << 20
    for begin in range(0, length, piece):
        yield np.zeros((sources, min(piece, length - begin)), np.float32)


def _mono(audio_data: np.ndarray) -> np.ndarray:
    """A checked array as float32 (samples,)."""
    audio = np.asarray(audio_data)
    if audio.dtype.kind != "f":
        raise UsageError(
            f"audio_data holds {audio.dtype}, not floating point numbers.",
            hint="For 16-bit samples: audio.astype('float32') / 32768.",
        )
    if audio.ndim not in (1, 2):
        raise UsageError(
            f"audio_data has the shape {audio.shape}.",
            hint="Give (samples,) or (channels, samples).",
        )
    if audio.size == 0:
        raise AudioError("audio_data has no samples.", hint="Check where it comes from.")
    if audio.ndim == 2 and audio.shape[0] > MAX_ARRAY_CHANNELS:
        raise UsageError(
            f"audio_data has the shape {audio.shape}: {audio.shape[0]} channels.",
            hint="Channels come first; if they are last, give audio_data.T.",
        )
    mono = audio if audio.ndim == 1 else audio.mean(axis=0)  # (T,)
    return np.ascontiguousarray(mono, np.float32)


def _checked_rate(sample_rate: int) -> int:
    if isinstance(sample_rate, bool) or not float(sample_rate).is_integer():
        raise UsageError(f"The sample rate {sample_rate!r} is not a whole number of Hz.")
    check_rate(int(sample_rate), "audio_data")
    return int(sample_rate)


def _refuse_overwriting(source: Path, targets: Iterable[Path]) -> None:
    if any(target.exists() and target.samefile(source) for target in targets):
        raise UsageError(
            f"{source} would be overwritten by its own voices.",
            hint="Choose another output folder.",
        )
