"""Signal-to-distortion ratio of BSS Eval: what a short filter of the reference can't explain.

The estimate is split in two: its projection on the reference's delays by 0 to 511 samples, and the
rest. SDR is the energy of the first over that of the second. Other references have no part in it
(they divide the rest into interference and artefacts, which SIR and SAR tell), so each pair of
estimate and reference can be taken by itself.

References:
    Vincent et al. 2006, "Performance measurement in blind audio source separation".
    The Toeplitz system: Scheibler 2022, "SDR - medium rare with fast computations".
"""

import numpy as np

from vsat.metrics.decibels import at_peak_one, ratio_db
from vsat.metrics.extra import evaluate_extra

FILTER_LENGTH = 512  # taps; BSS Eval's own
N_FFT = 1 << 14  # samples: spectra of that length stay in the processor's cache
MAX_RESIDUAL = 1e-6  # of the equations: speech leaves 1e-12, a recursion that broke down 1e70


def sdr_db(estimates: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """SDR of several estimates of one source, in dB of power, within ±120.

    Silence in either place gives -120, the reference itself (or a filtered one) +120. The samples
    are expected to be finite. Memory beyond the signals themselves does not grow with their length.

    Shape:
        (estimates, samples) and (samples,) to (estimates,), float64.

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    estimates, reference = at_peak_one(estimates), at_peak_one(reference)
    energies = np.einsum("et,et->e", estimates, estimates)
    correlations = _correlations(np.concatenate([reference[None], estimates]), reference)
    own, cross = correlations[0], correlations[1:]  # (L,), (E, L)
    if own[0] <= 0:
        return ratio_db(np.zeros(len(estimates)), energies)
    explained = np.einsum("el,el->e", _filters(own, cross), cross)
    return ratio_db(explained, energies - explained)


def _filters(own: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """What filters of the reference come nearest to the estimates.

    Levinson's recursion is exact enough as long as the reference has some energy at most
    frequencies. That of a smooth pulse has not: then least squares take a hundred times as long.

    Shape:
        own: (lags,), the reference's correlation; cross: (estimates, lags); cross out.
    """
    with evaluate_extra("SDR"):
        from scipy.linalg import LinAlgError, lstsq, matmul_toeplitz, solve_toeplitz, toeplitz
    try:
        filters = solve_toeplitz(own, cross.T)  # (L, E)
        residual = np.abs(matmul_toeplitz(own, filters) - cross.T).max()
    except LinAlgError:
        residual = np.inf
    if not residual <= MAX_RESIDUAL * np.abs(cross).max():  # not "greater": it may be NaN
        filters, *_ = lstsq(toeplitz(own), cross.T, cond=1e-15, lapack_driver="gelsy")
    return np.asarray(filters.T)


def _correlations(signals: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Correlations of signals with a reference, at lags of 0 to `FILTER_LENGTH` - 1 samples.

    Spectra of blocks of the reference meet those of as much of the signals as these blocks can
    reach; their products are summed before they are transformed back, once.

    Shape:
        (signals, samples) and (samples,) to (signals, lags).
    """
    block = N_FFT - FILTER_LENGTH + 1
    products = np.zeros((len(signals), N_FFT // 2 + 1), np.complex128)
    for start in range(0, len(reference), block):
        spectrum = np.fft.rfft(reference[start : start + block], N_FFT)  # (bins,)
        spectra = np.fft.rfft(signals[:, start : start + N_FFT], N_FFT)  # (S, bins)
        products += spectrum.conj() * spectra
    return np.fft.irfft(products, N_FFT)[:, :FILTER_LENGTH]
