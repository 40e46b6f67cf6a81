"""SDR of BSS Eval, against mir_eval and against least squares written out."""

import warnings

import numpy as np
import pytest
import soxr

pytest.importorskip("scipy")
from scipy.linalg import convolution_matrix
from scipy.signal import lfilter

from vsat.metrics.bss_eval import FILTER_LENGTH, N_FFT, sdr_db


def mir_eval_sdr(estimate, reference):
    """The figure of the library that papers name; its module is deprecated and says so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        separation = pytest.importorskip("mir_eval.separation")
        found, *_ = separation.bss_eval_sources(
            reference[None].astype(float), estimate[None].astype(float), compute_permutation=False
        )
    return found[0]


def least_squares_sdr(estimate, reference):
    """The estimate is padded, and projected on every delay of the reference at once."""
    delays = convolution_matrix(reference, FILTER_LENGTH)
    padded = np.pad(estimate, (0, FILTER_LENGTH - 1))
    target = delays @ np.linalg.lstsq(delays, padded)[0]
    return 10 * np.log10(np.square(target).sum() / np.square(padded - target).sum())


def noise(samples, seed=0):
    return np.random.default_rng(seed).standard_normal(samples)


@pytest.mark.parametrize("samples", [2, 300, FILTER_LENGTH, 1_500])
def test_it_is_the_projection_on_the_delays(samples):
    reference, estimate = noise(samples), noise(samples) + noise(samples, seed=1)
    assert sdr_db(estimate[None], reference)[0] == pytest.approx(
        min(least_squares_sdr(estimate, reference), 120), abs=1e-3
    )


@pytest.mark.parametrize("samples", [700, N_FFT, 40_001])
@pytest.mark.parametrize("level", [1e-3, 1.0, 30.0])
def test_it_is_what_mir_eval_says_of_noise(samples, level):
    reference = lfilter([1], [1, -0.9], noise(samples))
    estimate = lfilter([0.5, 0.2, 0.1], [1], reference) + level * noise(samples, seed=1)
    wanted = mir_eval_sdr(estimate, reference)
    assert sdr_db(estimate[None], reference)[0] == pytest.approx(wanted, abs=1e-3)


def test_it_is_what_mir_eval_says_of_voices(mixtures):
    for row in mixtures.rows()[:150:50]:
        mixture, references = mixtures.render(row)
        for estimate in (mixture, references[1] + 0.01 * mixture):
            wanted = mir_eval_sdr(estimate, references[0])
            assert sdr_db(estimate[None], references[0])[0] == pytest.approx(wanted, abs=1e-3)


def test_a_band_that_is_empty_does_no_harm():
    """Speech at 8 kHz, brought to 16 kHz: the equations are then as good as singular."""
    reference = soxr.resample(noise(8_000), 8_000, 16_000)
    estimate = reference + 0.1 * noise(len(reference), seed=1)
    wanted = mir_eval_sdr(estimate, reference)
    assert sdr_db(estimate[None], reference)[0] == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("reference", [np.sin(0.1 * np.arange(9_000)), np.ones(9_000)])
def test_tones_and_constants_have_a_figure(reference):
    estimate = reference + 0.1 * noise(9_000)
    wanted = mir_eval_sdr(estimate, reference)
    assert sdr_db(estimate[None], reference)[0] == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("power", [1, 4])
@pytest.mark.parametrize("hz", [0.0, 800.0])
def test_a_smooth_pulse_has_a_figure(power, hz):
    """Nothing is left of it above some frequency, where a recursion would divide by rounding."""
    reference = np.blackman(16_000) ** power * np.cos(2 * np.pi * hz * np.arange(16_000) / 16_000)
    estimate = reference + 0.1 * noise(16_000)
    wanted = mir_eval_sdr(estimate, reference)
    assert sdr_db(estimate[None], reference)[0] == pytest.approx(wanted, abs=0.1)


def test_a_filtered_reference_is_no_distortion_and_a_longer_filter_is():
    reference = np.pad(noise(20_000), (0, 600))  # so that nothing is cut off
    taps = np.zeros(600)
    taps[[0, 100, 511]] = 1.0, 0.5, 0.3
    within = lfilter(taps, [1], reference)
    taps[512] = 1.0
    beyond = lfilter(taps, [1], reference)
    assert sdr_db(within[None], reference)[0] > 100
    assert sdr_db(beyond[None], reference)[0] < 5


def test_silence_gives_the_lowest_figure_and_identity_the_highest():
    reference = noise(5_000)
    estimates = np.stack([reference, np.zeros(5_000), -1e-9 * reference])
    assert sdr_db(estimates, reference).tolist() == [120, -120, 120]
    assert sdr_db(estimates, np.zeros(5_000)).tolist() == [-120, -120, -120]
