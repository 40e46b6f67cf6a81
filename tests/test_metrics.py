"""Measures, on signals with known answers."""

import numpy as np
import pytest

from vsat.metrics import (
    best_permutation,
    pairwise_si_sdr_db,
    si_sdr_db,
    si_sdr_improvement_db,
)


def orthogonal(n, length=4_000):
    return np.linalg.qr(np.random.default_rng(0).standard_normal((length, n)))[0].T


@pytest.mark.parametrize("wanted_db", [-10.0, 0.0, 25.0])
@pytest.mark.parametrize("scale", [1e-3, 1.0, -40.0])
def test_si_sdr_is_the_ratio_of_orthogonal_parts_whatever_the_scale(wanted_db, scale):
    reference, noise = orthogonal(2)
    estimate = scale * (reference + 10 ** (-wanted_db / 20) * noise)
    assert si_sdr_db(estimate, reference) == pytest.approx(wanted_db, abs=1e-4)


def test_silence_gives_a_finite_figure():
    reference = orthogonal(1)[0]
    assert si_sdr_db(np.zeros(4_000), reference) == pytest.approx(0.0)
    assert np.isfinite(si_sdr_db(reference, np.zeros(4_000)))
    assert si_sdr_db(reference, reference) > 100


def test_pairwise_is_indexed_estimate_then_reference():
    first, second, noise = orthogonal(3)
    pairwise = pairwise_si_sdr_db(np.stack([first + 0.1 * noise, noise]), np.stack([first, second]))
    assert pairwise[0, 0] == pytest.approx(20, abs=1e-3)
    assert pairwise[1, 0] < -60


def test_best_permutation_on_an_example_that_is_not_its_own_inverse():
    pairwise = np.array([[0, 9, 0], [0, 0, 9], [9, 0, 0.0]])
    assert best_permutation(pairwise) == (2, 0, 1)


def test_more_estimates_than_references():
    assert best_permutation(np.array([[0.0, 1], [5, 0], [1, 7]])) == (1, 2)


def test_improvement_over_the_mixture():
    first, second, noise = orthogonal(3)
    estimates = np.stack([second + 0.1 * noise, first + 0.1 * noise])
    references = np.stack([first, second])
    improvement = si_sdr_improvement_db(estimates, references, first + second)
    assert improvement == pytest.approx(20, abs=1e-2)  # the mixture itself has 0 dB
