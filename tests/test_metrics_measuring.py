"""All measures of a recording, and of many."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("scipy")

from vsat.errors import AudioError, MissingExtraError, UsageError
from vsat.metrics import (
    DEFAULT_MEASURES,
    MEASURES,
    Separation,
    measure,
    measure_all,
    si_sdr_db,
    si_sdr_improvement_db,
)
from vsat.metrics.bss_eval import sdr_db
from vsat.metrics.intelligibility import envelopes, estoi, stoi

RATE = 8_000
QUICK = tuple(name for name in MEASURES if name != "pesq")


def separation(n_references=2, n_more=0, samples=8_000, seed=0):
    """Estimates in another order than the references, each with more noise than the last."""
    random = np.random.default_rng(seed)
    references = random.standard_normal((n_references, samples))
    order = random.permutation(n_references + n_more)
    estimates = random.standard_normal((n_references + n_more, samples))
    levels = 0.1 * 2.0 ** np.arange(n_references)
    estimates[order[:n_references]] *= levels[:, None]
    estimates[order[:n_references]] += references
    return estimates, references, references.sum(axis=0), order[:n_references]


@pytest.mark.parametrize(("n_references", "n_more"), [(1, 0), (2, 0), (3, 0), (1, 2), (2, 3)])
def test_each_reference_meets_its_own_estimate(n_references, n_more):
    estimates, references, mixture, order = separation(n_references, n_more)
    if n_references == 1:
        mixture = mixture + np.random.default_rng(9).standard_normal(len(mixture))
    found = measure(estimates, references, RATE, mixture=mixture, measures=QUICK)
    assert found.permutation == tuple(order)
    assert tuple(found.values) == tuple(found.by_source) == QUICK
    for index, reference in enumerate(references):
        estimate, of_it = estimates[order[index]], {k: v[index] for k, v in found.by_source.items()}
        pair = envelopes(estimate, reference, RATE)
        assert of_it["si_sdr_db"] == pytest.approx(si_sdr_db(estimate, reference))
        assert of_it["sdr_db"] == pytest.approx(sdr_db(estimate[None], reference)[0])
        assert of_it["si_sdri_db"] == pytest.approx(
            si_sdr_db(estimate, reference) - si_sdr_db(mixture, reference)
        )
        assert of_it["sdri_db"] == pytest.approx(
            np.subtract(*sdr_db(np.stack([estimate, mixture]), reference))
        )
        assert (of_it["stoi"], of_it["estoi"]) == pytest.approx((stoi(*pair), estoi(*pair)))
    for name, figures in found.by_source.items():
        assert found.values[name] == pytest.approx(np.mean(figures))


def test_improvement_is_that_of_the_older_function():
    estimates, references, mixture, _ = separation()
    found = measure(estimates, references, RATE, mixture=mixture, measures=["si_sdri_db"])
    wanted = si_sdr_improvement_db(estimates, references, mixture)
    assert found.values["si_sdri_db"] == pytest.approx(wanted)


@settings(max_examples=15, deadline=None)
@given(
    order=st.permutations(range(4)),
    gains=st.lists(st.floats(1e-6, 1e6), min_size=4, max_size=4),
)
def test_neither_order_nor_level_of_the_estimates_matters(order, gains):
    estimates, references, _, _ = separation(3, 1, samples=4_000)
    wanted = measure(estimates, references, RATE, measures=QUICK[::2])
    turned = (estimates * np.array(gains)[:, None])[list(order)]
    found = measure(turned, references, RATE, measures=QUICK[::2])
    assert found.values == pytest.approx(wanted.values, rel=1e-6)
    assert [order[index] for index in found.permutation] == list(wanted.permutation)


def test_the_default_is_the_contract_less_what_needs_a_mixture(mixtures):
    pytest.importorskip("pesq")
    mixture, references = mixtures.render(mixtures.rows(kind="full")[0])
    estimates = references + 0.1 * mixture
    found = measure(estimates, references, 16_000, mixture=mixture)
    assert tuple(found.values) == DEFAULT_MEASURES
    assert 1 < found.values["pesq"] < 4.6
    without = measure(estimates, references, 16_000)
    assert tuple(without.values) == tuple(n for n in DEFAULT_MEASURES if n != "si_sdri_db")
    assert without.values["sdr_db"] == pytest.approx(found.values["sdr_db"])


def test_a_silent_estimate_is_the_worst_and_not_an_error():
    estimates, references, mixture, order = separation()
    estimates[order[0]] = 0
    found = measure(estimates, references, RATE, mixture=mixture, measures=QUICK)
    of_it = {name: figures[0] for name, figures in found.by_source.items()}
    assert (of_it["si_sdr_db"], of_it["sdr_db"], of_it["stoi"], of_it["estoi"]) == (
        -120,
        -120,
        0,
        0,
    )
    assert all(np.isfinite(list(found.values.values())))


def test_identity_is_the_best():
    _, references, mixture, _ = separation()
    found = measure(references[::-1], references, RATE, mixture=mixture, measures=QUICK)
    assert found.permutation == (1, 0)
    assert found.values["si_sdr_db"] == found.values["sdr_db"] == 120
    assert found.values["stoi"] == pytest.approx(1)


def broken(signals, value):
    copy = signals.copy()
    copy[..., 5] = value
    return copy


E, R, M, _ = separation()


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ((E[:, 1:], R, RATE, M), AudioError, "is 8000 samples, that of the estimates 7999"),
        ((E, R, RATE, M[1:]), AudioError, "is 8000 samples, that of the mixture 7999"),
        ((broken(E, np.nan), R, RATE, M), AudioError, "The estimate 1 holds samples that are NaN"),
        ((E, broken(R, np.inf), RATE, M), AudioError, "The reference 1 holds"),
        ((E, R, RATE, broken(M, np.nan)), AudioError, "The mixture holds samples that are NaN"),
        ((E, R * [[1], [0]], RATE, M), AudioError, "The reference 2 is silent"),
        ((E, R, RATE, 0 * M), AudioError, "The mixture is silent"),
        ((E[:1], R, RATE, M), UsageError, "2 references can't be found among 1 estimates"),
        ((E[0], R, RATE, M), UsageError, r"shape of the estimates is \(8000,\)"),
        ((E, R, RATE, M[None]), UsageError, r"shape of the mixture is \(1, 8000\)"),
        ((E[:, :0], R[:, :0], RATE, M[:0]), AudioError, "no samples"),
        (((1000 * E).astype(np.int16), R, RATE, M), UsageError, "int16"),
        ((E, R, 8_000.5, M), UsageError, "8000.5"),
        ((E, R, 0, M), UsageError, "0 is not a positive"),
        ((E, R, True, M), UsageError, "True"),
    ],
)
def test_what_makes_no_sense_is_said(arguments, error, says):
    estimates, references, rate, mixture = arguments
    with pytest.raises(error, match=says) as raised:
        measure(estimates, references, rate, mixture=mixture, measures=QUICK)
    assert raised.value.hint


def test_unknown_measures_and_improvements_over_nothing_are_refused():
    with pytest.raises(UsageError, match="no measure 'sisdr'"):
        measure(E, R, RATE, measures=["si_sdr_db", "sisdr"])
    with pytest.raises(UsageError, match="sdri_db is over the mixture"):
        measure(E, R, RATE, measures=["sdri_db"])


@pytest.mark.parametrize(
    ("name", "package"), [("sdr_db", "scipy.linalg"), ("stoi", "scipy.signal"), ("pesq", "pesq")]
)
def test_a_missing_extra_is_named(name, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match="is not installed") as raised:
        measure(E, R, RATE, measures=[name])
    assert "pip install 'vsat[evaluate]'" in raised.value.hint


def test_si_sdr_needs_no_extra(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "scipy"]:
        monkeypatch.setitem(sys.modules, name, None)
    assert measure(E, R, RATE, mixture=M, measures=["si_sdr_db", "si_sdri_db"]).values


@pytest.mark.parametrize("workers", [None, 1, 3])
def test_many_are_measured_as_each_by_itself_and_in_order(workers):
    every = [separation(seed=seed) for seed in range(9)]
    items = [Separation(e, r, RATE, m) for e, r, m, _ in every]
    wanted = [measure(e, r, RATE, mixture=m, measures=QUICK) for e, r, m, _ in every]
    assert list(measure_all(items, measures=QUICK, workers=workers)) == wanted


def test_many_are_taken_as_they_are_needed():
    taken = []

    def items():
        for seed in range(100):
            taken.append(seed)
            estimates, references, _, _ = separation(seed=seed, samples=500)
            yield Separation(estimates, references, RATE)

    results = measure_all(items(), measures=["si_sdr_db"], workers=2)
    next(results)
    assert len(taken) <= 4
    results.close()
    assert len(taken) <= 4


def test_an_error_comes_at_the_recordings_turn():
    items = [Separation(E, R, RATE), Separation(broken(E, np.nan), R, RATE)]
    results = measure_all(items, measures=["si_sdr_db"], workers=2)
    assert next(results).values
    with pytest.raises(AudioError, match="NaN"):
        next(results)
