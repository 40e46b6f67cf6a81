"""From a hub into the registry, through the library and through the command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("huggingface_hub")
pytest.importorskip("yaml")

from bundles import write_bundle
from homes import Home, check_whole
from hub_server import TOKEN, running_hub
from test_hub import hub as hub  # the fixture

from vsat.convert.exporting import export_version
from vsat.convert.importing import import_model
from vsat.errors import ConversionError, HubError, UsageError
from vsat.updates.origin import HubOrigin, HubReference, origin_in
from vsat.updates.pull import model_id_of, pull
from vsat.updates.selection import choose_files

CONTENTS = {"model.onnx": b"graph" * 1000, "weights.safetensors": b"weights" * 3000}


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def published(home, **changes):
    """The files of a version as they go to a hub."""
    folder = write_bundle(home.folder / "source", CONTENTS, licence="MIT", **changes)
    home.registry.register_model("voices", folder)
    done = export_version(home.registry, "voices", home.folder / "hf-folder")
    return {path.name: path.read_bytes() for path in done.path.iterdir()}


class Recorder:
    """An importer that notes what it is asked."""

    def __init__(self, fails=False):
        self.fails = fails
        self.asked = None

    def __call__(self, path, registry, model_id=None, **options):
        self.asked = (sorted(entry.name for entry in path.iterdir()), model_id, options)
        self.path = path
        if self.fails:
            raise ConversionError(f"{path} is of no family.", hint="Try another.")
        return 7


def test_the_importer_gets_the_files_the_wishes_and_the_origin(hub, home):
    commit = hub.add("org/My-Model", {"config.json": b"{}", "model.safetensors": b"x"})
    importer = Recorder()
    done = pull("hf:org/My-Model", home.registry, importer, sample_rate=8_000, licence="MIT")
    names, model_id, options = importer.asked
    assert names == ["config.json", "model.safetensors"]
    assert model_id == done.model_id == "My-Model"
    assert options == {
        "sample_rate": 8_000,
        "licence": "MIT",
        "metadata": {"origin": {"hub": "hf:org/My-Model", "revision": "main", "commit": commit}},
    }
    assert done.imported == 7
    assert not importer.path.exists()


def test_what_the_importer_refuses_leaves_nothing(hub, home):
    hub.add("org/name", {"pytorch_model.bin": b"x"})
    importer = Recorder(fails=True)
    with pytest.raises(ConversionError, match=r"^hf:org/name is of no family") as refusal:
        pull("hf:org/name", home.registry, importer, model_id="mine")
    assert refusal.value.message == "hf:org/name is of no family."
    assert importer.asked[1] == "mine"
    assert not importer.path.parent.exists()
    assert home.registry.list_models() == {}


def test_a_version_goes_out_to_a_hub_and_comes_back_the_same(hub, home):
    commit = hub.add("org/voices", published(home, metadata={"room": "kitchen"}))
    other = home.opened("other")
    done = pull("hf:org/voices", other, import_model, model_id="back")
    before, after = home.registry.resolve("voices"), other.resolve("back", done.imported.version)
    assert after.digest == before.digest
    assert after.metadata["room"] == "kitchen"
    assert origin_in(after.metadata) == HubOrigin(HubReference("org/voices"), commit)
    check_whole(other)


@pytest.mark.parametrize("name", ["CON", "x" * 96, "a.b-c_d"])
def test_the_id_is_the_repositorys_name_where_it_can_be_one(name):
    if name == "CON":
        with pytest.raises(UsageError) as refusal:
            model_id_of(f"hf:org/{name}")
        assert "--as" in refusal.value.hint
    else:
        assert model_id_of(f"hf:org/{name}@v1") == name


@pytest.mark.parametrize(
    "metadata",
    [
        {}, {"origin": "file"}, {"origin": {}}, {"origin": {"hub": "hf:a/b"}},
        {"origin": {"hub": "x", "revision": "main", "commit": "0"}},
        {"origin": {"hub": "hf:a/b", "revision": "../x", "commit": "0"}},
        {"origin": {"hub": 1, "revision": 2, "commit": 3}},
    ],
)  # fmt: skip
def test_other_origins_are_none_of_a_hub(metadata):
    assert origin_in(metadata) is None


# Which files are taken.

CARD = {"README.md": 10}


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ("config.json model.safetensors pytorch_model.bin", "config.json model.safetensors"),
        ("config.json weights.safetensors", "config.json weights.safetensors"),
        (
            "config.json a.safetensors b.safetensors pytorch_model.bin",
            "config.json pytorch_model.bin",
        ),
        ("model.safetensors pytorch_model.bin", "pytorch_model.bin"),
        ("pytorch_model.bin training.bin model.onnx", "pytorch_model.bin"),
        ("best.pth train.py", "best.pth"),
        (
            "hyperparams.yaml encoder.ckpt masknet.ckpt decoder.ckpt config.json x.wav",
            "decoder.ckpt encoder.ckpt hyperparams.yaml masknet.ckpt",
        ),
        (
            "model.json model.onnx model.safetensors config.json",
            "model.json model.onnx model.safetensors",
        ),
        ("model.onnx other.onnx", "model.onnx"),
        ("mine.onnx", "mine.onnx"),
    ],
)
def test_one_form_of_the_model_is_taken(names, chosen):
    sizes = dict.fromkeys(names.split(), 1000)
    assert " ".join(choose_files("org/name", sizes)) == chosen
    with_card = choose_files("org/name", sizes | CARD)
    assert set(with_card) == {*chosen.split(), "README.md"}


@pytest.mark.parametrize(
    "names",
    [
        "", "README.md", "onnx/model.onnx", "a.onnx b.onnx", "a.pth b.pth", "hyperparams.yaml",
        "encoder.ckpt", "model.safetensors", "model.json", "../model.onnx",
    ],
)  # fmt: skip
def test_what_is_no_model_or_several_is_said(names):
    with pytest.raises(HubError) as refusal:
        choose_files("org/name", dict.fromkeys(names.split(), 1000))
    assert refusal.value.hint
    assert all(name in refusal.value.message for name in names.split())


def test_a_configuration_that_is_too_large_is_none():
    with pytest.raises(HubError):
        choose_files("org/name", {"config.json": 1 << 30, "model.safetensors": 1000})
    large = {"README.md": 1 << 30, "mine.onnx": 1000}
    assert choose_files("org/name", large) == ("mine.onnx",)


# The command, in a process of its own that reads the variables that people set.


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """Run vsat in a process of its own: (code, stdout, stderr)."""
    folder = tmp_path_factory.mktemp("command")

    def run(running, *arguments, **variables):
        environment = {
            **{key: os.environ[key] for key in os.environ if not key.lower().endswith("_proxy")},
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "VSAT_HOME": str(folder / "home"),
            "HF_HOME": str(folder / "hf"),
            "HF_ENDPOINT": running.endpoint,
            **variables,
        }
        line = [sys.executable, "-m", "vsat", *arguments]
        done = subprocess.run(
            line, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert "Traceback" not in done.stderr
        assert TOKEN not in done.stdout + done.stderr
        return done.returncode, done.stdout, done.stderr

    run.folder = folder
    return run


def test_the_command_obeys_token_cache_mirror_and_offline_mode(command, tmp_path):
    pytest.importorskip("onnx")
    import toys

    graph = toys.scaled(0.75, 0.25)
    files = {
        "mine.onnx": graph.SerializeToString(),
        "README.md": b"---\nlicense: mit\n---\nAt 8 kHz.\n",
    }
    with running_hub() as running:
        commit = running.add("org/toy", files, private=True)
        code, _, told = command(running, "pull", "hf:org/toy")
        assert code == 1
        assert "or it is private" in told
        code, printed, told = command(running, "pull", "hf:org/toy", HF_TOKEN=TOKEN)
        assert code == 0, told
        assert printed.startswith("toy@1\n")
        assert "8 kHz in the card's text" in printed
        assert "real-time factor" in printed
        assert commit[:12] in told
        assert Path(command.folder, "hf", "hub", "models--org--toy").is_dir()
    arguments = ("pull", "hf:org/toy", "--as", "other", "--rate", "16000", "--json")
    code, printed, told = command(running, *arguments, HF_HUB_OFFLINE="1")
    assert code == 0, told
    found = json.loads(printed)
    assert found["origin"] == {"hub": "hf:org/toy", "revision": "main", "commit": commit}
    assert (found["model_id"], found["version"], found["from_cache"]) == ("other", 1, True)
    assert "gave no answer" in told


def test_the_command_ends_with_the_code_of_its_error(command):
    with running_hub() as running:
        assert command(running, "pull", "org/name")[0] == 2
        running.add("org/name", {"train.py": b"print()"})
        code, _, told = command(running, "pull", "hf:org/name")
    assert code == 1
    assert "error: org/name has no file that vsat can use" in told
    assert "hint:" in told
