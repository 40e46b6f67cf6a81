"""Signals in short frames and windows: their levels, their spectra, and where they are loud."""

import numpy as np

FRAME_S, HOP_S = 0.032, 0.016
TINY = 1e-12  # added to powers, so that silence is -120 dB
LOUD_PERCENTILE = 95  # of its frames, what counts as a voice's own level; steadier than the maximum


def power_db(power: np.ndarray) -> np.ndarray:
    """A power in dB over 1, at least -120."""
    return np.asarray(10 * np.log10(power + TINY))


def frame_levels_db(signals: np.ndarray, sample_rate: int) -> np.ndarray:
    """Level of each frame in dBFS, at least -120.

    Shape:
        (sources, samples) to (sources, frames), at least one frame.
    """
    return power_db(np.mean(np.square(_framed(signals, sample_rate)), axis=-1))


def spectra(signals: np.ndarray, sample_rate: int) -> np.ndarray:
    """Complex spectra of Hann-windowed frames.

    Shape:
        (sources, samples) to (sources, frames, bins).
    """
    frames = _framed(signals, sample_rate)  # (S, F, T)
    return np.fft.rfft(frames * np.hanning(frames.shape[-1]))


def loud_frames(levels_db: np.ndarray, within_db: float) -> np.ndarray:
    """Frames in which a source is within so many dB of its own level.

    Shape:
        (sources, frames) to (sources, frames), bool.
    """
    own = np.percentile(levels_db, LOUD_PERCENTILE, axis=-1, keepdims=True)  # (S, 1)
    return np.asarray(levels_db > own - within_db)


def windows_of(signals: np.ndarray, length: int) -> np.ndarray:
    """Windows side by side; a rest at the end is left out. A short signal is one window.

    Shape:
        (sources, samples) to (windows, sources, length).
    """
    n_sources, n_samples = signals.shape
    length = min(length, n_samples)
    count = n_samples // length
    cut = signals[:, : count * length].reshape(n_sources, count, length)  # (S, W, T)
    return np.moveaxis(cut, 1, 0)


def _framed(signals: np.ndarray, sample_rate: int) -> np.ndarray:
    frame, hop = round(FRAME_S * sample_rate), round(HOP_S * sample_rate)
    short = max(0, frame - signals.shape[-1])
    padded = np.pad(signals.astype(np.float64), ((0, 0), (0, short)))
    return np.lib.stride_tricks.sliding_window_view(padded, frame, axis=-1)[:, ::hop]
