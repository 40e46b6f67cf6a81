"""Whether a bundle's model runs and gives what its manifest says, tried in a process of its own.

A graph from elsewhere may crash the runtime or fill the memory; then only that process ends.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vsat.bundle import Bundle
from vsat.errors import SelfTestError

if TYPE_CHECKING:
    from vsat.engines import Engine

TIME_LIMIT_S = 120  # for loading and two runs of about a second of audio
MEMORY_LIMIT_BYTES = 16 << 30  # of addresses; the runtimes reserve far more than they use
LENGTHS_S = (1.0, 1.37)  # two, so that a graph for one length only is found out


def check(bundle: Bundle) -> None:
    """Load the bundle's model and run it on noise.

    Raises:
        SelfTestError: it can't be loaded, crashes, takes too long, or gives an output that is not
            finite, is all zeros, or is not of the declared shape.
    """
    answer = probe(bundle.path)
    problem = answer.get("problem")
    if problem:
        raise SelfTestError(
            f"{bundle.manifest.id} at {bundle.path} failed its self-test: {problem}",
            hint="Check the sample rate and the number of sources that it was registered with.",
        )


def probe(path: Path) -> dict[str, object]:
    """Run the self-test of the bundle at `path` in a child process.

    Returns:
        {"problem": text} where something is wrong, else {}.
    """
    command = [sys.executable, "-P", "-m", "vsat.engines.self_test", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIME_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return {"problem": f"it did not finish within {TIME_LIMIT_S} s."}
    try:
        answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        return {"problem": f"the engine ended with status {done.returncode}. {' '.join(last)}"}
    return answer


def _main(path: Path) -> None:
    limit_memory()
    from vsat.bundle import read_bundle
    from vsat.errors import VsatError

    try:
        problem = _try(read_bundle(path))
    except VsatError as error:
        problem = error.message
    print(json.dumps({"problem": problem} if problem else {}))


def _try(bundle: Bundle) -> str:
    from vsat.engines import open_engine

    return problem_with(open_engine(bundle), bundle)


def problem_with(engine: "Engine", bundle: Bundle) -> str:
    """What is wrong with a model that was loaded, as the rest of a sentence; or nothing.

    To be called in a process that may crash.

    Raises:
        EngineError: the runtime refuses to run it.
    """
    import numpy as np

    rate, sources = bundle.manifest.sample_rate or 0, bundle.manifest.sources
    noise = np.random.default_rng(0).standard_normal((1, round(rate * max(LENGTHS_S)) + 1))
    for seconds in LENGTHS_S:
        samples = round(rate * seconds) + 1
        estimates = engine.run((0.05 * noise[:, :samples]).astype(np.float32))
        if estimates.shape != (1, sources, samples):
            return f"it gives the shape {estimates.shape}, not {(1, sources, samples)}."
        if not np.isfinite(estimates).all():
            return "its output is not finite."
        if not estimates.any():
            return "its output is all zeros."
    return ""


def limit_memory() -> None:
    """Let this process end rather than the machine, and leave no image of its memory behind."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = MEMORY_LIMIT_BYTES
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
