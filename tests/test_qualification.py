"""What is measured of a version, and where it is kept."""

import subprocess

import pytest
import toys
from recordings import save, save_talk, tone

pytest.importorskip("onnx")

import vsat
from vsat.errors import AudioError, EngineError, SelfTestError
from vsat.qualification import qualify


@pytest.fixture
def registry(tmp_path):
    return vsat.ModelRegistry(tmp_path / "home")


@pytest.fixture
def scored(tmp_path):
    """A folder with a recording of a low and a high tone, and both tones."""
    return save_talk(tmp_path / "scored").parent


def test_speed_and_memory_of_a_bare_graph_are_kept(registry, tmp_path):
    toys.register(registry, tmp_path, toys.low_and_high())
    found = qualify("toy", registry)
    assert 0 < found.real_time_factor < 1
    assert 20e6 < found.peak_memory_bytes < 1e9
    assert found.agreement_db is None  # there is no network to compare with
    digest = registry.resolve("toy").digest
    assert registry.measurements(digest) == {
        "real_time_factor": found.real_time_factor,
        "peak_memory_bytes": found.peak_memory_bytes,
    }


def test_scores_are_kept_under_the_name_of_the_recording(registry, tmp_path, scored):
    toys.register(registry, tmp_path, toys.low_and_high())
    found = qualify("toy", registry, scored)
    assert found.scores_db["talk"] > 15
    kept = registry.measurements(registry.resolve("toy").digest)
    assert kept["si_sdri_db of talk"] == found.scores_db["talk"]


def test_a_model_that_does_nothing_improves_nothing(registry, tmp_path, scored):
    toys.register(registry, tmp_path, toys.scaled(0.5, 0.5))
    found = qualify("toy", registry, scored)
    assert found.scores_db["talk"] == pytest.approx(0, abs=0.01)


def test_voices_that_do_not_fit_are_said(registry, tmp_path, scored):
    toys.register(registry, tmp_path, toys.low_and_high())
    save(scored / "talk.s2.wav", tone(900, 1))
    with pytest.raises(AudioError, match="shorter than its mixture"):
        qualify("toy", registry, scored)


@pytest.mark.parametrize(
    "outcome",
    [
        subprocess.CalledProcessError(-11, "x", stderr=b"Segmentation fault\n"),
        subprocess.TimeoutExpired("x", 1),
        subprocess.CompletedProcess("x", 0, b"not json\n", b""),
        subprocess.CompletedProcess("x", 0, b"", b""),
    ],
    ids=["crash", "too slow", "no JSON", "nothing"],
)
def test_a_process_that_ends_badly_is_an_error(registry, tmp_path, monkeypatch, outcome):
    toys.register(registry, tmp_path, toys.low_and_high())

    def run(*_, **__):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(EngineError) as error:
        qualify("toy", registry)
    assert error.value.hint
    assert registry.measurements(registry.resolve("toy").digest) == {}


def test_a_model_that_gives_what_it_must_not_fails_its_self_test(registry, tmp_path):
    toys.register(registry, tmp_path, toys.low_and_high())
    toys.register(registry, tmp_path, toys.scaled(0.0, 0.0))  # a later one waits, and is not tried
    with pytest.raises(SelfTestError, match="all zeros"):
        qualify("toy@2", registry)
