"""Whether one model is better than another on the same recordings, and how sure that is.

Differences are taken recording by recording, so what makes a recording hard for both falls out. The
interval is an expanded percentile bootstrap, which keeps its promise on few recordings; a verdict
asks for more certainty than the interval shows, so that a model compared with itself is hardly ever
called another one.

References:
    Expanded percentile interval: Hesterberg 2015, "What Teachers Should Know About the Bootstrap".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import NormalDist

import numpy as np

from vsat.metrics.extra import evaluate_extra

LEVEL = 0.95  # of the interval that is shown
CERTAIN = 0.99  # of the interval that a verdict needs
RESAMPLES = 4_000
FEWEST = 3  # recordings; of two, no spread can be told
SAME = 1e-9  # differences up to that come from rounding
MOST_FILES = 10_000  # more than that is not worth saying


class Verdict(Enum):
    """What can be said of a model against another one."""

    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "can't tell"


OPPOSITE = {
    Verdict.BETTER: Verdict.WORSE,
    Verdict.WORSE: Verdict.BETTER,
    Verdict.UNDECIDED: Verdict.UNDECIDED,
}


@dataclass(frozen=True)
class Difference:
    """One model against another one by one measure, over the same recordings.

    Attributes:
        measure: its key.
        mean: of the differences, first model less second.
        low: lower end of the 95 % interval of the mean.
        high: its upper end.
        win_rate: share of the recordings on which the first is better; ties count half.
        n_files: how many recordings there were.
        verdict: of the first model.
        more_files: about how many more recordings would settle it; None if it is settled, or if
            nothing would.
    """

    measure: str
    mean: float
    low: float
    high: float
    win_rate: float
    n_files: int
    verdict: Verdict
    more_files: int | None

    def sentence(self, one: str, other: str, unit: str = "") -> str:
        """The verdict in plain words.

        >>> Difference("si_sdri_db", 1.2, 0.4, 2.0, 0.9, 20, Verdict.BETTER, None).sentence(
        ...     "m@2", "m@1", " dB")
        'm@2 is better than m@1: +1.20 dB on average (95 % interval +0.40 to +2.00), 20 recordings.'
        """
        estimated = ", estimated" if self.measure.startswith("est_") else ""
        interval = f"95 % interval {self.low:+.2f} to {self.high:+.2f}"
        figures = f"{self.mean:+.2f}{unit} on average{estimated} ({interval})"
        recordings = f"{self.n_files} recording{'s' if self.n_files != 1 else ''}"
        if self.verdict is not Verdict.UNDECIDED:
            return f"{one} is {self.verdict.value} than {other}: {figures}, {recordings}."
        if self.n_files < FEWEST:
            return f"Can't tell {one} from {other} by {recordings}; at least {FEWEST} are needed."
        more = (
            f"about {self.more_files} more like these might settle it"
            if self.more_files
            else "more like these would hardly settle it"
        )
        return f"Can't tell {one} from {other}: {figures}, {recordings}; {more}."


def compare(
    measure: str, one: Sequence[float], other: Sequence[float], *, higher_is_better: bool = True
) -> Difference:
    """Compare two models by what they scored on the same recordings.

    Args:
        measure: its key.
        one: the first model's scores, in the order of the recordings.
        other: the second model's, in the same order.
        higher_is_better: which way the verdict looks; the mean and its interval stay as they are.
    """
    differences = np.asarray(one, np.float64) - np.asarray(other, np.float64)
    n_files = len(differences)
    gains = differences if higher_is_better else -differences
    wins = float(np.mean((gains > SAME) + 0.5 * (np.abs(gains) <= SAME)))
    mean = float(differences.mean())
    if n_files < FEWEST:
        undecided = Verdict.UNDECIDED
        return Difference(measure, mean, -math.inf, math.inf, wins, n_files, undecided, None)
    means = _resampled_means(differences)
    low, high = _interval(means, n_files, LEVEL)
    verdict = _verdict(differences, _interval(means, n_files, CERTAIN))
    if not higher_is_better:
        verdict = OPPOSITE[verdict]
    more = _more_files(differences) if verdict is Verdict.UNDECIDED else None
    return Difference(measure, mean, low, high, wins, n_files, verdict, more)


def _resampled_means(differences: np.ndarray) -> np.ndarray:
    random = np.random.default_rng(0)  # the same answer to the same question
    drawn = random.integers(len(differences), size=(RESAMPLES, len(differences)))
    means: np.ndarray = differences[drawn].mean(axis=1)
    return means


def _interval(means: np.ndarray, n_files: int, level: float) -> tuple[float, float]:
    """Quantiles of the resampled means, wider apart the fewer recordings there are."""
    tail = NormalDist().cdf(-_t(n_files, level) * math.sqrt(n_files / (n_files - 1)))
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def _t(n_files: int, level: float) -> float:
    """The quantile of Student's distribution for a two-sided interval."""
    with evaluate_extra("A comparison"):
        from scipy.special import stdtrit

    return float(stdtrit(n_files - 1, (1 + level) / 2))


def _verdict(differences: np.ndarray, interval: tuple[float, float]) -> Verdict:
    """Both ways of counting must agree: no resampled mean of a few recordings lies outside them."""
    n_files, mean = len(differences), float(differences.mean())
    half = _t(n_files, CERTAIN) * float(differences.std(ddof=1)) / math.sqrt(n_files)
    low, high = min(interval[0], mean - half), max(interval[1], mean + half)
    if low > SAME:
        return Verdict.BETTER
    return Verdict.WORSE if high < -SAME else Verdict.UNDECIDED


def _more_files(differences: np.ndarray) -> int | None:
    """How many more would bring the mean outside of what chance does, if it stays as it is."""
    mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    if abs(mean) <= SAME:
        return None
    z = _t(len(differences), CERTAIN)
    needed = math.ceil((z * spread / mean) ** 2)
    return max(1, needed - len(differences)) if needed <= MOST_FILES else None
