"""What a version is like on this machine: its speed, its memory, its agreement, its scores.

Speed, memory and agreement are measured in a process of their own, so that nothing else counts and
a graph that crashes the runtime ends only that process. What was found is kept in the registry.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from vsat.audio.io import open_recording, read_blocks
from vsat.bundle import Bundle, read_bundle
from vsat.engines import Engine, available_engines, open_engine
from vsat.errors import AudioError, EngineError, UsageError
from vsat.metrics import si_sdr_improvement_db
from vsat.registry import ModelRegistry
from vsat.separator import VoiceSeparator

WINDOW_S = 12.0  # of audio that is separated at once, as for a recording
N_WARM_UPS = 2  # the engine compiles for any length first, then for one that comes again
N_RUNS, ENOUGH_S = 3, 1.5  # at most so many runs, and no more once they took so long
AGREEMENT_LENGTHS_S = (1.0, 1.37, 2.5)
TIME_LIMIT_S = 900  # on a slow machine, for a large model
VOICE_NAME = re.compile(r"(?P<stem>.+)\.s[1-9](?P<suffix>\.[A-Za-z0-9]+)")
MIN_LENGTH_S = 0.5  # of a recording that is scored


@dataclass(frozen=True)
class Qualification:
    """What was measured of a version.

    Attributes:
        real_time_factor: seconds of work for a second of audio, in f32, the median of some runs.
        peak_memory_bytes: of a process that loads the model and separates a window.
        agreement_db: signal over difference of what the engine gives and what the network in
            PyTorch gives, the lowest over several lengths; None for a version without a network.
        scores_db: SI-SDR improvement by the recording's name.
    """

    real_time_factor: float
    peak_memory_bytes: int
    agreement_db: float | None
    scores_db: dict[str, float]


@dataclass(frozen=True)
class Scored:
    """A mixture with the voices that it is made of, one file each."""

    mixture: Path
    references: tuple[Path, ...]


def qualify(
    model_id: str, registry: ModelRegistry, recordings: Sequence[Scored] = ()
) -> Qualification:
    """Measure a version, and keep what was found in the registry.

    Raises:
        ModelNotFoundError: there is no such model or version.
        EngineError: it can't be run.
        AudioError: a recording can't be read, or its voices don't fit it.
    """
    record = registry.resolve(model_id)
    bundle = registry.get_bundle(record.model_id, record.version)
    measured = _measured_apart(bundle)
    scores = _scores(f"{record.model_id}@{record.version}", registry, recordings)
    found = Qualification(**measured, scores_db=scores)
    for key, value in asdict(found).items():
        if isinstance(value, int | float):
            registry.keep_measurement(record.digest, key, value)
    for name, value in scores.items():
        registry.keep_measurement(record.digest, f"si_sdri_db of {name}", value)
    return found


def find_scored(folder: Path) -> list[Scored]:
    """Mixtures with their voices beside them: `talk.wav` with `talk.s1.wav`, `talk.s2.wav`, ...

    Raises:
        UsageError: there is none.
    """
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}.", hint="Check the path.")
    voices: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if match := VOICE_NAME.fullmatch(path.name):
            voices.setdefault(f"{match['stem']}{match['suffix']}", []).append(path)
    found = [
        Scored(folder / name, tuple(references))
        for name, references in voices.items()
        if (folder / name).is_file()
    ]
    if not found:
        raise UsageError(
            f"{folder} holds no recording with its voices.",
            hint="Name the files, for example, talk.wav, talk.s1.wav and talk.s2.wav.",
        )
    return found


def _scores(model: str, registry: ModelRegistry, recordings: Sequence[Scored]) -> dict[str, float]:
    if not recordings:
        return {}
    separator = VoiceSeparator(model, registry=registry, precision="f32")
    try:
        return {one.mixture.name: _score(separator, one) for one in recordings}
    finally:
        separator.close()


def _score(separator: VoiceSeparator, scored: Scored) -> float:
    mixture, rate = _samples(scored.mixture)
    references = [_samples(path) for path in scored.references]
    if any(len(voice) != len(mixture) or its_rate != rate for voice, its_rate in references):
        raise AudioError(
            f"The voices of {scored.mixture} don't have its length and rate.",
            hint="Cut or resample them to those of the mixture.",
        )
    if len(references) > separator.sources:
        raise AudioError(
            f"{scored.mixture} has {len(references)} voices, and {separator.model} gives"
            f" {separator.sources}.",
            hint="Name recordings of as many voices as the model gives.",
        )
    if len(mixture) < MIN_LENGTH_S * rate:
        raise AudioError(f"{scored.mixture} is too short to be scored.", hint="Name a longer one.")
    estimates = separator.separate_voices(mixture, rate)
    return si_sdr_improvement_db(estimates, np.stack([voice for voice, _ in references]), mixture)


def _samples(path: Path) -> tuple[np.ndarray, int]:
    """A recording as one channel, (samples,), with its rate in Hz."""
    sample_rate = open_recording(path).sample_rate
    return np.concatenate(list(read_blocks(path))), sample_rate


def _measured_apart(bundle: Bundle) -> dict[str, Any]:
    command = [sys.executable, "-P", "-m", "vsat.qualification", str(bundle.path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIME_LIMIT_S, check=True)
        measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired as error:
        raise EngineError(
            f"Measuring {bundle.path} took longer than {TIME_LIMIT_S} s.",
            hint="The model is too slow for this machine.",
        ) from error
    except (subprocess.CalledProcessError, IndexError, ValueError) as error:
        said = getattr(error, "stderr", b"").decode(errors="replace").strip().splitlines()[-1:]
        raise EngineError(
            f"Measuring {bundle.path} failed. {' '.join(said)}", hint="Run: vsat doctor"
        ) from error
    return measured


def _measure(bundle: Bundle) -> dict[str, Any]:
    engine = open_engine(bundle)
    samples = round(WINDOW_S * (bundle.manifest.sample_rate or 0))
    noise = np.random.default_rng(0).standard_normal((1, samples))
    mixture = (0.05 * noise).astype(np.float32)
    for _ in range(N_WARM_UPS):
        engine.run(mixture)
    took: list[float] = []
    while len(took) < N_RUNS and sum(took) < ENOUGH_S:
        begin = time.perf_counter()
        engine.run(mixture)
        took.append(time.perf_counter() - begin)
    return {
        "real_time_factor": median(took) / WINDOW_S,
        "peak_memory_bytes": _peak_memory_bytes(),
        "agreement_db": _agreement_db(bundle, engine),
    }


def _agreement_db(bundle: Bundle, engine: Engine) -> float | None:
    if bundle.manifest.architecture is None or "torch" not in available_engines():
        return None
    network = open_engine(bundle, "torch")
    if engine.name == network.name:  # there is no other one
        return None
    random, found = np.random.default_rng(0), []
    for seconds in AGREEMENT_LENGTHS_S:
        samples = round(seconds * (bundle.manifest.sample_rate or 0)) + 1
        mixture = (0.05 * random.standard_normal((1, samples))).astype(np.float32)
        wanted, given = network.run(mixture), engine.run(mixture)
        noise = np.mean(np.square(wanted - given, dtype=np.float64))
        found.append(10 * np.log10(np.mean(np.square(wanted, dtype=np.float64)) / (noise + 1e-30)))
    return float(min(found))


def _peak_memory_bytes() -> int:
    """Of this process alone; what `getrusage` says begins with the size of the one before it."""
    with suppress(OSError):
        found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
        return int(found[1]) * 1024 if found else 0
    try:
        import resource
    except ImportError:  # not on Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


if __name__ == "__main__":
    print(json.dumps(_measure(read_bundle(Path(sys.argv[1])))))
