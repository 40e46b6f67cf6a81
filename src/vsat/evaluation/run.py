"""One version on one test set: what is known already is not run again."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from vsat.errors import AudioError
from vsat.estimation import estimate
from vsat.evaluation.example import Example, load
from vsat.evaluation.pinned import Pinned
from vsat.evaluation.results import ESTIMATED, PRIMARY, Evaluation, Scores
from vsat.metrics import Separation, measure_all
from vsat.progress import Progress
from vsat.registry import Evaluations, Setting
from vsat.separator import VoiceSeparator

Kept = Mapping[str, float | None]  # None where a measure is not defined


class Run:
    """One version on one test set.

    Args:
        separator: the version, loaded.
        digest: of its content.
        test_set: what it is scored on.
        measures: for recordings with references.
        kept: where scores are looked up, and kept as soon as they are there.
    """

    def __init__(
        self,
        separator: VoiceSeparator,
        digest: str,
        test_set: Pinned,
        measures: Sequence[str],
        kept: Evaluations,
    ) -> None:
        self._separator, self._digest, self._test_set = separator, digest, test_set
        self._measures, self._kept = tuple(measures), kept
        self._setting = Setting(separator.engine, separator.precision)
        self._notes: dict[str, None] = {}  # ordered, each once

    def evaluation(self, progress: Progress) -> Evaluation:
        """Score what has not been scored before.

        Raises:
            AudioError: a recording can't be read, or its references don't belong to it.
            MissingExtraError: a measure needs the extra `evaluate`.
        """
        digests = self._test_set.digests
        pairs = list(zip(self._test_set.examples, digests, strict=True))
        known = self._kept.scores(self._digest, digests, self._setting)
        missing = [pair for pair in pairs if not self._suffices(pair[0], known.get(pair[1], {}))]
        n_done = len(pairs) - len(missing)
        for digest, scores in self._scored(missing):
            known[digest] = {**known.get(digest, {}), **scores}
            self._kept.keep_scores(self._digest, digest, self._setting, scores)
            n_done += 1
            progress(n_done, len(pairs))
        return Evaluation(
            self._separator.model,
            self._digest,
            self._setting,
            {example.name: self._asked(example, known[digest]) for example, digest in pairs},
            tuple(self._notes),
        )

    def _suffices(self, example: Example, scores: Kept) -> bool:
        if example.has_references:
            return all(key in scores for key in self._measures)
        return any(key.startswith(ESTIMATED) for key in scores)

    def _asked(self, example: Example, scores: Kept) -> Scores:
        """Of all that is known, what was asked for, as far as it is defined."""
        estimated = sorted(
            (key for key in scores if key.startswith(ESTIMATED)),
            key=lambda key: (key not in PRIMARY, key),
        )
        wanted = self._measures if example.has_references else estimated
        found = {key: scores[key] for key in wanted}
        return {key: value for key, value in found.items() if value is not None}

    def _scored(
        self, pairs: Sequence[tuple[Example, str]]
    ) -> Iterator[tuple[str, dict[str, float | None]]]:
        with_references = [pair for pair in pairs if pair[0].has_references]
        measured = measure_all(
            (self._separation(example) for example, _ in with_references),
            measures=self._measures,
            leave_out_undefined=True,
        )
        for (example, digest), found in zip(with_references, measured, strict=True):
            for key in set(self._measures) - set(found.values):
                self._note(f"{key} is not defined for {example.name}: a voice speaks too little.")
            yield digest, {key: found.values.get(key) for key in self._measures}
        for example, digest in pairs:
            if not example.has_references:
                yield digest, dict(self._estimated(example))

    def _separation(self, example: Example) -> Separation:
        audio = load(example)
        for note in audio.notes:
            self._note(f"{example.name}: {note}")
        assert audio.references is not None
        self._check_sources(example, len(audio.references))
        return Separation(
            self._separate(audio.mixture, audio.sample_rate),
            audio.references,
            audio.sample_rate,
            audio.mixture,
        )

    def _estimated(self, example: Example) -> Scores:
        audio = load(example)
        rate = audio.sample_rate
        return estimate(
            lambda mixture: self._separate(mixture, rate),
            audio.mixture,
            self._separate(audio.mixture, rate),
            rate,
        )

    def _separate(self, mixture: np.ndarray, sample_rate: int) -> np.ndarray:
        if sample_rate > self._separator.sample_rate:
            self._note(
                f"{self._separator.model} works at {self._separator.sample_rate} Hz: of recordings"
                f" at {sample_rate} Hz, it gives nothing above"
                f" {self._separator.sample_rate // 2} Hz."
            )
        return self._separator.separate_voices(mixture, sample_rate)

    def _check_sources(self, example: Example, n_references: int) -> None:
        n_sources = self._separator.sources
        if n_sources < n_references:
            raise AudioError(
                f"{example.name} has {n_references} voices, and {self._separator.model} gives"
                f" {n_sources}.",
                hint="Use recordings of as many voices as the model gives, or fewer.",
            )
        if n_sources > n_references:
            self._note(
                f"{self._separator.model} gives {n_sources} voices; of recordings of"
                f" {n_references}, those that fit best count."
            )

    def _note(self, note: str) -> None:
        self._notes[note] = None
