"""What an evaluation or a comparison found."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from vsat.errors import AudioError
from vsat.evaluation.differences import Difference, compare
from vsat.evaluation.pinned import Pinned
from vsat.registry import Setting
from vsat.report import describe

PRIMARY = ("si_sdri_db", "si_sdr_db", "est_si_sdr_db")  # the first that there is decides
ESTIMATED = "est_"  # that keys of measures without references begin with
DESCRIPTIVE = {"est_coherence", "est_level_ratio_db", "est_noise_floor_db"}  # good neither way

Scores = dict[str, float]


@dataclass(frozen=True)
class Evaluation:
    """What a version scored.

    Attributes:
        model: as "id@version".
        digest: of its content.
        setting: engine and precision that it ran with.
        scores: measures by the example's name, in the test set's order.
        notes: what was adjusted so that all fit, as full sentences.
    """

    model: str
    digest: str
    setting: Setting
    scores: dict[str, Scores]
    notes: tuple[str, ...] = ()

    @property
    def measures(self) -> tuple[str, ...]:
        """Those that every example has."""
        rows = list(self.scores.values())
        return tuple(key for key in rows[0] if all(key in row for row in rows)) if rows else ()

    def mean(self, measure: str) -> float:
        """The mean of a measure over the examples that have it."""
        return float(np.mean([row[measure] for row in self.scores.values() if measure in row]))


@dataclass(frozen=True)
class Comparison:
    """Versions on the same recordings; each later one is held against the first.

    Attributes:
        test_set: what they were compared on.
        evaluations: of each version, in the order in which they were named.
        differences: of each version but the first against the first, by measure.
        primary: the measure that decides.
    """

    test_set: Pinned
    evaluations: tuple[Evaluation, ...]
    differences: tuple[dict[str, Difference], ...]
    primary: str

    @property
    def verdicts(self) -> tuple[str, ...]:
        """A plain sentence for each version but the first."""
        first, *others = self.evaluations
        unit = " dB" if self.primary.endswith("_db") else ""
        return tuple(
            found[self.primary].sentence(other.model, first.model, unit)
            for found, other in zip(self.differences, others, strict=True)
        )


def held_against_the_first(test_set: Pinned, evaluations: Sequence[Evaluation]) -> Comparison:
    """Compare evaluations on one test set.

    Raises:
        AudioError: no measure is defined for all of its recordings.
    """
    first, *others = evaluations
    common = [
        key
        for key in first.measures
        if key not in DESCRIPTIVE and all(key in one.measures for one in others)
    ]
    if not common:
        raise AudioError(
            "No measure is defined for all of the recordings.", hint="Use longer ones."
        )
    differences = tuple({key: _compared(key, other, first) for key in common} for other in others)
    primary = next((key for key in PRIMARY if key in common), common[0])
    return Comparison(test_set, tuple(evaluations), differences, primary)


def ranked(evaluations: Iterable[Evaluation], measure: str) -> list[Evaluation]:
    """The best first, by the mean of a measure."""
    return sorted(evaluations, key=lambda one: -one.mean(measure))


def _compared(measure: str, one: Evaluation, other: Evaluation) -> Difference:
    higher = describe(measure).higher_is_better
    columns = _column(one, measure), _column(other, measure)
    return compare(measure, *columns, higher_is_better=higher)


def _column(evaluation: Evaluation, measure: str) -> list[float]:
    return [row[measure] for row in evaluation.scores.values()]
