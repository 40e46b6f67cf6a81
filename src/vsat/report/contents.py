"""What a report is made of: plain data, worked out elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from vsat.errors import UsageError

Scores = Mapping[str, Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True)
class Difference:
    """How two versions differ in one measure, over the files that both have it for.

    Attributes:
        measure: key of the measure, such as `si_sdri_db`.
        mean: of candidate less baseline, file by file.
        low: lower end of its 95 % interval.
        high: upper end.
        win_rate: share of the files, 0 to 1, in which the candidate is the better one.
        n_files: how many files that is of.
    """

    measure: str
    mean: float
    low: float
    high: float
    win_rate: float
    n_files: int


@dataclass(frozen=True)
class Comparison:
    """What was found of two versions.

    Attributes:
        baseline: label of the version that is compared with, `id@3`.
        candidate: label of the version that may be better.
        measure: key of the measure that decides.
        verdict: of the candidate.
        text: the verdict in words, a full sentence for a person.
        differences: one for each measure.
    """

    baseline: str
    candidate: str
    measure: str
    verdict: Literal["better", "worse", "can't tell"]
    text: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Report:
    """All that a report says, but for the audio.

    Raises:
        UsageError: a version is scored or compared that is not named, or one is named twice.

    Attributes:
        title: of the page.
        test_set: name of what was compared on.
        versions: labels, in the order in which they are shown.
        scores: by file, version and measure; what is missing or not finite is shown as missing.
            Keys that begin with `est_` are shown as estimated.
        comparisons: of pairs of these versions; the first is shown first.
        test_set_digest: what pins the test set; goes into the listener's choices.
        facts: what else to say, such as machine and engine, by its name.
    """

    title: str
    test_set: str
    versions: tuple[str, ...]
    scores: Scores
    comparisons: tuple[Comparison, ...] = ()
    test_set_digest: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named = {label for one in self.comparisons for label in (one.baseline, one.candidate)}
        named |= {label for by_version in self.scores.values() for label in by_version}
        if unknown := sorted(named - set(self.versions)):
            raise UsageError(
                f"{unknown[0]} is not one of the versions of the report.",
                hint="Name every version that is scored or compared.",
            )
        if len(set(self.versions)) != len(self.versions) or not self.versions:
            raise UsageError(
                "A report has no version, or one twice.", hint="Name each version once."
            )


@dataclass(frozen=True)
class ReportFile:
    """The audio of one recording.

    NaN and infinities count as silence.

    Raises:
        UsageError: the arrays don't fit one another, or are empty.

    Attributes:
        name: as in the scores.
        mixture: (samples,).
        sample_rate: of all arrays, in Hz.
        estimates: by version, (sources, samples), in the order of the references where there are
            some, and else in one order for all versions.
        references: (sources, samples), or None.
    """

    name: str
    mixture: np.ndarray
    sample_rate: int
    estimates: Mapping[str, np.ndarray]
    references: np.ndarray | None = None

    def __post_init__(self) -> None:
        stacks = {"references": self.references, **self.estimates}
        for what, stack in stacks.items():
            if stack is not None and (stack.ndim != 2 or stack.shape[1:] != self.mixture.shape):
                raise UsageError(
                    f"The {stack.shape} of {what} of {self.name} don't fit the mixture's"
                    f" {self.mixture.shape}.",
                    hint="Give (sources, samples) of the mixture's length.",
                )
        if not self.mixture.size:
            raise UsageError(f"{self.name} has no samples.", hint="Leave empty recordings out.")


def page_name(name: str) -> str:
    r"""A file's name as the page, and the choices that come out of it, have it.

    It differs from the name only where that is not text: half characters become visible escapes.

    >>> page_name("caf\udce9.wav")
    'caf\\udce9.wav'
    """
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
