"""Separating again what was made of the estimates, and comparing.

A model that separates well gives the same voices again when its own estimates are mixed anew. What
one voice left in the other's estimate, it takes for that voice the second time, and the two differ.

References:
    Remixing the estimates: Tzinis et al. 2022, "RemixIT"; Saijo & Ogawa 2023, "Self-Remixing".
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vsat.estimation.frames import power_db, windows_of
from vsat.metrics import best_permutation, pairwise_si_sdr_db

Separate = Callable[[np.ndarray], np.ndarray]  # (samples,) to (sources, samples)

WINDOW_S = 0.5  # about two syllables: long enough to know a voice by its waveform
ACTIVE_DB = 15.0  # a voice is active in a window that is within this of its mean level
LOWEST_DB, HIGHEST_DB = -30.0, 50.0  # of a figure that goes into a mean, so that none governs it


@dataclass(frozen=True)
class Consistency:
    """How well a second separation agrees with the first.

    Attributes:
        by_source_db: SI-SDR of each voice given again against what went in, in [-30, 50] dB.
        by_window_db: the mean of it over windows in which the voice is active.
        swap_share: of the windows in which all are active, those in which another order of the
            outputs fits better than that of the whole; in [0, 1].
    """

    by_source_db: tuple[float, ...]
    by_window_db: float
    swap_share: float


def shifted_apart(estimates: np.ndarray) -> np.ndarray:
    """The estimates, each turned in time by its own share of the length; the first stays.

    Without it, estimates that add up to the mixture would give that same mixture again, and the
    second separation would repeat the first.

    Shape:
        (sources, samples) to (sources, samples).
    """
    n_sources, n_samples = estimates.shape
    shifts = (k * n_samples // n_sources for k in range(n_sources))
    return np.stack([np.roll(one, shift) for one, shift in zip(estimates, shifts, strict=True)])


def separated_again(separate: Separate, parts: np.ndarray) -> np.ndarray:
    """Separate the sum of `parts`, and put what comes out in their order.

    Shape:
        parts: (sources, samples) to (sources, samples).
    """
    again = np.asarray(separate(parts.sum(axis=0).astype(np.float32)))  # (S, T)
    order = best_permutation(pairwise_si_sdr_db(again, parts))
    return again[list(order)].astype(np.float64)


def consistency(again: np.ndarray, parts: np.ndarray, sample_rate: int) -> Consistency:
    """Compare what a second separation gave with what went into it, in the same order.

    Shape:
        again, parts: (sources, samples).
    """
    length = round(WINDOW_S * sample_rate)
    levels = power_db(np.mean(np.square(parts), axis=-1))  # (S,)
    figures: list[float] = []
    swaps: list[bool] = []
    for given, wanted in zip(windows_of(again, length), windows_of(parts, length), strict=True):
        pairwise = _bounded(pairwise_si_sdr_db(given, wanted))
        active = power_db(np.mean(np.square(wanted), axis=-1)) > levels - ACTIVE_DB
        figures.extend(np.diagonal(pairwise)[active])
        if active.all():
            swaps.append(best_permutation(pairwise) != tuple(range(len(parts))))
    by_source = np.diagonal(_bounded(pairwise_si_sdr_db(again, parts)))
    return Consistency(
        by_source_db=tuple(map(float, by_source)),
        by_window_db=float(np.mean(figures)) if figures else float(by_source.mean()),
        swap_share=float(np.mean(swaps)) if swaps else 0.0,
    )


def _bounded(figures_db: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(figures_db, LOWEST_DB, HIGHEST_DB))
