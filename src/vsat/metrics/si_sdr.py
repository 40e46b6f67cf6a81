"""Scale-invariant signal-to-distortion ratio, and its improvement over the mixture.

References:
    Le Roux et al. 2019, "SDR - half-baked or well done?".
"""

import numpy as np

from vsat.metrics.decibels import at_peak_one, ratio_db
from vsat.metrics.permutation import best_permutation


def si_sdr_db(estimate: np.ndarray, reference: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio, in dB of power; no mean is taken off.

    An identical estimate gives +120, and so does a difference that is smaller yet; silence in
    either place gives -120. The samples are expected to be finite.

    Shape:
        (samples,) both.

    Example:
        >>> reference = np.sin(np.arange(1000.0))
        >>> noise = np.cos(np.arange(1000.0))
        >>> round(si_sdr_db(3 * (reference + 0.1 * noise), reference), 1)
        20.0
    """
    return float(pairwise_si_sdr_db(estimate[None], reference[None])[0, 0])


def pairwise_si_sdr_db(estimates: np.ndarray, references: np.ndarray) -> np.ndarray:
    """SI-SDR of every estimate against every reference, indexed [estimate, reference].

    Shape:
        (estimates, samples) and (references, samples) to (estimates, references), float64.
    """
    estimates, references = at_peak_one(estimates), at_peak_one(references)
    columns = [_against(estimates, reference) for reference in references]  # R of (E,)
    return np.stack(columns, axis=1)


def si_sdr_improvement_db(
    estimates: np.ndarray, references: np.ndarray, mixture: np.ndarray
) -> float:
    """Mean SI-SDR under the best permutation, less what the mixture itself has.

    Shape:
        estimates, references: (sources, samples); mixture: (samples,).

    Raises:
        UsageError: there are fewer estimates than references.
    """
    pairwise = pairwise_si_sdr_db(estimates, references)
    order = best_permutation(pairwise)
    reached = pairwise[list(order), np.arange(len(references))].mean()
    before = pairwise_si_sdr_db(mixture[None], references).mean()
    return float(reached - before)


def _against(estimates: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """SI-SDR of estimates (E, T) against one reference (T,): (E,).

    Sums of products are einsum's: those of a BLAS would bring threads of its own into each of
    those that measure several recordings at once.
    """
    energy = np.einsum("t,t->", reference, reference)
    scales = np.einsum("et,t->e", estimates, reference) / (energy if energy > 0 else 1.0)
    errors = estimates - scales[:, None] * reference  # (E, T)
    return ratio_db(scales**2 * energy, np.einsum("et,et->e", errors, errors))
