"""`vsat import`: what it prints, keeps, and refuses."""

import json

import numpy as np
import pytest
import soundfile
import toys

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("yaml")

from peers import serialised

from vsat.qualification import Figures

FIGURES = Figures(0.25, 300_000_000, 118.0)
SMALL = {
    "n_filters": 16, "kernel_size": 16, "stride": 8, "bn_chan": 8, "hid_chan": 12, "skip_chan": 8,
    "n_blocks": 2, "n_repeats": 1,
}  # fmt: skip


@pytest.fixture
def checkpoint(asteroid, tmp_path, monkeypatch):
    monkeypatch.setenv("VSAT_HOME", str(tmp_path / "home"))
    path = tmp_path / "talks.pth"
    torch.save(serialised(asteroid.ConvTasNet(n_src=2, **SMALL)), path)
    return path


@pytest.fixture
def measured(monkeypatch):
    """Measuring is another test's part; here it answers at once."""
    monkeypatch.setattr("vsat.qualification.measure", lambda _: FIGURES)


def test_one_table_says_what_came_in_and_how_it_does(vsat_of, checkpoint, tmp_path):
    time = np.arange(8_000) / 8_000
    voices = [0.1 * np.sin(2 * np.pi * hertz * time) for hertz in (150, 900)]
    for name, samples in (("talk", sum(voices)), ("talk.s1", voices[0]), ("talk.s2", voices[1])):
        soundfile.write(tmp_path / f"{name}.wav", samples, 8_000)
    code, out, _ = vsat_of("import", checkpoint, "--score", tmp_path)
    assert code == 0
    assert out.startswith("talks@1\n")
    rows = {line.split("  ")[0]: line for line in out.splitlines()[2:]}
    assert "sample_rate in model_args" in rows["sample rate"]
    assert "8000 Hz" in rows["sample rate"]
    assert "n_src in model_args" in rows["voices"]
    agreement = rows["agreement with PyTorch"].split()
    assert float(agreement[agreement.index("dB") - 1]) >= 90
    assert "dB" in rows["improvement of talk"]
    code, out, _ = vsat_of("show", "talks")
    assert "measured real_time_factor" in out
    assert "measured si_sdri_db of talk" in out


@pytest.mark.usefixtures("measured")
def test_json_has_facts_and_figures(vsat_of, checkpoint):
    code, out, _ = vsat_of("import", checkpoint, "--as", "mine", "--rate", 16_000, "--json")
    found = json.loads(out)
    assert (code, found["model_id"], found["version"]) == (0, "mine", 1)
    assert found["sample_rate"] == {"value": 16_000, "found_in": "you"}
    assert found["qualification"]["agreement_db"] == 118.0
    code, out, err = vsat_of("import", checkpoint, "--as", "mine", "--rate", 16_000, "--no-check")
    assert code == 0
    assert "there already" in err


@pytest.mark.usefixtures("measured")
def test_a_later_version_waits_unless_it_is_to_be_used(vsat_of, checkpoint, asteroid):
    vsat_of("import", checkpoint)
    torch.manual_seed(1)
    torch.save(serialised(asteroid.ConvTasNet(n_src=2, **SMALL)), checkpoint)
    vsat_of("import", checkpoint)
    assert json.loads(vsat_of("show", "talks", "--json")[1])["version"] == 1
    torch.manual_seed(2)
    torch.save(serialised(asteroid.ConvTasNet(n_src=2, **SMALL)), checkpoint)
    vsat_of("import", checkpoint, "--use", "--because", "clearer")
    assert json.loads(vsat_of("show", "talks", "--json")[1])["version"] == 3
    assert "clearer" in vsat_of("history", "talks")[1]


@pytest.mark.usefixtures("measured")
def test_a_folder_lists_what_came_and_what_was_left(vsat_of, checkpoint, tmp_path):
    (tmp_path / "half.pth").write_bytes(checkpoint.read_bytes()[:5_000])
    (tmp_path / "graph.onnx").write_bytes(toys.scaled(0.5, 0.5).SerializeToString())
    code, out, err = vsat_of("import", tmp_path)
    assert code == 0
    assert "talks@1" in out
    assert "Asteroid Conv-TasNet" in out
    assert f"left  {tmp_path / 'half.pth'}: " in out
    assert f"left  {tmp_path / 'graph.onnx'}: " in out
    assert "does not say its sample rate" in out
    assert "came in: talks@1" in err
    code, out, _ = vsat_of("import", tmp_path, "--json")
    found = json.loads(out)
    assert [one["is_new"] for one in found["imported"]] == [False]
    assert len(found["left"]) == 2


def test_options_of_one_model_do_not_fit_a_folder_of_several(vsat_of, checkpoint, tmp_path):
    code, _, err = vsat_of("import", tmp_path, "--as", "one")
    assert code == 2
    assert "several models" in err


def test_a_folder_without_models_is_said(vsat_of, tmp_path, monkeypatch):
    monkeypatch.setenv("VSAT_HOME", str(tmp_path / "home"))
    (tmp_path / "empty").mkdir()
    code, out, err = vsat_of("import", tmp_path / "empty")
    assert (code, out) == (0, "")
    assert "nothing that looks like a model" in err


@pytest.mark.parametrize("name", ["gone.pth", "half.pth", "text.pth", "text.onnx", "text.vsat"])
def test_what_is_no_model_ends_with_an_error_and_nothing_kept(vsat_of, checkpoint, name):
    path = checkpoint.with_name(name)
    if name.startswith("half"):
        path.write_bytes(checkpoint.read_bytes()[:5_000])
    elif name.startswith("text"):
        path.write_text("this is no model")
    code, out, err = vsat_of("import", path, "--rate", 8_000)
    assert code in (1, 2)
    assert out == ""
    assert "error: " in err
    assert "hint: " in err
    assert vsat_of("models", "--json")[1].strip() == "{}"


def test_a_version_that_cannot_be_measured_is_registered_all_the_same(
    vsat_of, checkpoint, monkeypatch
):
    from vsat.errors import EngineError

    def fail(*_):
        raise EngineError("It crashed.", hint="Run: vsat doctor")

    monkeypatch.setattr("vsat.qualification.measure", fail)
    code, out, err = vsat_of("import", checkpoint)
    assert (code, out.split("\n")[0]) == (0, "talks@1")
    assert "could not be measured: It crashed." in err
