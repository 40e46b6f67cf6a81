"""Measures, on signals with known answers."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsat.errors import UsageError
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


def test_silence_gives_the_lowest_figure_and_identity_the_highest():
    reference, silence = orthogonal(1)[0], np.zeros(4_000)
    assert si_sdr_db(silence, reference) == -120
    assert si_sdr_db(reference, silence) == -120
    assert si_sdr_db(silence, silence) == -120
    assert si_sdr_db(-1e-9 * reference, reference) == 120


@pytest.mark.parametrize("samples", [1, 17, 40_000])
def test_si_sdr_is_the_formula_of_the_paper(samples):
    random = np.random.default_rng(samples)
    reference = random.standard_normal(samples)
    for level in (0.001, 1.0, 300.0):
        estimate = reference + level * random.standard_normal(samples)
        target = np.dot(estimate, reference) / np.linalg.norm(reference) ** 2 * reference
        distortion = np.linalg.norm(target - estimate)
        if distortion < 1e-9:  # of one sample everything is explained
            assert si_sdr_db(estimate, reference) == 120
            continue
        wanted = 20 * np.log10(np.linalg.norm(target) / distortion)
        assert si_sdr_db(estimate, reference) == pytest.approx(wanted, rel=1e-6)


def test_single_precision_is_measured_in_double():
    random = np.random.default_rng(0)
    reference = random.standard_normal(100_000).astype(np.float32)
    estimate = reference + np.float32(1e-3) * random.standard_normal(100_000).astype(np.float32)
    wanted = si_sdr_db(estimate.astype(float), reference.astype(float))
    assert si_sdr_db(estimate, reference) == wanted


@given(
    gain=st.floats(1e-100, 1e100) | st.floats(-1e100, -1e-100),
    other=st.floats(1e-100, 1e100),
    seed=st.integers(0, 99),
)
def test_si_sdr_does_not_depend_on_any_level(gain, other, seed):
    random = np.random.default_rng(seed)
    estimate, reference = random.standard_normal((2, 300))
    wanted = si_sdr_db(estimate, reference)
    assert si_sdr_db(gain * estimate, other * reference) == pytest.approx(wanted, rel=1e-9)


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


@given(n_references=st.integers(1, 4), n_more=st.integers(0, 2), seed=st.integers(0, 999))
def test_no_other_permutation_is_better(n_references, n_more, seed):
    n_estimates = n_references + n_more
    pairwise = np.random.default_rng(seed).standard_normal((n_estimates, n_references))
    order = best_permutation(pairwise)
    index = np.arange(n_references)
    best = max(
        pairwise[list(other), index].mean()
        for other in permutations(range(n_estimates), n_references)
    )
    assert len(set(order)) == n_references
    assert pairwise[list(order), index].mean() == best


@pytest.mark.parametrize("n_estimates", [7, 9])
def test_many_sources_are_told_apart_as_few_are(n_estimates, monkeypatch):
    pytest.importorskip("scipy")
    pairwise = np.random.default_rng(n_estimates).standard_normal((n_estimates, 5))
    assigned = best_permutation(pairwise)
    monkeypatch.setattr("vsat.metrics.permutation.MAX_TRIED", 1_000_000)
    assert best_permutation(pairwise) == assigned


def test_twenty_sources_take_no_factorial_time():
    pytest.importorskip("scipy")
    wanted = tuple(np.random.default_rng(0).permutation(20).tolist())
    pairwise = np.zeros((20, 20))
    pairwise[list(wanted), np.arange(20)] = 1.0
    assert best_permutation(pairwise) == wanted


def test_fewer_estimates_than_references_are_refused():
    with pytest.raises(UsageError, match="3 references"):
        best_permutation(np.zeros((2, 3)))


def test_improvement_over_the_mixture():
    first, second, noise = orthogonal(3)
    estimates = np.stack([second + 0.1 * noise, first + 0.1 * noise])
    references = np.stack([first, second])
    improvement = si_sdr_improvement_db(estimates, references, first + second)
    assert improvement == pytest.approx(20, abs=1e-2)  # the mixture itself has 0 dB
