"""From measures of a separation to the SI-SDR that it may have: a ridge regression, as data.

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
FIELDS = {"format", "intercept_db", "terms", "fitted_on"}
TERM_FIELDS = {"measure", "mean", "deviation", "weight_db"}
REACH = 4.0  # deviations; what lies further out than the fit has seen counts as this far


@dataclass(frozen=True)
class Term:
    """One measure's part in the estimate.

    Attributes:
        measure: its name.
        mean: of the measure where the regression was fitted.
        deviation: standard deviation of it there, above 0.
        weight_db: what one deviation adds to the estimate.
    """

    measure: str
    mean: float
    deviation: float
    weight_db: float

    def __call__(self, value: float) -> float:
        """What this value of the measure adds, in dB."""
        away = (value - self.mean) / self.deviation
        return self.weight_db * max(-REACH, min(REACH, away))


@dataclass(frozen=True)
class Estimator:
    """A linear regression from measures to SI-SDR in dB."""

    intercept_db: float
    terms: tuple[Term, ...]

    def __call__(self, measures: Mapping[str, float]) -> float:
        """The SI-SDR in dB that goes with these measures; there may be more than are needed."""
        return self.intercept_db + sum(term(measures[term.measure]) for term in self.terms)


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
    if not isinstance(fields["terms"], list) or not fields["terms"]:
        raise ValueError("has no list of terms")
    terms = tuple(_term(_object(one, TERM_FIELDS)) for one in fields["terms"])
    if len({term.measure for term in terms}) < len(terms):
        raise ValueError("has two terms for one measure")
    return Estimator(_number(fields["intercept_db"]), terms)


def _term(fields: dict[str, Any]) -> Term:
    if not isinstance(fields["measure"], str):
        raise ValueError("has a measure that is not named")  # noqa: TRY004 - of the content
    numbers = {key: _number(fields[key]) for key in ("mean", "deviation", "weight_db")}
    if numbers["deviation"] <= 0:
        raise ValueError(f"has no deviation above 0 for {fields['measure']}")
    return Term(fields["measure"], **numbers)


def _object(value: object, wanted: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != wanted:
        raise ValueError(f"has an object that is not of the fields {', '.join(sorted(wanted))}")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"has {value!r} in the place of a number")
    return float(value)
