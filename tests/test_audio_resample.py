"""Resampling of streams: lengths, tones, and that blocks leave no trace."""

import numpy as np
import pytest

from vsat.audio.resample import exactly, resample_stream


def tone(hz, rate, seconds=1.0):
    return np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate).astype(np.float32)


@pytest.mark.parametrize("rates", [(8_000, 16_000), (44_100, 16_000), (96_000, 8_000)])
def test_a_tone_stays_the_same_tone(rates):
    signal = tone(440, rates[0])
    blocks = np.array_split(signal, 7)
    resampled = np.concatenate(list(resample_stream(blocks, *rates)))
    wanted = tone(440, rates[1])
    assert abs(len(resampled) - len(wanted)) <= 1
    inner = slice(len(wanted) // 10, -len(wanted) // 10)
    np.testing.assert_allclose(resampled[: len(wanted)][inner], wanted[inner], atol=1e-3)


def test_equal_rates_change_nothing():
    signal = tone(100, 8_000)
    assert next(resample_stream([signal], 8_000, 8_000)) is signal


def test_there_and_back_has_the_old_length():
    signal = tone(300, 44_100)[:, None]
    there = resample_stream(np.array_split(signal, 5), 44_100, 16_000)
    back = np.concatenate(list(exactly(resample_stream(there, 16_000, 44_100), len(signal))))
    assert back.shape == signal.shape
    np.testing.assert_allclose(back[2_000:-2_000], signal[2_000:-2_000], atol=1e-3)


@pytest.mark.parametrize("length", [0, 3, 10, 25])
def test_exactly_cuts_and_fills(length):
    blocks = [np.ones((4, 2), np.float32), np.ones((6, 2), np.float32)]
    out = list(exactly(blocks, length))
    joined = np.concatenate(out) if out else np.zeros((0, 2))
    assert joined.shape == (length, 2)
    assert joined.sum() == 2 * min(length, 10)
