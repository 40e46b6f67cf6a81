"""The recipe of the estimator: what it fits, to whom, and the harms that it knows."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from speech import SPEECH

pytest.importorskip("scipy")

from vsat.estimation.estimator import parse_estimator
from vsat.metrics import si_sdr_db

RECIPES = Path(__file__).parent.parent / "recipes"
MODULES = ("collect_separations", "fit_estimator", "harms", "scatter")


@pytest.fixture
def recipes(monkeypatch):
    monkeypatch.syspath_prepend(str(RECIPES))
    import collect_separations
    import fit_estimator
    import harms

    yield {"collect": collect_separations, "fit": fit_estimator, "harms": harms}
    for name in MODULES:
        sys.modules.pop(name, None)


def rows_of_a_law(fit_estimator, count, model="some", spoilt=0.0):
    """Rows whose true figure is a known function of two of the measures."""
    random = np.random.default_rng(0)
    for number in range(count):
        measures = {name: float(random.normal(5, 2)) for name in fit_estimator.MEASURES}
        first, second = (measures[name] for name in fit_estimator.MEASURES[:2])
        true_db = 3 + 0.8 * first + 0.1 * (first - 5) * (second - 5) + spoilt
        yield fit_estimator.Row(model, f"train-{number:03d}", true_db, measures)


def test_a_law_of_measures_and_their_products_is_found(recipes):
    fit_estimator = recipes["fit"]
    rows = list(rows_of_a_law(fit_estimator, 2_000))
    estimator = fit_estimator.fit(rows)
    errors = [abs(estimator(row.measures) - row.true_db) for row in rows]
    assert np.mean(errors) < 0.1


def test_what_was_harmed_counts_little(recipes):
    fit_estimator = recipes["fit"]
    real = list(rows_of_a_law(fit_estimator, 1_000))
    harmed = list(rows_of_a_law(fit_estimator, 1_000, "some+leak", spoilt=-11))
    estimator = fit_estimator.fit([*real, *harmed])
    bias = np.mean([estimator(row.measures) - row.true_db for row in real])
    assert bias == pytest.approx(-1, abs=0.1)  # a tenth of the weight, an eleventh of the harm


def test_what_is_written_can_be_read(recipes):
    fit_estimator = recipes["fit"]
    rows = list(rows_of_a_law(fit_estimator, 200))
    estimator = fit_estimator.fit(rows)
    assert parse_estimator(fit_estimator.as_json(estimator, rows).encode()) == estimator


def test_a_good_fit_is_called_good_in_the_report(recipes):
    fit_estimator = recipes["fit"]
    rows = [*rows_of_a_law(fit_estimator, 300, "one"), *rows_of_a_law(fit_estimator, 300, "two")]
    report = fit_estimator.report(rows, rows, fit_estimator.fit(rows))
    line = next(line for line in report.splitlines() if line.startswith("| one |"))
    assert float(line.split("|")[4]) > 0.99
    assert "mixtures that all separated | 600" in report


def test_mixtures_are_drawn_from_training_speakers_only(recipes):
    if not (SPEECH / "metadata.csv").exists():
        pytest.skip("no real voices beside this checkout")
    with open(SPEECH / "metadata.csv", newline="") as file:
        known = {row["path"]: row for row in csv.DictReader(file)}
    drawn = list(recipes["collect"].training_rows(SPEECH, 50))
    voices = [(known[row["voice_1"]], known[row["voice_2"]]) for row in drawn]
    assert all(one["split"] == other["split"] == "train" for one, other in voices)
    assert all(one["speaker"] != other["speaker"] for one, other in voices)
    assert list(recipes["collect"].training_rows(SPEECH, 50)) == drawn


@pytest.mark.parametrize("name", ["leak05", "leak30", "noise25", "gated", "exchanged", "passed"])
def test_harm_keeps_the_shape_and_does_harm(recipes, name):
    estimates = np.random.default_rng(1).standard_normal((2, 16_001)).astype(np.float32)
    harmed = recipes["harms"].HARMS[name](estimates)
    assert harmed.shape == estimates.shape
    assert si_sdr_db(harmed[0], estimates[0]) < 30
    np.testing.assert_array_equal(recipes["harms"].HARMS[name](estimates), harmed)
