"""A version becomes current because it is better on the person's own recordings, or it doesn't."""

from dataclasses import dataclass
from pathlib import Path

from vsat.errors import UsageError
from vsat.evaluation.differences import Verdict
from vsat.evaluation.evaluator import ModelEvaluator
from vsat.progress import Progress, silent
from vsat.registry import ModelRegistry


@dataclass(frozen=True)
class Promotion:
    """What came of it.

    Attributes:
        done: whether the version is current now.
        current: the version that was current before, as "id@version".
        sentence: the verdict in plain words.
    """

    done: bool
    current: str
    sentence: str


def promote_if_better(
    registry: ModelRegistry,
    model: str,
    test_set: str | Path,
    because: str = "",
    progress: Progress = silent,
) -> Promotion:
    """Make a version current if the verdict on a test set is that it is better.

    The verdict becomes the reason in the history, after the person's own.

    Args:
        registry: where the versions are.
        model: "id@version".
        test_set: the name of a pinned one, or a folder.
        because: the person's own reason.
        progress: told how far the comparison is.

    Raises:
        UsageError: the version is current already.
        VsatError: as `ModelEvaluator.compare` and `ModelRegistry.set_current_version`.
    """
    candidate = registry.resolve(model)
    current = registry.resolve(candidate.model_id)
    names = [f"{record.model_id}@{record.version}" for record in (current, candidate)]
    if candidate.version == current.version:
        raise UsageError(f"{names[0]} is current already.", hint="Name another version.")
    found = ModelEvaluator(registry=registry).compare(names, test_set, progress)
    (differences,), (sentence,) = found.differences, found.verdicts
    if differences[found.primary].verdict is not Verdict.BETTER:
        return Promotion(False, names[0], sentence)
    reason = f"{found.primary} on {test_set}: {sentence}"
    registry.set_current_version(
        candidate.model_id, candidate.version, because=f"{because}; {reason}" if because else reason
    )
    return Promotion(True, names[0], sentence)
