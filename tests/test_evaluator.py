"""`ModelEvaluator`: scores that are kept, comparisons, promotion by evidence."""

import numpy as np
import pytest
import toys
from recordings import RATE, save, save_talk, tone

pytest.importorskip("onnx")
pytest.importorskip("scipy")

import vsat
from vsat.errors import AudioError, ModelNotFoundError, UsageError
from vsat.evaluation import ModelEvaluator, Verdict
from vsat.evaluation.pinned import pin
from vsat.evaluation.promotion import promote_if_better
from vsat.evaluation.ranking import rank
from vsat.separator import VoiceSeparator

MEASURES = ("si_sdr_db", "si_sdri_db")


@pytest.fixture
def registry(tmp_path):
    """Of the model `toy`, 1 gives the mixture twice, 2 tells low from high, 3 does so less well."""
    registry = vsat.ModelRegistry(tmp_path / "home")
    for graph in (toys.scaled(0.5, 0.5), toys.low_and_high(), toys.low_and_high(0.9)):
        toys.register(registry, tmp_path, graph)
    return registry


@pytest.fixture
def talks(tmp_path):
    for number in range(5):
        save_talk(tmp_path / "talks", f"talk{number}", seed=number)
    return tmp_path / "talks"


@pytest.fixture
def evaluator(registry):
    return ModelEvaluator(registry=registry, measures=MEASURES, threads=1)


@pytest.fixture
def runs(monkeypatch):
    """What is separated, one entry for each recording."""
    seen = []
    separate = VoiceSeparator.separate_voices

    def noted(self, mixture, sample_rate=None):
        seen.append(self.model)
        return separate(self, mixture, sample_rate)

    monkeypatch.setattr(VoiceSeparator, "separate_voices", noted)
    return seen


def test_the_contract(registry, talks):
    evaluator = vsat.ModelEvaluator(registry=registry)
    files = [talks / "talk0.wav", talks / "talk1.wav"]
    found = evaluator.evaluate_model("toy@2", files)
    assert list(found) == [str(path) for path in files]
    assert {"si_sdr_db", "si_sdri_db", "sdr_db"} <= set(found[str(files[0])])
    assert found[str(files[0])]["si_sdri_db"] > 10
    references = [talks / "talk0.s1.wav", talks / "talk0.s2.wav"]
    compared = evaluator.compare_models(["toy@1", "toy@2"], files[0], references)
    assert list(compared) == ["toy@1", "toy@2"]
    assert compared["toy@2"]["output"].shape == (2, 2 * RATE)
    assert compared["toy@2"]["output"].dtype == np.float32
    assert compared["toy@2"]["metrics"]["si_sdri_db"] == pytest.approx(
        found[str(files[0])]["si_sdri_db"]
    )


def test_recordings_without_references_get_estimates(registry, tmp_path):
    talk = save(tmp_path / "talk.wav", tone(150) + tone(3_300, seed=1))
    found = vsat.ModelEvaluator(registry=registry).evaluate_model("toy@2", [talk])[str(talk)]
    assert found
    assert all(key.startswith("est_") for key in found)
    assert "est_si_sdr_db" in found


def test_what_was_scored_is_not_run_again(evaluator, registry, talks, runs):
    first = evaluator.evaluate("toy@2", talks)
    assert len(runs) == 5
    assert evaluator.evaluate("toy@2", talks) == first
    assert len(runs) == 5
    other = ModelEvaluator(registry=registry, measures=("si_sdr_db",))
    assert other.evaluate("toy@2", talks).measures == ("si_sdr_db",)
    assert len(runs) == 5  # a part of what is known
    save_talk(talks, "talk9", seed=9)
    assert len(evaluator.evaluate("toy@2", talks).scores) == 6
    assert len(runs) == 6


def test_an_evaluation_that_was_interrupted_goes_on(evaluator, talks, runs):
    def stop(done, _):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluator.evaluate("toy@2", talks, stop)
    before = len(runs)
    seen = []
    found = evaluator.evaluate("toy@2", talks, lambda done, total: seen.append((done, total)))
    assert len(found.scores) == 5
    assert len(runs) - before <= 3
    assert seen == [(3, 5), (4, 5), (5, 5)]


def test_the_better_version_is_told_and_how_sure_that_is(evaluator, talks):
    found = evaluator.compare(["toy@1", "toy@2", "toy@3"], talks)
    second, third = (one[found.primary] for one in found.differences)
    assert found.primary == "si_sdri_db"
    assert second.verdict is Verdict.BETTER
    assert second.win_rate == 1
    assert second.low < second.mean < second.high
    assert second.mean > third.mean
    assert "toy@2 is better than toy@1" in found.verdicts[0]


def test_recordings_without_references_are_compared_by_estimates(evaluator, tmp_path):
    for number in range(4):
        mixture = tone(150 + 9 * number) + tone(3_300, seed=number + 1)
        save(tmp_path / "bare" / f"{number}.wav", mixture)
    found = evaluator.compare(["toy@1", "toy@2"], tmp_path / "bare")
    assert found.primary == "est_si_sdr_db"
    assert ", estimated (" in found.verdicts[0]
    assert "est_noise_floor_db" not in found.differences[0]
    assert "est_noise_floor_db" in found.evaluations[0].scores["0"]
    assert found.differences[0]["est_si_sdr_db"].mean > 0


def test_a_comparison_needs_two_different_versions(evaluator, talks):
    with pytest.raises(UsageError, match="two versions"):
        evaluator.compare(["toy"], talks)
    with pytest.raises(UsageError, match="with itself"):
        evaluator.compare(["toy", "toy@1"], talks)
    with pytest.raises(ModelNotFoundError):
        evaluator.compare(["toy", "toy@9"], talks)


def test_a_changed_test_set_is_refused(evaluator, registry, talks):
    pin(registry, "mine", talks)
    evaluator.evaluate("toy@2", "mine")
    save(talks / "talk3.s1.wav", tone(222))
    with pytest.raises(AudioError, match="talk3"):
        evaluator.evaluate("toy@2", "mine")
    with pytest.raises(AudioError, match="talk3"):
        promote_if_better(registry, "toy@2", "mine")
    assert registry.resolve("toy").version == 1


def test_a_version_is_promoted_only_if_it_is_better(registry, talks):
    pin(registry, "mine", talks)
    done = promote_if_better(registry, "toy@2", "mine", "as asked")
    assert (done.done, done.current) == (True, "toy@1")
    assert registry.resolve("toy").version == 2
    reason = registry.history("toy")[-1]["because"]
    assert reason.startswith("as asked; si_sdri_db on mine: toy@2 is better than toy@1")
    worse = promote_if_better(registry, "toy@3", "mine")
    assert not worse.done
    assert registry.resolve("toy").version == 2
    with pytest.raises(UsageError, match="current already"):
        promote_if_better(registry, "toy@2", "mine")


def test_versions_are_ranked_by_what_is_known(evaluator, registry, talks):
    pin(registry, "mine", talks)
    for version in (1, 2):
        evaluator.evaluate(f"toy@{version}", "mine")
    found = rank(registry, "mine")
    assert [one.model for one in found.ranked] == ["toy@2", "toy@1"]
    assert found.missing == ("toy@3",)
    assert found.ranked[0].mean == pytest.approx(
        evaluator.evaluate("toy@2", "mine").mean("si_sdri_db")
    )


def test_a_model_of_fewer_voices_is_refused_and_of_more_is_said(
    registry, evaluator, talks, tmp_path
):
    toys.register(registry, tmp_path, toys.scaled(1.0), "one")
    with pytest.raises(AudioError, match="has 2 voices, and one@1 gives 1"):
        evaluator.evaluate("one", talks)
    three = toys.filterbank([[0, 0.3, 0], [0, 0.5, 0], [0, 0.2, 0]])
    toys.register(registry, tmp_path, three, "three")
    found = evaluator.evaluate("three", talks)
    assert any("those that fit best count" in note for note in found.notes)


def test_a_model_of_a_lower_rate_says_what_is_missing(registry, evaluator, tmp_path):
    fast = tmp_path / "fast"
    voices = [tone(150, rate=16_000), tone(3_300, rate=16_000, seed=1)]
    for name, samples in (("t.wav", sum(voices)), ("t.s1.wav", voices[0]), ("t.s2.wav", voices[1])):
        save(fast / name, samples, 16_000)
    found = evaluator.evaluate("toy@2", fast)
    assert any("nothing above 4000 Hz" in note for note in found.notes)


def test_a_measure_that_is_not_defined_is_left_out_and_said(registry, tmp_path):
    evaluator = ModelEvaluator(registry=registry, measures=("si_sdri_db", "stoi"))
    short = tmp_path / "short"
    voices = [tone(150, 0.3), tone(3_300, 0.3, seed=1)]
    for name, samples in (("t.wav", sum(voices)), ("t.s1.wav", voices[0]), ("t.s2.wav", voices[1])):
        save(short / name, samples)
    found = evaluator.evaluate("toy@2", short)
    assert list(found.scores["t"]) == ["si_sdri_db"]
    assert any("stoi is not defined for t" in note for note in found.notes)
    assert evaluator.evaluate("toy@2", short).scores == found.scores


def test_an_unknown_measure_is_said(registry):
    with pytest.raises(UsageError, match="no measure 'loudness'"):
        ModelEvaluator(registry=registry, measures=["loudness"])
