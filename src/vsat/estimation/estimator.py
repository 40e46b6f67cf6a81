"""From measures of a separation to the SI-SDR that it may have: a regression, kept as data.

The coefficients are in `coefficients.json`, written by `recipes/fit_estimator.py`.

References:
    Hoerl & Kennard 1970, "Ridge regression: biased estimation for nonorthogonal problems".
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from vsat.bundle import strict_json
from vsat.errors import BundleError

FILE = Path(__file__).with_name("coefficients.json")
FORMAT = 1
FIELDS = {"format", "fitted_on", "intercept_db", "scales", "terms"}
SCALE_FIELDS = {"measure", "mean", "deviation"}
TERM_FIELDS = {"product_of", "weight_db"}
MAX_FACTORS = 2  # of a term
REACH = 3.0  # deviations; what lies further out than the fit has seen counts as this far


@dataclass(frozen=True)
class Scale:
    """Where a measure lay when the regression was fitted.

    Attributes:
        measure: its name.
        mean: of it.
        deviation: standard deviation of it, above 0.
    """

    measure: str
    mean: float
    deviation: float

    def standardised(self, value: float) -> float:
        """The value in deviations from the mean, in [-3, 3]."""
        return max(-REACH, min(REACH, (value - self.mean) / self.deviation))


@dataclass(frozen=True)
class Term:
    """A part of the estimate.

    Attributes:
        product_of: names of the measures whose standardised values are multiplied; one or two.
        weight_db: what the product counts.
    """

    product_of: tuple[str, ...]
    weight_db: float


@dataclass(frozen=True)
class Estimator:
    """A regression from measures and products of two of them to SI-SDR in dB."""

    intercept_db: float
    scales: tuple[Scale, ...]
    terms: tuple[Term, ...]

    def __call__(self, measures: Mapping[str, float]) -> float:
        """The SI-SDR in dB that goes with these measures; there may be more than are needed."""
        values = {one.measure: one.standardised(measures[one.measure]) for one in self.scales}
        return self.intercept_db + sum(
            term.weight_db * math.prod(values[name] for name in term.product_of)
            for term in self.terms
        )


@cache
def packaged_estimator() -> Estimator:
    """The estimator that ships with vsat.

    Raises:
        BundleError: its file is missing or damaged.
    """
    try:
        return parse_estimator(FILE.read_bytes())
    except (OSError, ValueError) as error:
        raise BundleError(f"{FILE} can't be used: it {error}.", hint="Install vsat again.") from (
            error
        )


def parse_estimator(content: bytes) -> Estimator:
    """Read coefficients strictly: every field is there, no other one is, and all are finite.

    Raises:
        ValueError: they are not as they must be; the message completes a sentence.
    """
    fields = _object(strict_json(content), FIELDS)
    if fields["format"] != FORMAT:
        raise ValueError(f"has the format {fields['format']!r}, not {FORMAT}")
    scales = tuple(_scale(_object(one, SCALE_FIELDS)) for one in _list(fields["scales"]))
    names = [scale.measure for scale in scales]
    if len(set(names)) < len(names):
        raise ValueError("has two scales for one measure")
    terms = tuple(_term(_object(one, TERM_FIELDS), names) for one in _list(fields["terms"]))
    return Estimator(_number(fields["intercept_db"]), scales, terms)


def _scale(fields: dict[str, Any]) -> Scale:
    if not isinstance(fields["measure"], str):
        raise ValueError("has a measure without a name")  # noqa: TRY004 - of the content
    scale = Scale(fields["measure"], _number(fields["mean"]), _number(fields["deviation"]))
    if scale.deviation <= 0:
        raise ValueError(f"has no deviation above 0 for {scale.measure}")
    return scale


def _term(fields: dict[str, Any], known: list[str]) -> Term:
    names = tuple(_list(fields["product_of"]))
    if len(names) > MAX_FACTORS or not all(name in known for name in names):
        raise ValueError(f"has a term of {', '.join(map(repr, names))}")
    return Term(names, _number(fields["weight_db"]))


def _list(value: object) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"has {value!r:.40} in the place of a list")
    return value


def _object(value: object, wanted: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != wanted:
        raise ValueError(f"has an object that is not of the fields {', '.join(sorted(wanted))}")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"has {value!r} in the place of a number")
    return float(value)
