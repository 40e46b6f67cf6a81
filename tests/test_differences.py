"""Verdicts keep their promise: a model against itself is hardly ever called another one."""

import sys

import numpy as np
import pytest

pytest.importorskip("scipy")

from vsat.errors import MissingExtraError
from vsat.evaluation.differences import Verdict, compare

SHAPES = {
    "normal": lambda random, n: random.normal(0, 1, n),
    "skewed": lambda random, n: random.exponential(1, n) - 1,
    "heavy tails": lambda random, n: random.standard_t(3, n),
}


def verdicts(shape, n, shift=0.0, rounds=200):
    random = np.random.default_rng(n)
    for _ in range(rounds):
        hard = random.normal(8, 3, n)  # the recordings differ more than the models
        yield compare("si_sdri_db", hard + SHAPES[shape](random, n) + shift, hard)


@pytest.mark.parametrize("n", [5, 10, 30])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_model_against_itself_under_noise_cannot_be_told(shape, n):
    told = sum(found.verdict is not Verdict.UNDECIDED for found in verdicts(shape, n))
    assert told <= 0.05 * 200


@pytest.mark.parametrize("n", [10, 30, 100])
def test_the_interval_holds_the_true_mean(n):
    covered = sum(found.low <= 0.5 <= found.high for found in verdicts("normal", n, shift=0.5))
    assert 0.91 * 200 <= covered <= 200


def test_a_clear_difference_is_told_both_ways():
    assert all(found.verdict is Verdict.BETTER for found in verdicts("normal", 30, 3.0, 20))
    assert all(found.verdict is Verdict.WORSE for found in verdicts("normal", 30, -3.0, 20))


def test_where_less_is_better_the_verdict_looks_the_other_way():
    random = np.random.default_rng(3)
    one, other = random.normal(-5, 1, 30), np.zeros(30)
    found = compare("est_crosstalk_db", one, other, higher_is_better=False)
    assert found.verdict is Verdict.BETTER
    assert found.mean < 0
    assert found.win_rate == 1
    assert compare("x", one, other).verdict is Verdict.WORSE


def test_how_many_more_files_it_takes_is_about_right():
    random = np.random.default_rng(1)
    few = random.normal(0.2, 1, 12)
    found = compare("x", few, np.zeros(12))
    assert found.verdict is Verdict.UNDECIDED
    assert found.more_files is not None
    enough = 12 + found.more_files
    told = [
        compare("x", random.normal(few.mean(), few.std(ddof=1), 3 * enough), np.zeros(3 * enough))
        for _ in range(20)
    ]
    assert all(one.verdict is Verdict.BETTER for one in told)


def test_equal_scores_are_no_difference():
    found = compare("x", [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0])
    assert (found.mean, found.low, found.high, found.win_rate) == (0, 0, 0, 0.5)
    assert found.verdict is Verdict.UNDECIDED
    assert found.more_files is None
    assert "hardly settle" in found.sentence("a", "b")


@pytest.mark.parametrize("n", [1, 2])
def test_few_recordings_decide_nothing(n):
    found = compare("x", [9.0] * n, [1.0] * n)
    assert found.verdict is Verdict.UNDECIDED
    assert "at least 3" in found.sentence("a", "b")


def test_the_same_question_has_the_same_answer():
    random = np.random.default_rng(2)
    one, other = random.normal(size=(2, 20))
    assert compare("x", one, other) == compare("x", one, other)
    there, back = compare("x", one, other), compare("x", other, one)
    assert there.mean == -back.mean
    assert there.low == pytest.approx(-back.high, abs=0.05)


def test_without_scipy_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    with pytest.raises(MissingExtraError) as error:
        compare("x", [1.0, 2.0, 3.0], [0.0, 0.0, 0.0])
    assert "vsat[evaluate]" in error.value.hint
