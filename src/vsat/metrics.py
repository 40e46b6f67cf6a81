"""Measures of separation, on arrays in memory.

References:
    SI-SDR: Le Roux et al. 2019, "SDR - half-baked or well done?".
    Best permutation: Kolbæk et al. 2017.
"""

from itertools import permutations

import numpy as np

TINY = 1e-20  # added to energies so that silence gives a finite figure


def si_sdr_db(estimate: np.ndarray, reference: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio, in dB of power; no mean is taken off.

    An identical estimate gives about +100 and more, silence in either place a very low figure.

    Shape:
        (samples,) both.

    Example:
        >>> reference = np.sin(np.arange(1000.0))
        >>> noise = np.cos(np.arange(1000.0))
        >>> round(si_sdr_db(3 * (reference + 0.1 * noise), reference), 1)
        20.0
    """
    estimate, reference = estimate.astype(np.float64), reference.astype(np.float64)
    scale = float(estimate @ reference) / (float(reference @ reference) + TINY)
    target = scale * reference
    error = estimate - target
    return float(10 * np.log10((target @ target + TINY) / (error @ error + TINY)))


def pairwise_si_sdr_db(estimates: np.ndarray, references: np.ndarray) -> np.ndarray:
    """SI-SDR of every estimate against every reference, indexed [estimate, reference].

    Shape:
        (estimates, samples) and (references, samples) to (estimates, references).
    """
    return np.array([[si_sdr_db(one, other) for other in references] for one in estimates])


def best_permutation(pairwise: np.ndarray) -> tuple[int, ...]:
    """Which estimate belongs to each reference, so that the mean is highest.

    Shape:
        pairwise: (estimates, references), at least as many estimates as references.
    """
    n_estimates, n_references = pairwise.shape
    index = np.arange(n_references)
    return max(
        permutations(range(n_estimates), n_references),
        key=lambda order: float(pairwise[list(order), index].sum()),
    )


def si_sdr_improvement_db(
    estimates: np.ndarray, references: np.ndarray, mixture: np.ndarray
) -> float:
    """Mean SI-SDR under the best permutation, less what the mixture itself has.

    Shape:
        estimates, references: (sources, samples); mixture: (samples,).
    """
    pairwise = pairwise_si_sdr_db(estimates, references)
    order = best_permutation(pairwise)
    reached = pairwise[list(order), np.arange(len(references))].mean()
    before = pairwise_si_sdr_db(mixture[None], references).mean()
    return float(reached - before)
