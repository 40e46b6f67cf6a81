"""What is measured of a version, and where it is kept."""

import json
import subprocess

import numpy as np
import pytest
import soundfile
import toys

pytest.importorskip("onnx")

import vsat
from vsat import qualification
from vsat.errors import AudioError, EngineError, UsageError
from vsat.qualification import find_scored, qualify

RATE = 8_000


@pytest.fixture
def registry(tmp_path):
    return vsat.ModelRegistry(tmp_path / "home")


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    """The process that measures reads this from its own module, so its window stays as it is."""
    monkeypatch.setattr(qualification, "MIN_LENGTH_S", 0.1)


def save(path, samples, rate=RATE):
    soundfile.write(path, samples, rate, subtype="FLOAT")


@pytest.fixture
def scored(tmp_path):
    """A recording of a low and a high tone, and both tones."""
    folder = tmp_path / "scored"
    folder.mkdir()
    time = np.arange(2 * RATE) / RATE
    low, high = 0.1 * np.sin(2 * np.pi * 150 * time), 0.1 * np.sin(2 * np.pi * 3_300 * time)
    save(folder / "talk.wav", low + high)
    save(folder / "talk.s1.wav", low)
    save(folder / "talk.s2.wav", high)
    return folder


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
    found = qualify("toy", registry, find_scored(scored))
    assert found.scores_db["talk.wav"] > 15
    kept = registry.measurements(registry.resolve("toy").digest)
    assert kept["si_sdri_db of talk.wav"] == found.scores_db["talk.wav"]


def test_a_model_that_does_nothing_improves_nothing(registry, tmp_path, scored):
    toys.register(registry, tmp_path, toys.scaled(0.5, 0.5))
    found = qualify("toy", registry, find_scored(scored))
    assert found.scores_db["talk.wav"] == pytest.approx(0, abs=0.01)


def test_recordings_and_voices_that_do_not_fit_are_said(registry, tmp_path, scored):
    toys.register(registry, tmp_path, toys.low_and_high())
    save(scored / "talk.s2.wav", np.zeros(99))
    with pytest.raises(AudioError, match="length and rate"):
        qualify("toy", registry, find_scored(scored))
    save(scored / "talk.s2.wav", np.zeros(2 * RATE))
    save(scored / "talk.s3.wav", np.zeros(2 * RATE))
    with pytest.raises(AudioError, match="3 voices"):
        qualify("toy", registry, find_scored(scored))
    (scored / "talk.wav").unlink()
    with pytest.raises(UsageError, match="no recording with its voices"):
        find_scored(scored)
    with pytest.raises(UsageError, match="no folder"):
        find_scored(scored / "gone")


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


def test_the_figures_are_plain_json(registry, tmp_path):
    toys.register(registry, tmp_path, toys.low_and_high())
    found = qualification._measured_apart(registry.get_bundle("toy"))
    assert json.loads(json.dumps(found)) == found
