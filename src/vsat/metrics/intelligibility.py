"""Short-time objective intelligibility: STOI, and its extended form ESTOI.

Both compare the envelopes of estimate and reference in third-octave bands, over segments of 0.4 s
from which the reference's silence has been cut out. They don't depend on the level of either.

References:
    STOI: Taal et al. 2011, "An algorithm for intelligibility prediction of time-frequency weighted
    noisy speech".
    ESTOI: Jensen & Taal 2016, "An algorithm for predicting the intelligibility of speech masked by
    modulated noise maskers".
"""

from collections.abc import Iterator
from math import ceil, gcd

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from vsat.errors import AudioError
from vsat.metrics.decibels import at_peak_one
from vsat.metrics.extra import evaluate_extra

RATE = 10_000  # Hz, at which the measure is defined
FRAME = 256  # samples
HOP = FRAME // 2
N_FFT = 512
N_BANDS = 15
LOWEST_HZ = 150.0  # centre of the lowest band
RANGE_DB = 40.0  # frames of the reference that are that much below the loudest are silence
SEGMENT = 30  # frames, 0.4 s
LOWEST_SDR_DB = -15.0  # what is worse than that counts as that bad, in STOI
STOPBAND_DB = 60.0  # of the filter for resampling
MAX_AT_ONCE = 2_048  # frames or segments: bounds the memory that a long recording takes
EPS = float(np.finfo(np.float64).eps)
WINDOW = np.hanning(FRAME + 2)[1:-1]  # without the zeros at its ends
_EDGES_HZ = LOWEST_HZ * 2.0 ** ((2 * np.arange(N_BANDS + 1) - 1) / 6)
EDGES = np.round(_EDGES_HZ * N_FFT / RATE).astype(int)  # bins; a band begins where one ends

Envelopes = tuple[np.ndarray, np.ndarray]


def envelopes(estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> Envelopes:
    """What STOI and ESTOI compare: magnitudes in bands, of the estimate and of the reference.

    The samples are expected to be finite, and the reference not to be silent.

    Shape:
        (samples,) both, to (bands, frames) both.

    Raises:
        AudioError: the reference holds less than 0.4 s of sound.
        MissingExtraError: SciPy is not installed.
    """
    both = _resampled(at_peak_one(np.stack([estimate, reference])), sample_rate)  # (2, T)
    bands = _bands(_without_silence(both))
    if bands.shape[-1] < SEGMENT:
        raise AudioError(
            "A reference holds less than 0.4 s of sound, too little for STOI.",
            hint="Leave that recording out, or measure it without stoi and estoi.",
        )
    return bands[0], bands[1]


def stoi(estimate: np.ndarray, reference: np.ndarray) -> float:
    """STOI of `envelopes`: 1 for an estimate like the reference, 0 for silence.

    Shape:
        (bands, frames) both.
    """
    total = 0.0
    for ours, wanted in _segments(estimate, reference):  # (bands, J, frames) both
        scale = _norms(wanted) / (_norms(ours) + EPS)
        clipped = np.minimum(ours * scale, wanted * (1 + 10 ** (-LOWEST_SDR_DB / 20)))
        correlations = _centred(clipped, 2) * _centred(wanted, 2)
        total += float(correlations.sum())
    return total / (N_BANDS * _n_segments(reference))


def estoi(estimate: np.ndarray, reference: np.ndarray) -> float:
    """ESTOI of `envelopes`: 1 for an estimate like the reference, 0 for silence.

    Shape:
        (bands, frames) both.
    """
    total = 0.0
    for ours, wanted in _segments(estimate, reference):  # (bands, J, frames) both
        alike = _centred(_centred(ours, 2), 0) * _centred(_centred(wanted, 2), 0)
        total += float(alike.sum())
    return total / (SEGMENT * _n_segments(reference))


def _resampled(signals: np.ndarray, sample_rate: int) -> np.ndarray:
    """Signals at `RATE`, through the filter that the published figures were computed with."""
    if sample_rate == RATE:
        return signals
    with evaluate_extra("STOI"):
        from scipy.signal import firwin, resample_poly
    common = gcd(RATE, sample_rate)
    up, down = RATE // common, sample_rate // common
    cutoff = 1 / max(up, down)  # of half the rate between up and down
    half = ceil((STOPBAND_DB - 8) / (28.714 * cutoff / 20))  # Kaiser's formula for the length
    window = ("kaiser", 0.1102 * (STOPBAND_DB - 8.7))
    taps = firwin(2 * half + 1, cutoff, window=window)
    return np.asarray(resample_poly(signals, up, down, axis=-1, window=taps))


def _frames(signals: np.ndarray) -> np.ndarray:
    """Windowed frames, without one that would end with the signal: (S, T) to (S, F, samples)."""
    if signals.shape[-1] <= FRAME:
        return np.zeros((len(signals), 0, FRAME))
    return sliding_window_view(signals[:, :-1], FRAME, axis=-1)[:, ::HOP] * WINDOW


def _without_silence(signals: np.ndarray) -> np.ndarray:
    """Signals put together anew from the frames in which the last of them sounds: (S, T')."""
    frames = _frames(signals)  # (S, F, samples)
    if not frames.shape[1]:
        return signals
    energies_db = 20 * np.log10(np.sqrt(np.einsum("ft,ft->f", frames[-1], frames[-1])) + EPS)
    kept = frames[:, energies_db > energies_db.max() - RANGE_DB]
    halves = np.zeros((len(signals), kept.shape[1] + 1, HOP))
    halves[:, :-1] += kept[..., :HOP]
    halves[:, 1:] += kept[..., HOP:]
    return halves.reshape(len(signals), -1)  # (S, T')


def _bands(signals: np.ndarray) -> np.ndarray:
    """Magnitudes in third-octave bands, frame by frame: (S, T) to (S, bands, frames)."""
    frames = _frames(signals)  # (S, F, samples)
    found = np.empty((len(signals), N_BANDS, frames.shape[1]))
    for first in range(0, frames.shape[1], MAX_AT_ONCE):
        part = slice(first, first + MAX_AT_ONCE)
        spectra = np.fft.rfft(frames[:, part], N_FFT)[..., : EDGES[-1]]  # (S, F, bins)
        power = spectra.real**2 + spectra.imag**2
        found[..., part] = np.sqrt(np.add.reduceat(power, EDGES[:-1], axis=-1)).swapaxes(1, 2)
    return found


def _n_segments(bands: np.ndarray) -> int:
    return int(bands.shape[-1]) - SEGMENT + 1


def _segments(estimate: np.ndarray, reference: np.ndarray) -> Iterator[Envelopes]:
    """All segments of two envelopes, some at a time: (bands, segments, frames) both."""
    both = [sliding_window_view(bands, SEGMENT, axis=-1) for bands in (estimate, reference)]
    for first in range(0, both[0].shape[1], MAX_AT_ONCE):
        part = slice(first, first + MAX_AT_ONCE)
        yield both[0][:, part], both[1][:, part]


def _norms(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(values, axis=-1, keepdims=True))


def _centred(values: np.ndarray, axis: int) -> np.ndarray:
    """Values less their mean along an axis, brought to a norm of 1; what is constant becomes 0."""
    centred = values - values.mean(axis=axis, keepdims=True)
    norms = np.sqrt(np.square(centred).sum(axis=axis, keepdims=True))
    return np.asarray(centred / (norms + EPS))
