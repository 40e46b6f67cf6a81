"""What the estimates of a separation say of themselves, without another run of the model.

References:
    Estimates as posterior means: Kay 1993, "Fundamentals of Statistical Signal Processing:
        Estimation Theory", chapter 11.
"""

from collections.abc import Iterator

import numpy as np

from vsat.estimation.frames import TINY, frame_levels_db, loud_frames, power_db, spectra

CHANCE = 0.003  # correlation that two voices have by chance in a few seconds; bounds the measure
CELL_FRAMES, CELL_BINS = 6, 4  # of a cell in which coherence is measured: about 0.1 s by 125 Hz
LOUD_DB = 10.0  # a voice speaks up where it is within this of its own level
QUIET_SHARE = 0.1  # of the frames in which one speaks up: there the other is taken as silent
FLOOR_PERCENTILE = 10  # of the frames, which in a bin hold no speech
LEAST_FLOOR = 1e-5  # of the mean power: a recording with pauses has no lower floor worth telling
MAX_CONSISTENCY_DB = 100.0  # float32 rounding; a higher figure says nothing more


def decorrelation_db(estimates: np.ndarray) -> np.ndarray:
    """Power of each estimate over what it has in common with the others, in dB.

    If the estimates were the mean of all that the voices could be, given the mixture, and added up
    to it, their error would be orthogonal to each of them, and its power be their inner product.
    This would then be the SI-SDR. A model that was trained well comes near to it.

    Equal estimates give about 0, those with nothing in common about 25 at equal level.

    Shape:
        (sources, samples) to (sources,).
    """
    products = np.abs(_products(estimates))  # (S, S)
    power = np.diagonal(products)
    common = products.sum(axis=1) - power
    chance = CHANCE * np.sqrt(power * (power.sum() - power))
    return np.asarray(power_db(power) - power_db(common + chance))


def coherence(estimates: np.ndarray, sample_rate: int) -> float:
    """How much pairs of estimates go together in cells of time and frequency, in [-1, 1].

    Each cell counts with the power that the two have there. 1 for equal estimates.

    Shape:
        estimates: (sources, samples), at least two sources.
    """
    cells = [_cells(spectrum) for spectrum in spectra(estimates, sample_rate)]
    found = []
    for one, other in _pairs(len(cells)):
        common = np.real(cells[one] * cells[other].conj()).sum(axis=(1, 3))  # (cells, bands)
        powers = [np.square(np.abs(cells[k])).sum(axis=(1, 3)) for k in (one, other)]
        together = common / np.sqrt(powers[0] * powers[1] + TINY**2)
        found.append(float((together * sum(powers)).sum() / (sum(powers).sum() + TINY)))
    return float(np.mean(found))


def crosstalk_db(estimates: np.ndarray, sample_rate: int) -> float:
    """Level of an estimate where its voice is silent, over the voice that speaks up there, in dB.

    An estimate's voice is taken as silent in the tenth of the other's loud frames in which the
    estimate is lowest beside it. The lower, the better; mean over all ordered pairs.

    Shape:
        estimates: (sources, samples), at least two sources.
    """
    levels = frame_levels_db(estimates, sample_rate)  # (S, F)
    loud = loud_frames(levels, LOUD_DB)
    found = []
    for speaking, silent in _pairs(len(levels)):
        beside = np.sort((levels[silent] - levels[speaking])[loud[speaking]])
        found.append(float(beside[: max(1, round(QUIET_SHARE * len(beside)))].mean()))
    return float(np.mean(found))


def mixture_consistency_db(mixture: np.ndarray, estimates: np.ndarray) -> float:
    """Power of the mixture over what the estimates' sum leaves of it, in dB; at most 100.

    Shape:
        (samples,), not silent, and (sources, samples).

    References:
        Wisdom et al. 2019, "Differentiable consistency constraints for improved deep speech
        enhancement".
    """
    power = np.mean(np.square(mixture))
    left = np.mean(np.square(mixture - estimates.sum(axis=0)))
    least = power * 10 ** (-MAX_CONSISTENCY_DB / 10)
    return float(10 * np.log10(power / max(left, least)))


def noise_floor_db(mixture: np.ndarray, sample_rate: int) -> float:
    """Power of the quietest tenth of the frames over the mean, bin by bin, in dB; at least -50.

    Speech comes and goes in every bin, lasting noise stays. SI-SDR counts noise as error.

    Shape:
        mixture: (samples,).

    References:
        Martin 2001, "Noise power spectral density estimation based on optimal smoothing and
        minimum statistics".
    """
    power = np.square(np.abs(spectra(mixture[None], sample_rate)[0]))  # (F, bins)
    floor = np.percentile(power, FLOOR_PERCENTILE, axis=0).sum()
    return float(10 * np.log10(floor / (power.mean(axis=0).sum() + TINY) + LEAST_FLOOR))


def level_ratio_db(estimates: np.ndarray) -> float:
    """Level of the loudest estimate over that of the faintest, in dB.

    Shape:
        estimates: (sources, samples).
    """
    levels = power_db(np.mean(np.square(estimates), axis=-1))  # (S,)
    return float(levels.max() - levels.min())


def scaled_to(mixture: np.ndarray, estimates: np.ndarray) -> np.ndarray:
    """The estimates with the gains by which they best add up to the mixture.

    Models that were trained on a measure that is blind to scale give voices of any level. Gains
    that would turn a voice over, or silence it, say that the estimates don't explain the mixture;
    they are then left as they are.

    Shape:
        (samples,) and (sources, samples) to (sources, samples).
    """
    gains = np.linalg.lstsq(estimates.T, mixture, rcond=None)[0]  # (S,)
    return estimates * gains[:, None] if np.all(gains > 0) else estimates


def _products(estimates: np.ndarray) -> np.ndarray:
    return np.asarray(estimates @ estimates.T / estimates.shape[1])  # (S, S)


def _cells(spectrum: np.ndarray) -> np.ndarray:
    """Cut (frames, bins) into (cells, frames, bands, bins); rests and a short end are left out."""
    n_frames, n_bins = spectrum.shape
    frames = min(CELL_FRAMES, n_frames)
    cells, bands = n_frames // frames, n_bins // CELL_BINS
    cut = spectrum[: cells * frames, : bands * CELL_BINS]
    return cut.reshape(cells, frames, bands, CELL_BINS)


def _pairs(count: int) -> Iterator[tuple[int, int]]:
    return ((one, other) for one in range(count) for other in range(count) if one != other)
