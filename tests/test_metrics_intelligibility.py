"""STOI and ESTOI, against pystoi and on signals with known answers."""

import numpy as np
import pytest

pytest.importorskip("scipy")
pystoi = pytest.importorskip("pystoi")

from vsat.errors import AudioError
from vsat.metrics import intelligibility
from vsat.metrics.intelligibility import envelopes, estoi, stoi


def bursts(samples, seed=0, every=3_000):
    """Noise that comes and goes like syllables, with stretches of silence."""
    random = np.random.default_rng(seed)
    gains = 10 ** random.uniform(-3, 0, samples // every + 1)
    return random.standard_normal(samples) * np.repeat(gains, every)[:samples]


def both(estimate, reference, sample_rate):
    pair = envelopes(estimate, reference, sample_rate)
    return stoi(*pair), estoi(*pair)


def pystoi_both(estimate, reference, sample_rate):
    estimate, reference = estimate.astype(float), reference.astype(float)
    return tuple(
        pystoi.stoi(reference, estimate, sample_rate, extended=extended)
        for extended in (False, True)
    )


@pytest.mark.parametrize("sample_rate", [8_000, 10_000, 16_000, 22_050, 44_100])
@pytest.mark.parametrize("seconds", [1.37, 3.0])
def test_it_is_what_pystoi_says_of_noise(sample_rate, seconds):
    reference = bursts(round(seconds * sample_rate))
    for level in (0.01, 0.3, 3.0):
        estimate = reference + level * bursts(len(reference), seed=1)
        wanted = pystoi_both(estimate, reference, sample_rate)
        assert both(estimate, reference, sample_rate) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("samples", [128 * n + more for n in (50, 51) for more in (-1, 0, 1)])
def test_frames_are_counted_as_pystoi_counts_them(samples):
    reference = bursts(samples, every=100_000)
    estimate = reference + 0.3 * bursts(samples, seed=1)
    wanted = pystoi_both(estimate, reference, 10_000)
    assert both(estimate, reference, 10_000) == pytest.approx(wanted, rel=1e-6)


def test_it_is_what_pystoi_says_of_voices(mixtures):
    for row in mixtures.rows()[:150:30]:
        mixture, references = mixtures.render(row)
        for estimate in (mixture, references[1] + 0.01 * mixture):
            wanted = pystoi_both(estimate, references[0], 16_000)
            assert both(estimate, references[0], 16_000) == pytest.approx(wanted, rel=1e-6)


def test_a_long_recording_is_the_same_in_parts(monkeypatch):
    reference = bursts(100_000)
    estimate = reference + bursts(100_000, seed=1)
    whole = both(estimate, reference, 10_000)
    monkeypatch.setattr(intelligibility, "MAX_AT_ONCE", 37)
    assert both(estimate, reference, 10_000) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("scale", [1e-12, -1.0, 1e6])
def test_it_does_not_depend_on_the_level(scale):
    reference, estimate = bursts(20_000), bursts(20_000) + 0.2 * bursts(20_000, seed=1)
    wanted = both(estimate, reference, 10_000)
    assert both(scale * estimate, reference, 10_000) == pytest.approx(wanted, rel=1e-9)
    assert both(estimate, scale * reference, 10_000) == pytest.approx(wanted, rel=1e-9)


def test_identity_is_one_and_silence_is_nought():
    reference = bursts(20_000)
    assert both(reference, reference, 10_000) == pytest.approx((1, 1))
    assert both(0 * reference, reference, 10_000) == (0, 0)


def test_stretches_of_silence_in_the_estimate_give_the_same_figure_every_time():
    reference = bursts(20_000)
    estimate = np.where(np.arange(20_000) % 8_000 < 6_000, 0.0, reference)
    figures = {both(estimate, reference, 10_000) for _ in range(3)}
    assert len(figures) == 1
    assert 0 < figures.pop()[1] < 0.5


@pytest.mark.parametrize("samples", [1, 255, 256, 257, 4_000])
def test_too_little_sound_is_said(samples):
    with pytest.raises(AudioError, match=r"less than 0.4 s"):
        envelopes(bursts(samples), bursts(samples), 10_000)


def test_silence_of_the_reference_does_not_count_as_sound():
    reference = np.where(np.arange(40_000) < 3_000, bursts(40_000), 0.0)
    with pytest.raises(AudioError, match=r"less than 0.4 s"):
        envelopes(bursts(40_000), reference, 10_000)
