"""The regression that ships as data."""

import json

import pytest

from vsat.errors import BundleError
from vsat.estimation import estimator as room
from vsat.estimation.estimator import FILE, packaged_estimator, parse_estimator

PLAIN = {
    "format": 1,
    "fitted_on": {},
    "intercept_db": 5,
    "scales": [
        {"measure": "a", "mean": 10, "deviation": 2},
        {"measure": "b", "mean": 0, "deviation": 1},
    ],
    "terms": [
        {"product_of": ["a"], "weight_db": 3},
        {"product_of": ["a", "b"], "weight_db": 0.5},
    ],
}


def parsed(**changed):
    return parse_estimator(json.dumps(PLAIN | changed).encode())


def test_the_estimate_is_the_sum_of_its_terms():
    assert parsed()({"a": 10, "b": 0}) == 5
    assert parsed()({"a": 12, "b": 0}) == 8
    assert parsed()({"a": 12, "b": 2, "unused": 7}) == 9


def test_what_lies_far_out_counts_as_three_deviations():
    assert parsed()({"a": 1e6, "b": 0}) == 5 + 9
    assert parsed()({"a": -1e6, "b": 0}) == 5 - 9


@pytest.mark.parametrize(
    "changed",
    [
        {"format": 2},
        {"more": 1},
        {"intercept_db": "5"},
        {"intercept_db": True},
        {"intercept_db": None},
        {"scales": []},
        {"scales": [PLAIN["scales"][0]] * 2},
        {"scales": [{"measure": "a", "mean": 10, "deviation": 0}]},
        {"scales": [{"measure": 1, "mean": 10, "deviation": 1}]},
        {"scales": [{"measure": "a", "mean": 10}]},
        {"terms": []},
        {"terms": {}},
        {"terms": [{"product_of": ["c"], "weight_db": 1}]},
        {"terms": [{"product_of": [["a"]], "weight_db": 1}]},
        {"terms": [{"product_of": ["a"] * 3, "weight_db": 1}]},
        {"terms": [{"product_of": "a", "weight_db": 1}]},
    ],
    ids=str,
)
def test_coefficients_are_read_strictly(changed):
    with pytest.raises(ValueError, match="has"):
        parsed(**changed)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"format": NaN}', b"\xff"])
def test_what_is_no_coefficients_is_refused(content):
    with pytest.raises(ValueError, match=r"has|is"):
        parse_estimator(content)


def test_the_packaged_estimator_is_small_and_whole():
    assert FILE.stat().st_size < 200_000
    scales = packaged_estimator().scales
    typical = packaged_estimator()({one.measure: one.mean for one in scales})
    assert -5 < typical < 20


def test_a_damaged_installation_is_an_error_of_ours(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "FILE", tmp_path / "missing.json")
    packaged_estimator.cache_clear()
    with pytest.raises(BundleError, match="Install vsat again"):
        packaged_estimator()
    packaged_estimator.cache_clear()
