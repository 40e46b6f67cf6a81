"""Speed of the measures: vsat against mir_eval, pystoi and SI-SDR in NumPy, one after another.

    pip install mir_eval pystoi
    python bench/measures.py [--files 100] [--runs 5] [--speech FOLDER]

Files of four seconds at 16 kHz, with two sources and two estimates of them each. SDR, STOI and
SI-SDR are computed for each in turn by the peers, and by vsat's `measure_all` on as many threads as
there are processors; the runs take turns, A B A B ..., and the ratio is taken pair by pair.

mir_eval compares each estimate with each source, as it does by itself; what it takes when it is
told the order beforehand, so that it compares half as many, is a row of its own. The differences
of the figures are the largest of all files and sources.

Where other work goes on beside it, give the peers' linear algebra one thread
(OPENBLAS_NUM_THREADS=1): several then only wait for one another. vsat uses none of that library.

The sources are noise with the levels of syllables, or with --speech the voices of the folder's
mixtures.csv; the time does not depend on which.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from machine import describe, summary

from vsat.metrics import Separation, measure_all

RATE = 16_000  # Hz
SAMPLES = 4 * RATE
MEASURES = ("si_sdr_db", "sdr_db", "stoi")
Figures = list[dict[str, list[float]]]  # by file, measure and source


def noises(n_files: int) -> list[np.ndarray]:
    """Two sources a file, (2, samples): noise whose level changes five times a second."""
    random = np.random.default_rng(0)
    levels = 10 ** random.uniform(-2.5, 0, (n_files, 2, 20)).repeat(SAMPLES // 20, axis=-1)
    return list(0.1 * levels * random.standard_normal((n_files, 2, SAMPLES)))


def voices(n_files: int, folder: Path) -> list[np.ndarray]:
    """Two voices a file, (2, samples), from the listed mixtures."""
    sys.path.insert(0, str(folder))
    import mixtures

    rendered = [mixtures.render(row, folder)[1] for row in mixtures.rows(kind="full")[:n_files]]
    return [np.resize(references, (2, SAMPLES)) for references in rendered]


def separations(sources: Sequence[np.ndarray]) -> list[Separation]:
    """Estimates in the sources' order, with a tenth of the other source and some noise."""
    random = np.random.default_rng(1)
    found = []
    for references in sources:
        noise = 0.02 * references.std() * random.standard_normal(references.shape)
        estimates = references + 0.1 * references[::-1] + noise
        found.append(Separation(estimates.astype(np.float32), references.astype(np.float32), RATE))
    return found


def si_sdr(estimate: np.ndarray, reference: np.ndarray) -> float:
    target = estimate @ reference / (reference @ reference) * reference
    return float(10 * np.log10(target @ target / np.square(estimate - target).sum()))


def peers(files: Sequence[Separation], permutation: bool) -> Figures:
    import mir_eval
    import pystoi

    found = []
    for one in files:
        references, estimates = one.references.astype(float), one.estimates.astype(float)
        pairs = list(zip(estimates, references, strict=True))
        sdr, *_ = mir_eval.separation.bss_eval_sources(references, estimates, permutation)
        found.append(
            {
                "si_sdr_db": [si_sdr(*pair) for pair in pairs],
                "sdr_db": sdr.tolist(),
                "stoi": [pystoi.stoi(wanted, ours, RATE) for ours, wanted in pairs],
            }
        )
    return found


def ours(files: Sequence[Separation], workers: int | None = None) -> Figures:
    return [one.by_source for one in measure_all(files, measures=MEASURES, workers=workers)]


def timed(call: Callable[[], Figures]) -> tuple[float, Figures]:
    begin = time.perf_counter()
    figures = call()
    return time.perf_counter() - begin, figures


def differences(wanted: Figures, given: Figures) -> dict[str, float]:
    return {
        name: max(
            float(np.abs(np.subtract(one[name], other[name])).max())
            for one, other in zip(wanted, given, strict=True)
        )
        for name in MEASURES
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--speech", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # mir_eval's module of separation is deprecated, and says so
    n_files, folder = arguments.files, arguments.speech
    files = separations(voices(n_files, folder) if folder else noises(n_files))
    runners: dict[str, Callable[[], Figures]] = {
        "peers": lambda: peers(files, permutation=True),
        "peers, order known": lambda: peers(files, permutation=False),
        "vsat": lambda: ours(files),
        "vsat, one thread": lambda: ours(files, workers=1),
    }
    print(describe("scipy", "mir_eval", "pystoi"))
    print(f"{len(files)} files of {SAMPLES / RATE:g} s, two sources, {', '.join(MEASURES)};")
    print(f"{arguments.runs} rounds after a file of warm-up")
    peers(files[:1], permutation=True)
    ours(files[:2])
    times: dict[str, list[float]] = {name: [] for name in runners}
    figures: dict[str, Figures] = {}
    for _ in range(arguments.runs):
        for name, call in runners.items():
            took, figures[name] = timed(call)
            times[name].append(took)
    for name, took in times.items():
        print(f"  {name:30} {summary(took)} s")
    for name in ("peers", "peers, order known"):
        ratios = [a / b for a, b in zip(times[name], times["vsat"], strict=True)]
        print(f"  ratio to {name:21} {summary(ratios)}")
    for name, difference in differences(figures["peers"], figures["vsat"]).items():
        print(f"  largest difference, {name:10} {difference:.1e}")


if __name__ == "__main__":
    sys.exit(main())
