"""What a version is like on this machine: its speed, its memory, its agreement, its scores.

Speed, memory and agreement are measured in a process of their own, so that nothing else counts and
a graph that crashes the runtime ends only that process. What was found is kept in the registry.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from vsat.bundle import Bundle, read_bundle
from vsat.engines import Engine, available_engines, open_engine
from vsat.engines.self_test import limit_memory, problem_with
from vsat.errors import EngineError, SelfTestError
from vsat.registry import ModelRegistry

WINDOW_S = 12.0  # of audio that is separated at once, as for a recording
N_RUNS, ENOUGH_S = 3, 1.0  # at most so many runs, and no more once they took so long
AGREEMENT_LENGTHS_S = (0.9501, 1.37)  # an odd one too
TIME_LIMIT_S = 900  # on a slow machine, for a large model
SCORE = "si_sdri_db"  # of recordings with references


@dataclass(frozen=True)
class Figures:
    """What was measured of a model.

    Attributes:
        real_time_factor: seconds of work for a second of audio, in f32, the median of some runs.
        peak_memory_bytes: of a process that loads the model and separates a window.
        agreement_db: signal over difference of what the engine gives and what the network in
            PyTorch gives, the lowest over several lengths; None for a version without a network.
    """

    real_time_factor: float
    peak_memory_bytes: int
    agreement_db: float | None


@dataclass(frozen=True)
class Qualification(Figures):
    """What was measured of a version.

    Attributes:
        scores_db: SI-SDR improvement by the recording's name.
    """

    scores_db: dict[str, float]


def qualify(
    model_id: str,
    registry: ModelRegistry,
    recordings: Path | None = None,
    figures: Figures | None = None,
) -> Qualification:
    """Measure a version, and keep what was found in the registry.

    Args:
        model_id: "id" or "id@version".
        registry: where the version is.
        recordings: a folder with recordings and their voices, in a layout of `find_examples`.
        figures: what `measure` found of this content before.

    Raises:
        ModelNotFoundError: there is no such model or version.
        EngineError: it can't be run.
        UsageError: the folder has none.
        AudioError: a recording can't be read, or its voices don't fit it.
    """
    record = registry.resolve(model_id)
    bundle = registry.get_bundle(record.model_id, record.version)
    figures = figures or measure(bundle)
    scores = _scores(f"{record.model_id}@{record.version}", registry, recordings)
    found = Qualification(**asdict(figures), scores_db=scores)
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


def measure(bundle: Bundle) -> Figures:
    """Measure a model in a process of its own; the self-test is a part of it.

    Raises:
        SelfTestError: it runs, but gives what it must not.
        EngineError: it can't be run, crashes, or takes too long.
    """
    command = [sys.executable, "-P", "-m", "vsat.qualification", str(bundle.path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIME_LIMIT_S, check=True)
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
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
    if problem := answer.get("problem"):
        raise SelfTestError(
            f"{bundle.manifest.id} failed its self-test: {problem}",
            hint="Check its sample rate and number of sources.",
        )
    return Figures(**answer)


def _measure(bundle: Bundle) -> dict[str, Any]:
    """What the process that measures prints.

    The engine compiles on one core, twice: for any length, and for a window; meanwhile the network
    runs in another process. The clock is looked at only when all of that is done.
    """
    engine, windowed = open_engine(bundle), open_engine(bundle)
    window = _noise(bundle, WINDOW_S)
    windowed.expect(window.shape[1])
    with _network_outputs(bundle, engine.name) as wanted, ThreadPoolExecutor(1) as pool:
        compiling = pool.submit(windowed.run, window)
        if problem := problem_with(engine, bundle):
            return {"problem": problem}
        compiling.result()
        outputs = wanted()
        took: list[float] = []
        while len(took) < N_RUNS and sum(took) < ENOUGH_S:
            begin = time.perf_counter()
            windowed.run(window)
            took.append(time.perf_counter() - begin)
        return {
            "real_time_factor": median(took) / WINDOW_S,
            "peak_memory_bytes": _peak_memory_bytes(),
            "agreement_db": _agreement_db(bundle, engine, outputs) if outputs else None,
        }


@contextmanager
def _network_outputs(
    bundle: Bundle, engine: str
) -> Iterator[Callable[[], Sequence[np.ndarray] | None]]:
    """Run the network in another process, as PyTorch would count in the memory of this one.

    Yields:
        What waits for the outputs and gives them; None where there is no network to run.
    """
    installed = "torch" in available_engines()
    if bundle.manifest.architecture is None or not installed or engine == "torch":
        yield lambda: None
        return
    with TemporaryDirectory(prefix="vsat-network-") as folder:
        path = Path(folder, "outputs.npz")
        command = [sys.executable, "-P", "-m", "vsat.qualification", str(bundle.path), str(path)]
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL)

        def outputs() -> Sequence[np.ndarray]:
            if running.wait() != 0:
                raise EngineError("The network could not be run.", hint="Run: vsat doctor")
            with np.load(path) as file:
                return [file[name] for name in file.files]

        try:
            yield outputs
        finally:
            running.kill()
            running.wait()


def _run_network(bundle: Bundle, path: Path) -> None:
    network = open_engine(bundle, "torch")
    np.savez(path, *[network.run(_noise(bundle, seconds)) for seconds in AGREEMENT_LENGTHS_S])


def _agreement_db(bundle: Bundle, engine: Engine, outputs: Sequence[np.ndarray]) -> float:
    found = []
    for seconds, wanted in zip(AGREEMENT_LENGTHS_S, outputs, strict=True):
        difference = wanted - engine.run(_noise(bundle, seconds))
        noise = np.mean(np.square(difference, dtype=np.float64))
        found.append(10 * np.log10(np.mean(np.square(wanted, dtype=np.float64)) / (noise + 1e-30)))
    return float(min(found))


def _noise(bundle: Bundle, seconds: float) -> np.ndarray:
    """A mixture (1, samples) for which the rate is all that matters; the same every time."""
    samples = round(seconds * (bundle.manifest.sample_rate or 0))
    noise = np.random.default_rng(0).standard_normal((1, samples))
    return (0.05 * noise).astype(np.float32)


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
    limit_memory()
    _bundle = read_bundle(Path(sys.argv[1]))
    if len(sys.argv) > 2:
        _run_network(_bundle, Path(sys.argv[2]))
    else:
        print(json.dumps(_measure(_bundle)))
