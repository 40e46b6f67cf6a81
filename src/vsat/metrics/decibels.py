"""Ratios of energies in decibels, finite whatever the energies are."""

import numpy as np

LIMIT_DB = 120.0  # 20 bits: what differs by less was rounded, and counts as identical
_SMALLEST = float(np.finfo(np.float64).tiny)


def ratio_db(wanted: np.ndarray, unwanted: np.ndarray) -> np.ndarray:
    """Energy that is wanted over energy that is not, in dB of power, within ±`LIMIT_DB`.

    Where nothing is wanted the ratio is the lowest, even if nothing is unwanted either: there was
    silence in the place of a voice.

    Shape:
        any, the same for both; the same out.

    Example:
        >>> ratio_db(np.array([1.0, 1.0, 0.0]), np.array([0.1, 0.0, 0.0])).tolist()
        [10.0, 120.0, -120.0]
    """
    decibels = 10 * (
        np.log10(np.maximum(wanted, _SMALLEST)) - np.log10(np.maximum(unwanted, _SMALLEST))
    )
    return np.where(wanted > 0, np.clip(decibels, -LIMIT_DB, LIMIT_DB), -LIMIT_DB)


def at_peak_one(signals: np.ndarray) -> np.ndarray:
    """Signals brought to a peak of 1 each, in float64: no energy overflows or vanishes.

    Silence stays silence.

    Shape:
        (..., samples); the same out.
    """
    exact = np.asarray(signals, np.float64)
    peaks = np.abs(exact).max(axis=-1, keepdims=True)
    return exact / np.where(peaks > 0, peaks, 1.0)
