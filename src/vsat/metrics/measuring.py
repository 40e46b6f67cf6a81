"""All measures of a separated recording, under one permutation.

It is the one with the highest mean SI-SDR. Each measure could have a best one of its own, but then
the figures of one recording would speak of different voices.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vsat.errors import AudioError, UsageError
from vsat.metrics.bss_eval import sdr_db
from vsat.metrics.checks import check_audible, check_lengths, check_rate, checked_sources
from vsat.metrics.intelligibility import envelopes, estoi, stoi
from vsat.metrics.perceptual import pesq
from vsat.metrics.permutation import best_permutation
from vsat.metrics.si_sdr import pairwise_si_sdr_db

MEASURES = ("si_sdr_db", "si_sdri_db", "sdr_db", "sdri_db", "stoi", "estoi", "pesq")
DEFAULT_MEASURES = ("si_sdr_db", "si_sdri_db", "sdr_db", "stoi", "pesq")
IMPROVEMENTS = frozenset({"si_sdri_db", "sdri_db"})  # over the mixture


@dataclass(frozen=True)
class Measured:
    """What was measured of a recording.

    Attributes:
        permutation: the number of the estimate that belongs to each reference, counted from 0.
        values: the mean over the references, by the measure's name.
        by_source: the figure of each reference, in their order, by the measure's name.
    """

    permutation: tuple[int, ...]
    values: dict[str, float]
    by_source: dict[str, list[float]]


def measure(
    estimates: np.ndarray,
    references: np.ndarray,
    sample_rate: int,
    *,
    mixture: np.ndarray | None = None,
    measures: Sequence[str] | None = None,
    leave_out_undefined: bool = False,
) -> Measured:
    """Measure estimates against references, each against the one that it belongs to.

    Estimates may be more than the references; those that belong to none don't count. All figures
    are finite, and none depends on the level of an estimate. An estimate that is silent gets the
    lowest one: -120 dB, 0 for STOI and ESTOI, 1 for PESQ. One like its reference gets 120 dB, 1,
    and about 4.6.

    Args:
        estimates: what a model gave, floating point, nominally within ±1.
        references: what it should have given.
        sample_rate: in Hz, of all of them.
        mixture: what the model was given; the improvements are over it.
        measures: names out of `MEASURES`; `DEFAULT_MEASURES` for None, then without the
            improvements where there is no mixture.
        leave_out_undefined: leave out STOI, ESTOI or PESQ where a reference speaks too little for
            them, instead of raising.

    Shape:
        estimates: (estimates, samples); references: (references, samples); mixture: (samples,).

    Raises:
        UsageError: a measure is unknown or needs the mixture, there are fewer estimates than
            references, or a shape, type or rate makes no sense.
        AudioError: lengths differ, a sample is NaN or infinite, a reference or the mixture is
            silent, or a reference speaks too little for a measure.
        MissingExtraError: a measure needs the extra `evaluate`.

    Example:
        >>> reference = np.sin(np.arange(4000.0))[None]
        >>> measure(-0.5 * reference, reference, 8000, measures=["si_sdr_db"]).values
        {'si_sdr_db': 120.0}
    """
    estimates = checked_sources(estimates, "estimates")
    references = checked_sources(references, "references")
    names = _chosen(measures, mixture)
    check_rate(sample_rate)
    check_lengths(references, estimates, "estimates")
    check_audible(references, "references")
    if mixture is not None:
        mixture = _checked_mixture(mixture, references)
    permutation = best_permutation(pairwise_si_sdr_db(estimates, references))
    rows = []
    for index, reference in zip(permutation, references, strict=True):
        judged = _Judged(estimates[index], reference, int(sample_rate), mixture)
        rows.append(judged.figures(frozenset(names), leave_out_undefined))
    defined = [name for name in names if all(name in row for row in rows)]
    by_source = {name: [row[name] for row in rows] for name in defined}
    values = {name: float(np.mean(figures)) for name, figures in by_source.items()}
    return Measured(permutation, values, by_source)


def _chosen(measures: Sequence[str] | None, mixture: np.ndarray | None) -> tuple[str, ...]:
    if measures is None:
        left_out = IMPROVEMENTS if mixture is None else frozenset()
        return tuple(name for name in DEFAULT_MEASURES if name not in left_out)
    if unknown := [name for name in measures if name not in MEASURES]:
        raise UsageError(
            f"There is no measure {unknown[0]!r}.", hint=f"Known: {', '.join(MEASURES)}."
        )
    if mixture is None and (improvements := IMPROVEMENTS & set(measures)):
        raise UsageError(
            f"{min(improvements)} is over the mixture, and there is none.",
            hint="Give the mixture, or leave the improvements out.",
        )
    return tuple(dict.fromkeys(measures))


def _checked_mixture(mixture: np.ndarray, references: np.ndarray) -> np.ndarray:
    if np.ndim(mixture) != 1:
        raise UsageError(
            f"The shape of the mixture is {np.shape(mixture)}.",
            hint="Give one channel, (samples,).",
        )
    sources = checked_sources(np.asarray(mixture)[None], "mixture")  # (1, T)
    check_lengths(references, sources, "mixture")
    check_audible(sources, "mixture")
    return np.asarray(sources[0])


@dataclass(frozen=True)
class _Judged:
    """One estimate, the reference that it belongs to, and the mixture if there is one."""

    estimate: np.ndarray
    reference: np.ndarray
    sample_rate: int
    mixture: np.ndarray | None

    def figures(self, names: frozenset[str], leave_out_undefined: bool) -> dict[str, float]:
        """The named measures, and those that come with them at no price."""
        found = self._ratios(names)
        for perceived in (self._intelligibility, self._quality):
            try:
                found |= perceived(names)
            except AudioError:
                if not leave_out_undefined:
                    raise
        return found

    def _ratios(self, names: frozenset[str]) -> dict[str, float]:
        alone = [self.estimate]
        judged = np.stack(alone if self.mixture is None else [*alone, self.mixture])  # (1 or 2, T)
        found: dict[str, float] = {}
        if names & {"si_sdr_db", "si_sdri_db"}:
            pairwise = pairwise_si_sdr_db(judged, self.reference[None])
            found |= _with_improvement("si_sdr", pairwise[:, 0])
        if names & {"sdr_db", "sdri_db"}:
            found |= _with_improvement("sdr", sdr_db(judged, self.reference))
        return found

    def _intelligibility(self, names: frozenset[str]) -> dict[str, float]:
        computed = {"stoi": stoi, "estoi": estoi}
        if not names & computed.keys():
            return {}
        pair = envelopes(self.estimate, self.reference, self.sample_rate)
        return {name: computed[name](*pair) for name in names & computed.keys()}

    def _quality(self, names: frozenset[str]) -> dict[str, float]:
        if "pesq" not in names:
            return {}
        return {"pesq": pesq(self.estimate, self.reference, self.sample_rate)}


def _with_improvement(stem: str, decibels: np.ndarray) -> dict[str, float]:
    """A measure of the estimate, and how much it is above that of the mixture that may follow."""
    found = {f"{stem}_db": float(decibels[0])}
    if len(decibels) > 1:
        found[f"{stem}i_db"] = float(decibels[0] - decibels[1])
    return found
