"""What a version is like on this machine: its speed, its memory, its agreement, its scores.

Speed, memory and agreement are measured in a process of their own, so that nothing else counts and
a graph that crashes the runtime ends only that process. What was found is kept in the registry.
"""

import json
import re
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from vsat.bundle import Bundle, read_bundle
from vsat.engines import Engine, available_engines, open_engine
from vsat.errors import EngineError
from vsat.registry import ModelRegistry

WINDOW_S = 12.0  # of audio that is separated at once, as for a recording
N_WARM_UPS = 2  # the engine compiles for any length first, then for one that comes again
N_RUNS, ENOUGH_S = 3, 1.5  # at most so many runs, and no more once they took so long
AGREEMENT_LENGTHS_S = (1.0, 1.37, 2.5)
TIME_LIMIT_S = 900  # on a slow machine, for a large model
SCORE = "si_sdri_db"  # of recordings with references


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


def qualify(
    model_id: str, registry: ModelRegistry, recordings: Path | None = None
) -> Qualification:
    """Measure a version, and keep what was found in the registry.

    Args:
        model_id: "id" or "id@version".
        registry: where the version is.
        recordings: a folder with recordings and their voices, in a layout of `find_examples`.

    Raises:
        ModelNotFoundError: there is no such model or version.
        EngineError: it can't be run.
        UsageError: the folder has none.
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
        registry.keep_measurement(record.digest, f"{SCORE} of {name}", value)
    return found


def _scores(model: str, registry: ModelRegistry, recordings: Path | None) -> dict[str, float]:
    if recordings is None:
        return {}
    from vsat.evaluation import ModelEvaluator  # only here: what is measured stays small

    evaluator = ModelEvaluator(registry=registry, measures=(SCORE,))
    found = evaluator.evaluate(model, recordings).scores
    return {name: scores[SCORE] for name, scores in found.items() if SCORE in scores}


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
