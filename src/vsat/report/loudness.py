"""Loudness of a recording, so that players can be matched by ear and not by peak.

References:
    Recommendation ITU-R BS.1770-4 (2015), "Algorithms to measure audio programme loudness and
    true-peak audio level".
"""

import numpy as np

BLOCK_S = 0.4  # seconds, as the recommendation has it
OVERLAP = 4  # blocks begin four times in one block's length
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
OFFSET_LUFS = -0.691  # makes a full-scale sine of 997 Hz in one channel -3.01 LUFS
FILTER_RATE = 48_000  # Hz, of the coefficients
STAGES = (  # numerator and denominator: the head's shelf, then the high pass
    (
        (1.53512485958697, -2.69169618940638, 1.19839281085285),
        (1.0, -1.69065929318241, 0.73248077421585),
    ),
    (
        (1.0, -2.0, 1.0),
        (1.0, -1.99004745483398, 0.99007225036621),
    ),
)


def loudness_lufs(samples: np.ndarray, sample_rate: int) -> float:
    """Integrated loudness of one channel, in LUFS: K-weighted and gated, so pauses do not count.

    The weighting is applied to the power spectrum of each block, with the response that the filters
    have at that frequency whatever the sample rate. What is shorter than a block is filled up with
    silence. Silence gives minus infinity.

    Shape:
        (samples,), nominally within -1 and 1.

    Example:
        >>> tone = np.sin(2 * np.pi * 997 * np.arange(48_000) / 48_000)
        >>> round(loudness_lufs(tone, 48_000), 1)
        -3.0
    """
    powers = _block_powers(samples.astype(np.float64), sample_rate)
    powers = powers[_lufs(powers) > ABSOLUTE_GATE_LUFS]
    if not powers.size:
        return float("-inf")
    gate = float(_lufs(powers.mean())) + RELATIVE_GATE_LU
    return float(_lufs(powers[_lufs(powers) > gate].mean()))


def _block_powers(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Weighted mean square of each block, (blocks,)."""
    length = round(BLOCK_S * sample_rate)
    padded = np.pad(samples, (0, max(0, length - len(samples))))
    blocks = np.lib.stride_tricks.sliding_window_view(padded, length)
    blocks = blocks[:: max(1, length // OVERLAP)]  # (blocks, T)
    spectra = np.fft.rfft(blocks, axis=1)
    power = 2 * (spectra.real**2 + spectra.imag**2) / length**2  # (blocks, bins), of both halves
    power[:, 0] /= 2
    frequencies = np.fft.rfftfreq(length, 1 / sample_rate)
    return np.asarray(power @ _weights(frequencies))


def _weights(frequencies: np.ndarray) -> np.ndarray:
    """Gain of power at each frequency in Hz; nothing passes beyond half the filters' rate."""
    delay = np.exp(-2j * np.pi * frequencies / FILTER_RATE)
    weights = np.where(frequencies < FILTER_RATE / 2, 1.0, 0.0)
    for numerator, denominator in STAGES:
        response = np.polyval(numerator[::-1], delay) / np.polyval(denominator[::-1], delay)
        weights = weights * np.abs(response) ** 2
    return weights


def _lufs(power: np.ndarray | float) -> np.ndarray:
    return np.asarray(OFFSET_LUFS + 10 * np.log10(np.maximum(power, 1e-30)))
