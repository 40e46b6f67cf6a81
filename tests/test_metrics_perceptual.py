"""PESQ, through its package."""

import subprocess
import sys

import numpy as np
import pytest
import soxr

peer = pytest.importorskip("pesq")

from vsat.errors import AudioError
from vsat.metrics.perceptual import MAX_S, pesq


@pytest.fixture(scope="module")
def voices(mixtures):
    """Two voices and one estimate of the first, four seconds at 16 kHz."""
    mixture, references = mixtures.render(mixtures.rows(kind="full")[1])
    return (references[0] + 0.1 * mixture)[:64_000], references[0][:64_000]


def test_wide_band_at_16_khz_is_what_the_package_says(voices):
    estimate, reference = voices
    wanted = peer.pesq(16_000, reference, estimate, "wb")
    assert 1.1 < wanted < 4.6
    assert pesq(estimate, reference, 16_000) == pytest.approx(wanted, rel=1e-6)


def test_narrow_band_at_8_khz_is_what_the_package_says(voices):
    estimate, reference = (soxr.resample(one, 16_000, 8_000) for one in voices)
    wanted = peer.pesq(8_000, reference, estimate, "nb")
    assert pesq(estimate, reference, 8_000) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(("rate", "as_at"), [(11_025, 8_000), (44_100, 16_000)])
def test_other_rates_are_brought_to_the_next_lower_one(voices, rate, as_at):
    wanted = pesq(*(soxr.resample(one, 16_000, as_at) for one in voices), as_at)
    given = pesq(*(soxr.resample(one, 16_000, rate) for one in voices), rate)
    assert given == pytest.approx(wanted, abs=0.05)


def test_identity_is_the_highest_and_silence_the_lowest(voices):
    _, reference = voices
    assert pesq(reference, reference, 16_000) == pytest.approx(4.644, abs=1e-3)
    assert pesq(0 * reference, reference, 16_000) == 1.0


def test_a_long_recording_has_the_mean_of_its_pieces(voices):
    estimate, reference = (np.tile(one, 5) for one in voices)  # 20 s: two pieces
    half = len(reference) // 2
    halves = [
        pesq(estimate[part], reference[part], 16_000) for part in (slice(half), slice(half, None))
    ]
    assert pesq(estimate, reference, 16_000) == pytest.approx(np.mean(halves))


@pytest.mark.parametrize("scale", [1e-30, -0.001, 50.0])
def test_it_does_not_depend_on_the_level(voices, scale):
    estimate, reference = voices
    wanted = pesq(estimate, reference, 16_000)
    assert pesq(scale * estimate.astype(float), reference, 16_000) == pytest.approx(
        wanted, rel=1e-6
    )


@pytest.mark.parametrize("floor", [0.0, 1e-4])
def test_pieces_in_which_the_reference_is_silent_do_not_count(voices, floor):
    estimate, reference = voices
    alone = pesq(np.tile(estimate, 4), np.tile(reference, 4), 16_000)
    hiss = floor * np.random.default_rng(0).standard_normal(256_000).astype(np.float32)
    wanted = np.concatenate([np.tile(reference, 4), hiss])
    given = np.concatenate([np.tile(estimate, 4), np.tile(estimate, 4)])
    assert pesq(given, wanted, 16_000) == pytest.approx(alone)


def test_the_densest_utterances_do_not_end_the_process():
    """The package crashes on more than 50 utterances: here 0.44 s each, for two minutes."""
    code = """
import numpy as np
from vsat.metrics.perceptual import pesq
random, t = np.random.default_rng(0), np.arange(8_000 * 120) / 8_000
reference = random.standard_normal(len(t)) * (t % 0.44 < 0.22)
print(pesq(reference + 0.1 * random.standard_normal(len(t)), reference, 8_000))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert 1 < float(done.stdout) < 4.6
    assert MAX_S / 0.4 <= 50


@pytest.mark.parametrize("samples", [1, 3_000])
def test_too_short_is_said(voices, samples):
    estimate, reference = voices
    with pytest.raises(AudioError, match="finds no speech"):
        pesq(estimate[20_000:][:samples], reference[20_000:][:samples], 16_000)


def test_a_rate_below_the_telephone_is_refused(voices):
    with pytest.raises(AudioError, match="4000 Hz"):
        pesq(*voices, 4_000)
