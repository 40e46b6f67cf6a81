"""Measures without references, on signals with known answers and on real voices."""

import json
from itertools import pairwise

import numpy as np
import pytest

from vsat.errors import AudioError, UsageError
from vsat.estimation import estimate
from vsat.estimation.frames import spectra, windows_of
from vsat.estimation.measures import ONE_VOICE_DB
from vsat.estimation.outputs import (
    coherence,
    crosstalk_db,
    decorrelation_db,
    level_ratio_db,
    mixture_consistency_db,
    noise_floor_db,
    scaled_to,
)
from vsat.estimation.reseparation import consistency, separated_again, shifted_apart
from vsat.metrics import best_permutation, pairwise_si_sdr_db

SAMPLE_RATE = 16_000
SPLIT_HZ = 1_500
ALWAYS = {"est_mixture_consistency_db", "est_level_ratio_db"}


def band(signal, low_hz, high_hz):
    spectrum = np.fft.rfft(signal)
    frequency = np.fft.rfftfreq(signal.shape[-1], 1 / SAMPLE_RATE)
    return np.fft.irfft(
        spectrum * ((frequency >= low_hz) & (frequency < high_hz)), signal.shape[-1]
    )


def two_voices(seconds=4.0, seed=0):
    """Noise in syllables, one voice below the split and one above it, at equal level."""
    random = np.random.default_rng(seed)
    length = round(seconds * SAMPLE_RATE)
    voices = []
    for low_hz, high_hz in ((100, SPLIT_HZ), (SPLIT_HZ, 6_000)):
        syllables = np.repeat(random.choice([0.05, 1.0], size=length // 4_000 + 1), 4_000)[:length]
        voice = band(random.standard_normal(length) * syllables, low_hz, high_hz)
        voices.append(0.05 * voice / np.sqrt(np.mean(voice**2)))
    return np.stack(voices)


def by_band(mixture):
    """The separator that knows the truth."""
    return np.stack([band(mixture, 0, SPLIT_HZ), band(mixture, SPLIT_HZ, SAMPLE_RATE)])


def leaking(share):
    def separate(mixture):
        voices = by_band(mixture)
        return (1 - share) * voices + share * voices[::-1]

    return separate


def passed_through(mixture):
    return np.stack([mixture / 2, mixture / 2])


def judged(separate, mixture):
    return estimate(separate, mixture, separate(mixture), SAMPLE_RATE)


def test_a_perfect_separation_is_consistent_with_itself():
    found = judged(by_band, two_voices().sum(axis=0))
    assert found["est_self_consistency_db"] > 45
    assert found["est_weakest_self_consistency_db"] > 45
    assert found["est_swap_share"] == 0
    assert found["est_decorrelation_db"] > 20
    assert found["est_mixture_consistency_db"] == pytest.approx(100)
    assert found["est_si_sdr_db"] > 12


def test_a_mixture_that_was_passed_through_is_found_out():
    found = judged(passed_through, two_voices().sum(axis=0))
    assert found["est_self_consistency_db"] < 3
    assert found["est_decorrelation_db"] == pytest.approx(0, abs=0.1)
    assert found["est_coherence"] == pytest.approx(1, abs=0.01)
    assert found["est_crosstalk_db"] == pytest.approx(0, abs=0.1)
    assert found["est_si_sdr_db"] < 2


def test_the_estimate_falls_as_more_leaks():
    mixture = two_voices().sum(axis=0)
    found = [judged(leaking(share), mixture) for share in (0.02, 0.1, 0.2, 0.3, 0.45)]
    for key, sign in (("est_si_sdr_db", -1), ("est_decorrelation_db", -1), ("est_coherence", 1)):
        assert (sign * np.diff([one[key] for one in found]) > 0).all(), key


def test_decorrelation_is_the_si_sdr_of_a_posterior_mean():
    """Gaussian voices of known variances, for which the posterior mean is a constant share."""
    random = np.random.default_rng(1)
    variances = np.repeat(random.uniform(0.01, 1, (2, 400)), 400, axis=1)
    references = random.standard_normal(variances.shape) * np.sqrt(variances)
    estimates = references.sum(axis=0) * variances / variances.sum(axis=0)
    true_db = np.diagonal(pairwise_si_sdr_db(estimates, references))
    np.testing.assert_allclose(decorrelation_db(estimates), true_db, atol=0.3)


def test_crosstalk_is_the_level_of_what_leaks_into_silence():
    voices = np.random.default_rng(2).standard_normal((2, 64_000))
    voices[0, 5_000:20_000] = 0
    voices[1, 40_000:55_000] = 0
    assert crosstalk_db(voices, SAMPLE_RATE) < -100
    for level_db in (-10, -20, -30):
        leaked = voices + 10 ** (level_db / 20) * voices[::-1]
        assert crosstalk_db(leaked, SAMPLE_RATE) == pytest.approx(level_db, abs=0.5)


def test_a_shared_carrier_is_coherent_and_separate_ones_are_not():
    one, other = np.random.default_rng(3).standard_normal((2, 64_000))
    assert coherence(np.stack([one, 0.2 * one]), SAMPLE_RATE) == pytest.approx(1, abs=1e-6)
    assert coherence(np.stack([one, -one]), SAMPLE_RATE) == pytest.approx(-1, abs=1e-6)
    assert abs(coherence(np.stack([one, other]), SAMPLE_RATE)) < 0.05


def test_mixture_consistency_is_the_mixture_over_what_is_left():
    voices = two_voices()
    mixture = voices.sum(axis=0)
    noise = np.random.default_rng(4).standard_normal(len(mixture))
    noise *= 0.1 * np.sqrt(np.mean(mixture**2) / np.mean(noise**2))
    assert mixture_consistency_db(mixture + noise, voices) == pytest.approx(20, abs=0.1)
    assert mixture_consistency_db(mixture, voices) == pytest.approx(100)


def test_the_noise_floor_is_that_of_the_pauses():
    random = np.random.default_rng(5)
    speech = random.standard_normal(64_000)
    speech[20_000:40_000] = 0
    floors = []
    for level_db in (-20, -30):
        noise = 10 ** (level_db / 20) * random.standard_normal(64_000)
        floors.append(noise_floor_db(speech + noise, SAMPLE_RATE))
    assert floors[1] - floors[0] == pytest.approx(-10, abs=0.5)
    assert noise_floor_db(speech, SAMPLE_RATE) == pytest.approx(-50)


def test_gains_are_found_again_and_a_turned_over_voice_is_left():
    voices = two_voices()
    mixture = voices.sum(axis=0)
    gains = np.array([[3.0], [0.2]])
    np.testing.assert_allclose(scaled_to(mixture, gains * voices), voices, atol=1e-9)
    turned = voices * np.array([[1.0], [-1.0]])
    np.testing.assert_array_equal(scaled_to(mixture, turned), turned)
    assert level_ratio_db(gains * voices) == pytest.approx(20 * np.log10(15), abs=0.01)


def test_any_scale_of_an_estimate_gives_the_same():
    mixture = two_voices().sum(axis=0)
    plain = judged(leaking(0.1), mixture)
    scaled = estimate(leaking(0.1), mixture, leaking(0.1)(mixture) * [[5.0], [0.5]], SAMPLE_RATE)
    for key in plain.keys() - {"est_mixture_consistency_db"}:
        assert scaled[key] == pytest.approx(plain[key], abs=0.02), key


def test_a_model_that_changes_its_mind_is_seen_in_the_windows():
    voices = two_voices()
    swapped = voices.copy()
    swapped[:, 32_000:40_000] = voices[::-1, 32_000:40_000]
    found = consistency(swapped, voices, SAMPLE_RATE)
    assert 0 < found.swap_share < 1
    assert found.by_window_db < 49
    assert consistency(voices, voices, SAMPLE_RATE).swap_share == 0


def test_each_estimate_is_shifted_by_its_own_share_and_comes_back_in_its_place():
    estimates = np.eye(3, 9)
    assert shifted_apart(estimates).argmax(axis=1).tolist() == [0, 4, 8]
    voices = two_voices()
    again = separated_again(lambda mixture: by_band(mixture)[::-1], voices)
    np.testing.assert_allclose(again, voices, atol=1e-6)


def test_windows_lose_nothing_but_the_rest():
    signal = np.arange(20.0).reshape(2, 10)
    cut = windows_of(signal, 3)
    assert cut.shape == (3, 2, 3)
    np.testing.assert_array_equal(np.concatenate(list(cut), axis=1), signal[:, :9])
    assert windows_of(signal, 99).shape == (1, 2, 10)


def test_spectra_show_a_tone_at_its_frequency():
    times = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    spectrum = np.abs(spectra(np.sin(2 * np.pi * 1_000 * times)[None], SAMPLE_RATE))
    assert (spectrum[0].argmax(axis=-1) == 32).all()  # of bins of 31.25 Hz


def test_silence_has_no_measures():
    assert judged(by_band, np.zeros(SAMPLE_RATE * 2)) == {}
    assert estimate(by_band, np.zeros(0), np.zeros((2, 0)), SAMPLE_RATE) == {}


def test_a_single_voice_and_a_short_recording_have_two_measures():
    voice = two_voices()[0]
    assert judged(by_band, voice).keys() == ALWAYS
    assert judged(by_band, two_voices(0.9).sum(axis=0)).keys() == ALWAYS
    faint = np.stack([voice, voice[::-1] * 10 ** (-(ONE_VOICE_DB + 1) / 20)])
    assert estimate(by_band, faint.sum(axis=0), faint, SAMPLE_RATE).keys() == ALWAYS


def test_three_estimates_are_measured_but_not_rated():
    def separate(mixture):
        edges = (0, 800, 2_000, SAMPLE_RATE)
        return np.stack([band(mixture, *edge) for edge in pairwise(edges)])

    found = judged(separate, two_voices().sum(axis=0))
    assert "est_si_sdr_db" not in found
    assert found["est_self_consistency_db"] > 45


def test_of_a_long_recording_the_liveliest_minute_is_measured():
    alone = np.concatenate([two_voices(50)[:1], np.zeros((1, 50 * SAMPLE_RATE))])
    mixture = np.concatenate([alone, two_voices(60, seed=1)], axis=1).sum(axis=0)
    lengths = []

    def separate(samples):
        lengths.append(len(samples))
        return by_band(samples)

    found = estimate(separate, mixture, by_band(mixture), SAMPLE_RATE)
    assert lengths == [60 * SAMPLE_RATE]
    assert found["est_level_ratio_db"] < 2


def test_a_lone_voice_late_in_a_long_recording_is_no_silence():
    mixture = np.zeros(130 * SAMPLE_RATE)
    mixture[-40 * SAMPLE_RATE :] = two_voices(40)[0]
    estimates = np.stack([mixture, np.zeros_like(mixture)])
    assert estimate(by_band, mixture, estimates, SAMPLE_RATE).keys() == ALWAYS


def test_what_does_not_fit_is_refused():
    mixture = two_voices().sum(axis=0)
    with pytest.raises(UsageError, match="don't fit"):
        estimate(by_band, mixture, by_band(mixture)[:, 1:], SAMPLE_RATE)
    with pytest.raises(UsageError, match="One estimate"):
        estimate(by_band, mixture, mixture[None], SAMPLE_RATE)
    with pytest.raises(AudioError, match="finite"):
        estimate(by_band, mixture, by_band(mixture) * np.nan, SAMPLE_RATE)


def test_every_measure_is_a_finite_plain_float():
    found = judged(leaking(0.1), two_voices().sum(axis=0))
    assert all(key.startswith("est_") for key in found)
    assert all(type(value) is float and np.isfinite(value) for value in found.values())
    assert json.loads(json.dumps(found)) == found


def test_the_estimate_follows_the_truth_on_unknown_voices(mixtures):
    """Of the model that ships; the models of other qualities are in docs/estimated-quality.md."""
    from vsat import VoiceSeparator

    separator = VoiceSeparator(precision="f32", threads=1)

    def separate(mixture):
        return separator.separate_voices(mixture, SAMPLE_RATE)

    true, estimated = [], []
    long = [row for row in mixtures.rows() if float(row["offset_s"] or 0) < 3]
    for row in long[::5]:
        mixture, references = (part[..., : 4 * SAMPLE_RATE] for part in mixtures.render(row))
        if len(mixture) < 4 * SAMPLE_RATE:  # the engine compiles anew for each length
            continue
        estimates = separate(mixture)
        figures = pairwise_si_sdr_db(estimates, references)
        true.append(figures[list(best_permutation(figures)), [0, 1]].mean())
        estimated.append(estimate(separate, mixture, estimates, SAMPLE_RATE)["est_si_sdr_db"])
    assert len(true) >= 12
    assert np.corrcoef(true, estimated)[0, 1] > 0.7
    assert np.abs(np.subtract(true, estimated)).mean() < np.abs(true - np.mean(true)).mean()
