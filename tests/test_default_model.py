"""The model that ships, on real voices of speakers that it never heard."""

import csv
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from speech import SPEECH

import vsat
from vsat.bundle import read_bundle
from vsat.metrics import best_permutation, pairwise_si_sdr_db, si_sdr_improvement_db

ROOT = Path(__file__).parent.parent
PACKAGED = ROOT / "src" / "vsat" / "packaged" / "voice_separator_default"


@pytest.fixture(scope="module")
def separator(tmp_path_factory):
    registry = vsat.ModelRegistry(tmp_path_factory.mktemp("registry"))
    return vsat.VoiceSeparator(registry=registry)


def improvement(separator, mixtures, rows):
    found = []
    for row in rows:
        mixture, references = mixtures.render(row)
        estimates = separator.separate_voices(mixture, mixtures.SAMPLE_RATE)
        found.append(si_sdr_improvement_db(estimates, references, mixture))
    return np.mean(found)


def test_the_package_grows_by_at_most_five_megabytes():
    assert sum(path.stat().st_size for path in PACKAGED.iterdir()) <= 5e6


def test_the_packaged_bundle_is_whole_and_can_be_tuned():
    manifest = read_bundle(PACKAGED, verify=True).manifest
    assert (manifest.sample_rate, manifest.sources) == (16_000, 2)
    assert manifest.architecture is not None
    assert "weights.safetensors" in manifest.files
    assert manifest.licence == "Apache-2.0"
    assert manifest.lineage["configuration"]["training"]


def test_the_card_has_no_gaps():
    card = (PACKAGED / "README.md").read_text()
    assert "{" not in card
    assert "can't do" in card


def test_network_and_graph_of_the_package_agree(separator):
    pytest.importorskip("torch")
    from vsat.engines import open_engine

    bundle = read_bundle(PACKAGED)
    mixture = 0.05 * np.random.default_rng(0).standard_normal((1, 50_001)).astype(np.float32)
    by_graph, by_weights = (
        open_engine(bundle, name).run(mixture) for name in ("openvino", "torch")
    )
    error = np.square(by_graph - by_weights).mean()
    assert 10 * np.log10(np.square(by_weights).mean() / error) > 80


def test_full_overlap_of_unknown_speakers(separator, mixtures):
    rows = [row for row in mixtures.rows(kind="full") if not row["noise"]][:60]
    assert improvement(separator, mixtures, rows[::3]) > 5


def test_partial_overlap_of_unknown_speakers(separator, mixtures):
    assert improvement(separator, mixtures, mixtures.rows(kind="partial")[::3]) > 5


def test_estimates_add_up_to_the_mixture(separator, mixtures):
    mixture, _ = mixtures.render(mixtures.rows()[0])
    voices = separator.separate_voices(mixture, 16_000)
    np.testing.assert_allclose(voices.sum(axis=0), mixture, atol=1e-4)


def test_a_single_voice_goes_to_one_track(separator, mixtures):
    row = mixtures.rows()[0]
    voice, rate = soundfile.read(SPEECH / row["voice_1"], dtype="float32")
    voices = separator.separate_voices(voice, rate)
    levels = 10 * np.log10(np.square(voices).mean(axis=1) + 1e-12)
    assert abs(levels[0] - levels[1]) > 6


def test_a_long_recording_keeps_its_voices_on_their_tracks(separator, mixtures, tmp_path):
    """Two people overlap all through half a minute: three windows, and no exchange at a seam."""
    names = {0: [], 1: []}
    rows = [row for row in mixtures.rows(kind="full") if row["genders"] == "FM"]
    first = rows[0]
    for side in (0, 1):
        voice, _ = soundfile.read(SPEECH / first[f"voice_{side + 1}"], dtype="float32")
        names[side] = np.resize(voice / np.sqrt(np.square(voice).mean()) * 0.05, 30 * 16_000)
    references = np.stack([names[0], names[1]])
    path = tmp_path / "long.wav"
    soundfile.write(path, references.sum(axis=0), 16_000, subtype="FLOAT")
    paths = separator.separate_file(path, tmp_path / "out")
    estimates = np.stack([soundfile.read(one, dtype="float32")[0] for one in paths])
    assert estimates.shape == references.shape
    third = estimates.shape[1] // 3
    orders = {
        best_permutation(pairwise_si_sdr_db(estimates[:, part], references[:, part]))
        for part in (slice(0, third), slice(third, 2 * third), slice(2 * third, None))
    }
    assert len(orders) == 1


def test_a_real_meeting_separates(separator, mixtures, tmp_path):
    with open(SPEECH / "conversations.csv", newline="") as file:
        path = SPEECH / next(csv.DictReader(file))["path"]
    result = separator.separate(path, tmp_path)
    assert result.seconds == pytest.approx(30, abs=0.1)
    voices = np.stack([soundfile.read(one, dtype="float32")[0] for one in result.paths])
    mixture, _ = soundfile.read(path, dtype="float32")
    np.testing.assert_allclose(voices.sum(axis=0), mixture, atol=1e-3)


def recipe(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "recipes" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_nothing_of_a_held_out_speaker_is_packed(mixtures):
    pytest.importorskip("torch")
    utterances = list(recipe("pack_material").training_utterances(SPEECH))
    with open(SPEECH / "metadata.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    held_out = {(row["corpus"], row["speaker"]) for row in rows if row["split"] == "valid"}
    assert held_out
    assert len(utterances) > 1_000
    assert not held_out & {(one.corpus, one.speaker) for one in utterances}


def test_the_state_of_the_training_is_small_and_goes_on():
    pytest.importorskip("torch")
    from vsat.tuning.training import Training

    checkpoint = ROOT / "recipes" / "state" / "checkpoint.pt"
    assert checkpoint.stat().st_size <= 16 * 2**20
    training = Training.resume(checkpoint)
    assert training.step > 1_000
    settings = json.loads((ROOT / "recipes" / "default.json").read_text())
    assert training.config.parameters == settings["training"]["parameters"]
