"""A comparison as a page to look at and listen to."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vsat import report as pages
from vsat.evaluation.differences import Difference
from vsat.evaluation.evaluator import ModelEvaluator
from vsat.evaluation.example import Audio
from vsat.evaluation.results import Comparison
from vsat.metrics import best_permutation, pairwise_si_sdr_db


def write_comparison(path: Path, comparison: Comparison, evaluator: ModelEvaluator) -> Path:
    """Write the report of a comparison; each recording is separated again to be listened to.

    Args:
        path: of the HTML file.
        comparison: what was found.
        evaluator: that found it.

    Raises:
        StorageError: the file can't be written.
        VsatError: as `ModelEvaluator.evaluate`.
    """
    evaluations = comparison.evaluations
    test_set, versions = comparison.test_set, tuple(one.model for one in evaluations)
    setting = evaluations[0].setting
    made = pages.Report(
        title=f"{versions[0]} and {', '.join(versions[1:])}",
        test_set=test_set.name or "recordings",
        versions=versions,
        scores={
            example.name: {one.model: one.scores[example.name] for one in evaluations}
            for example in test_set.examples
        },
        comparisons=_comparisons(comparison),
        test_set_digest=test_set.fingerprint,
        facts={"Engine": f"{setting.engine}, {setting.precision}"},
    )
    return pages.write_report(path, made, _files(comparison, evaluator, versions))


def _comparisons(comparison: Comparison) -> tuple[pages.Comparison, ...]:
    first, *others = comparison.evaluations
    return tuple(
        pages.Comparison(
            first.model,
            other.model,
            comparison.primary,
            found[comparison.primary].verdict.value,
            text,
            tuple(map(_difference, found.values())),
        )
        for other, found, text in zip(
            others, comparison.differences, comparison.verdicts, strict=True
        )
    )


def _difference(found: Difference) -> pages.Difference:
    return pages.Difference(
        found.measure, found.mean, found.low, found.high, found.win_rate, found.n_files
    )


def _files(
    comparison: Comparison, evaluator: ModelEvaluator, versions: tuple[str, ...]
) -> Iterator[pages.ReportFile]:
    examples = comparison.test_set.examples
    separated = evaluator.voices(versions, examples)
    for example, (audio, voices) in zip(examples, separated, strict=True):
        yield pages.ReportFile(
            example.name,
            audio.mixture,
            audio.sample_rate,
            _aligned(audio, voices),
            audio.references,
        )


def _aligned(audio: Audio, voices: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each version's voices in the order of the references, or else in that of the first version's.

    A voice that belongs to none is left out.
    """
    wanted = audio.references if audio.references is not None else next(iter(voices.values()))
    return {name: _in_order_of(wanted, estimates) for name, estimates in voices.items()}


def _in_order_of(wanted: np.ndarray, estimates: np.ndarray) -> np.ndarray:
    n_common = min(len(wanted), len(estimates))
    pairwise = pairwise_si_sdr_db(estimates, wanted[:n_common])
    ordered: np.ndarray = estimates[list(best_permutation(pairwise))]
    return ordered
