"""`ModelEvaluator`: what versions score on recordings, and which of them is better there."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vsat.errors import UsageError
from vsat.evaluation.example import Audio, Example, load
from vsat.evaluation.pinned import Pinned, as_test_set, check_unchanged, of_recordings
from vsat.evaluation.results import Comparison, Evaluation, Scores, held_against_the_first
from vsat.evaluation.run import Run
from vsat.metrics import DEFAULT_MEASURES, MEASURES
from vsat.progress import Progress, silent
from vsat.registry import ModelRegistry, VersionRecord
from vsat.separator import VoiceSeparator

Paths = Sequence[str | Path]


class ModelEvaluator:
    """Scores versions on recordings; what was scored once is kept in the registry.

    Args:
        registry: where the models are; None for the default one.
        engine: as for `VoiceSeparator`.
        precision: as for `VoiceSeparator`; "f32" by default, so that figures compare everywhere.
        threads: at most so many; None for all cores.
        measures: out of `vsat.metrics.MEASURES`, for recordings with references.

    Raises:
        UsageError: a measure is unknown.
    """

    def __init__(
        self,
        *,
        registry: ModelRegistry | None = None,
        engine: str = "auto",
        precision: str = "f32",
        threads: int | None = None,
        measures: Sequence[str] = DEFAULT_MEASURES,
    ) -> None:
        if unknown := [name for name in measures if name not in MEASURES]:
            raise UsageError(
                f"There is no measure {unknown[0]!r:.80}.", hint=f"Known: {', '.join(MEASURES)}."
            )
        self.registry = registry or ModelRegistry()
        self.measures = tuple(measures)
        self._options: dict[str, Any] = {
            "engine": engine,
            "precision": precision,
            "threads": threads,
        }

    def evaluate_model(
        self, model_id: str, test_audio_files: Paths, references: Sequence[Paths] | None = None
    ) -> dict[str, Scores]:
        """Score a version on recordings.

        Args:
            model_id: "id" or "id@version".
            test_audio_files: paths of recordings.
            references: for each recording the paths of its voices; None for those that lie beside
                it (`talk.s1.wav` of `talk.wav`, `s1/talk.wav` of `mix/talk.wav`), or for the
                estimated measures where none do.

        Returns:
            Measures by file. Those that begin with `est_` are estimated without references.

        Raises:
            ModelNotFoundError: there is no such model or version.
            UsageError: references and recordings don't fit.
            AudioError: a recording can't be read, or its references don't belong to it.
            MissingExtraError: a measure needs the extra `evaluate`.
        """
        return self.evaluate(model_id, of_recordings(test_audio_files, references)).scores

    def compare_models(
        self, model_ids: Sequence[str], test_audio_file: str | Path, references: Paths | None = None
    ) -> dict[str, dict[str, Any]]:
        """Separate one recording with several versions, and score each.

        Args:
            model_ids: "id" or "id@version" each.
            test_audio_file: path of the recording.
            references: paths of its voices, as for `evaluate_model`.

        Returns:
            By the name that was given: "metrics", as `evaluate_model` has them, and "output", the
            voices (sources, samples) float32 at the recording's rate.

        Raises:
            VsatError: as `evaluate_model`.
        """
        test_set = of_recordings([test_audio_file], None if references is None else [references])
        (example,) = test_set.examples
        ((_, voices),) = self.voices(model_ids, [example])
        return {
            model_id: {
                "metrics": self.evaluate(model_id, test_set).scores[example.name],
                "output": voices[model_id],
            }
            for model_id in model_ids
        }

    def evaluate(
        self, model_id: str, test_set: Pinned | str | Path, progress: Progress = silent
    ) -> Evaluation:
        """Score a version on a test set; what is known already is not run again.

        Each score is kept as soon as it is there, so an evaluation that was interrupted goes on.

        Args:
            model_id: "id" or "id@version".
            test_set: pinned, or its name, or a folder.
            progress: told how many examples are done.

        Raises:
            ModelNotFoundError: there is no such model or version.
            UsageError: there is no such test set.
            AudioError: a recording changed, can't be read, or its references don't belong to it.
            MissingExtraError: a measure needs the extra `evaluate`.
        """
        return self._evaluated(model_id, self._checked(test_set), progress)

    def compare(
        self,
        model_ids: Sequence[str],
        test_set: Pinned | str | Path,
        progress: Progress = silent,
    ) -> Comparison:
        """Hold versions against the first one of them, on the same recordings.

        Raises:
            UsageError: fewer than two versions are named, or one twice.
            VsatError: as `evaluate`.
        """
        if len(model_ids) < 2:
            raise UsageError("A comparison needs two versions.", hint="Name another one.")
        names = [_name(self.registry.resolve(one)) for one in model_ids]
        if len(set(names)) < len(names):
            raise UsageError(
                f"{names[0]} would be compared with itself.", hint="Name different versions."
            )
        pinned = self._checked(test_set)
        parts = _parts(progress, len(names))
        found = [self._evaluated(one, pinned, part) for one, part in zip(names, parts, strict=True)]
        return held_against_the_first(pinned, found)

    def voices(
        self, model_ids: Sequence[str], examples: Sequence[Example]
    ) -> Iterator[tuple[Audio, dict[str, np.ndarray]]]:
        """What each version gives of each example, one example at a time.

        Yields:
            The example's audio, and the voices (sources, samples) by the version's name.

        Raises:
            VsatError: as `evaluate`.
        """
        separators = {
            name: VoiceSeparator(name, registry=self.registry, **self._options)
            for name in model_ids
        }
        try:
            for example in examples:
                audio = load(example)
                yield (
                    audio,
                    {
                        name: separator.separate_voices(audio.mixture, audio.sample_rate)
                        for name, separator in separators.items()
                    },
                )
        finally:
            for separator in separators.values():
                separator.close()

    def _evaluated(self, model_id: str, pinned: Pinned, progress: Progress) -> Evaluation:
        record = self.registry.resolve(model_id)
        separator = VoiceSeparator(_name(record), registry=self.registry, **self._options)
        try:
            kept = self.registry.evaluations
            return Run(separator, record.digest, pinned, self.measures, kept).evaluation(progress)
        finally:
            separator.close()

    def _checked(self, test_set: Pinned | str | Path) -> Pinned:
        pinned = test_set if isinstance(test_set, Pinned) else as_test_set(self.registry, test_set)
        if pinned.created_at:
            check_unchanged(pinned)
        return pinned


def _name(record: VersionRecord) -> str:
    return f"{record.model_id}@{record.version}"


def _parts(progress: Progress, count: int) -> list[Callable[[float, float], None]]:
    """One progress for each of several equal pieces of work."""

    def part(index: int) -> Progress:
        return lambda done, total: progress(index * total + done, count * total)

    return [part(index) for index in range(count)]
