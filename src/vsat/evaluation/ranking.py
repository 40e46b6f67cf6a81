"""Versions by what they are known to score on a test set."""

from dataclasses import dataclass

from vsat.bundle import SEPARATION
from vsat.engines import available_engines
from vsat.evaluation.pinned import pinned
from vsat.evaluation.results import PRIMARY
from vsat.registry import ModelRegistry, Setting


@dataclass(frozen=True)
class Ranked:
    """A version, and its mean of the measure that decides."""

    model: str
    mean: float


@dataclass(frozen=True)
class Ranking:
    """Versions on a test set.

    Attributes:
        measure: that decides.
        ranked: the best first.
        missing: versions that have not been evaluated on all of it, as "id@version".
    """

    measure: str
    ranked: tuple[Ranked, ...]
    missing: tuple[str, ...]


def rank(registry: ModelRegistry, test_set: str, filter_text: str | None = None) -> Ranking:
    """Rank versions by the scores that are kept; nothing is separated.

    The scores are those of f32 with the engine that "auto" takes, as `vsat evaluate` computes them.

    Args:
        registry: where the versions are.
        test_set: the name of a pinned one.
        filter_text: as for `ModelRegistry.find_versions`; None for all versions that separate.

    Raises:
        UsageError: there is no such test set, or the filter can't be read.
    """
    examples = pinned(registry, test_set)
    measure = PRIMARY[0] if examples.has_references else PRIMARY[-1]
    means = registry.evaluations.means(
        examples.digests, measure, Setting(available_engines()[0], "f32")
    )
    ranked, missing = [], []
    for record in registry.find_versions(filter_text or f'task = "{SEPARATION}"'):
        name = f"{record.model_id}@{record.version}"
        if record.digest in means:
            ranked.append(Ranked(name, means[record.digest]))
        elif record.task == SEPARATION:
            missing.append(name)
    ranked.sort(key=lambda one: -one.mean)
    return Ranking(measure, tuple(ranked), tuple(missing))
