"""What listeners preferred who did not know which version was which."""

from dataclasses import dataclass
from pathlib import Path

from vsat.registry import ModelRegistry
from vsat.report import read_choices, wilson_interval


@dataclass(frozen=True)
class KeptPreference:
    """All that was ever chosen between two versions.

    Attributes:
        baseline: as "id@version".
        candidate: likewise.
        share: of the decided recordings in which the candidate was preferred; 0.5 of none.
        low: lower end of its 95 % interval.
        high: upper end.
        n_decided: recordings in which one was preferred.
        n_undecided: recordings without a difference that was heard.
    """

    baseline: str
    candidate: str
    share: float
    low: float
    high: float
    n_decided: int
    n_undecided: int


def keep_choices(registry: ModelRegistry, path: Path) -> KeptPreference:
    """Keep the choices in a file that the report gave out, and sum up all of this pair.

    Raises:
        UsageError: the file is not of that form.
        ModelNotFoundError: a version in it is not registered.
        StorageError: the file can't be read, or the home not written.
    """
    found = read_choices(path)
    baseline, candidate = found.versions
    digests = {label: registry.resolve(label).digest for label in found.versions}
    registry.evaluations.keep_preferences(
        found.test_set_digest or found.test_set,
        [
            (
                choice.file,
                digests[baseline],
                digests[candidate],
                digests[choice.preferred] if choice.preferred else "",
            )
            for choice in found.choices
        ],
    )
    return preference(registry, baseline, candidate)


def preference(registry: ModelRegistry, baseline: str, candidate: str) -> KeptPreference:
    """How often one version was preferred to another, over all that was kept.

    Raises:
        ModelNotFoundError: a version is not registered.
    """
    one, other = (registry.resolve(label).digest for label in (baseline, candidate))
    preferred = registry.evaluations.preferences(one, other)
    decided = [digest for digest in preferred if digest]
    wins = sum(digest == other for digest in decided)
    low, high = wilson_interval(wins, len(decided))
    share = wins / len(decided) if decided else 0.5
    n_undecided = len(preferred) - len(decided)
    return KeptPreference(baseline, candidate, share, low, high, len(decided), n_undecided)
