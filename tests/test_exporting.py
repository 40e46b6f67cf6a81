"""Versions on their way out and in again: the same weights, the same lineage, nothing half-done."""

import json
import os
import zipfile

import pytest

pytest.importorskip("yaml")

from bundles import write_bundle
from homes import Home, check_whole, damage

from vsat.bundle import Architecture, read_bundle
from vsat.cli import main
from vsat.convert import packing
from vsat.convert.exporting import Form, export_version, form_of
from vsat.convert.importing import import_model
from vsat.errors import BundleError, ConversionError, DamagedError, StorageError, UsageError
from vsat.registry import ModelRegistry

CONTENTS = {
    "model.onnx": b"graph" * 1000,
    "weights.safetensors": b"weights" * 3000,
    "README.md": "# Größe\n\nA card.\n".encode(),
}
LINEAGE = {
    "base": "voices@1",
    "base_digest": "0" * 64,
    "data_fingerprint": "f" * 64,
    "configuration": {"epochs": 3},
    "seed": 7,
}
SAID = {
    "architecture": Architecture("skim", {"width": 64}),
    "licence": "Apache-2.0",
    "description": "For kitchens",
    "lineage": LINEAGE,
    "metadata": {"room": "kitchen", "origin": {"hub": "hf:org/name"}},
}


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@pytest.fixture
def registry(home):
    add(home, CONTENTS)
    return home.registry


def add(home, contents, model_id="voices", **changes):
    folder = write_bundle(
        home.folder / "sources" / f"{os.urandom(4).hex()}", contents, **{**SAID, **changes}
    )
    return home.registry.register_model(model_id, folder)


def out(registry, target, model="voices@1", **options):
    return export_version(registry, model, target, **options)


def unpacked(path, folder):
    """The bundle's folder of whatever was exported."""
    if path.is_file():
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
        return folder
    return path


def left_over(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


NAMES = ["again", "again.vsat", "again-hf-folder"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("card", [True, False])
def test_out_and_in_again_is_the_same(home, tmp_path, name, card):
    contents = {key: CONTENTS[key] for key in CONTENTS if card or key != "README.md"}
    add(home, contents)
    before = home.registry.get_bundle("voices@1")
    done = out(home.registry, tmp_path / name)
    other = home.opened("other")
    version = import_model(unpacked(done.path, tmp_path / "files"), other).version
    after = other.get_bundle("voices", version)
    assert after.manifest == before.manifest
    assert after.manifest.digest == done.digest == before.manifest.digest
    assert after.manifest.lineage == LINEAGE
    assert {n: (after.path / n).read_bytes() for n in contents} == contents
    check_whole(other)
    assert left_over(tmp_path) == []


def test_what_came_in_goes_out_equal_again(registry, home, tmp_path):
    first = out(registry, tmp_path / "a.vsat")
    other = home.opened("other")
    import_model(unpacked(first.path, tmp_path / "files"), other)
    second = out(other, tmp_path / "b.vsat")
    assert second.path.read_bytes() == first.path.read_bytes()


def test_an_exported_folder_registers_by_itself(registry, home, tmp_path):
    done = out(registry, tmp_path / "again")
    home.opened("other").register_model("renamed", done.path)
    assert home.opened("other").resolve("renamed").digest == done.digest
    assert read_bundle(done.path, verify=True).manifest.metadata == SAID["metadata"]


def test_an_archive_is_the_same_wherever_and_whenever_it_is_made(registry, tmp_path, monkeypatch):
    one = out(registry, tmp_path / "one.vsat").path
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    two = out(registry, tmp_path / "two.vsat").path
    assert one.read_bytes() == two.read_bytes()
    with zipfile.ZipFile(one) as archive:
        assert archive.testzip() is None
        entries = archive.infolist()
    assert [e.filename for e in entries] == sorted([*CONTENTS, "model.json"])
    assert {e.compress_type for e in entries} == {zipfile.ZIP_STORED}
    assert {e.date_time for e in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {e.external_attr >> 16 for e in entries} == {0o644}


def test_the_graph_alone(registry, tmp_path):
    done = out(registry, tmp_path / "model.onnx")
    assert done.path.read_bytes() == CONTENTS["model.onnx"]
    assert done.size_bytes == len(CONTENTS["model.onnx"])
    assert done.form is Form.GRAPH
    assert done.path.stat().st_mode & 0o200  # it is the person's own


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a", "folder"),
        ("a.VSAT", "vsat"),
        ("m.onnx", "onnx"),
        ("hf-folder", "hf-folder"),
        ("a.b", "folder"),
    ],
)
def test_the_name_says_the_form(tmp_path, name, form):
    assert form_of(tmp_path / name) == form


def test_the_form_can_be_said(registry, tmp_path):
    done = out(registry, tmp_path / "mine", form=Form.HUB)
    assert (done.path / "config.json").exists()


def test_a_folder_for_a_hub(registry, tmp_path):
    yaml = pytest.importorskip("yaml")
    folder = out(registry, tmp_path / "hf-folder").path
    assert {p.name for p in folder.iterdir()} == {
        "README.md", "model.safetensors", "model.onnx", "config.json", "model.json",
    }  # fmt: skip
    assert (folder / "model.safetensors").read_bytes() == CONTENTS["weights.safetensors"]
    card = (folder / "README.md").read_text(encoding="utf-8")
    _, block, text = card.split("---\n", 2)
    assert yaml.safe_load(block) == {
        "license": "apache-2.0",
        "library_name": "vsat",
        "pipeline_tag": "audio-to-audio",
        "base_model": "org/name",
        "tags": ["speech-separation", "audio-source-separation", "onnx", "skim"],
    }
    assert text.encode() == CONTENTS["README.md"]
    assert json.loads((folder / "config.json").read_text()) == {
        "architecture": "skim", "parameters": {"width": 64}, "sample_rate": 16_000, "sources": 2,
    }  # fmt: skip


def test_a_version_without_a_card_gets_one_that_says_what_it_is(home, tmp_path):
    add(home, {"model.onnx": b"graph"}, architecture=None)
    card = (out(home.registry, tmp_path / "hf-folder").path / "README.md").read_text()
    for said in (
        "# voices",
        "For kitchens",
        "16000 Hz",
        "Voices: 2",
        "Apache-2.0",
        "Seed: 7",
        "voices@1",
        "f" * 64,
        "vsat pull hf:ORG/NAME",
        "(batch, 2, samples)",
    ):
        assert said in card, said


@pytest.mark.parametrize(
    ("licence", "said"),
    [
        ("MIT", {"license": "mit"}),
        ("CC-BY-SA-4.0", {"license": "cc-by-sa-4.0"}),
        ("My-Terms", {"license": "other", "license_name": "x-my-terms"}),
        ("ask me\n---\nevil: !!python/name:os.system", {"license": "other"}),
        (None, {}),
    ],
)
def test_no_licence_gets_out_of_its_line(home, tmp_path, licence, said):
    yaml = pytest.importorskip("yaml")
    add(home, CONTENTS, licence=licence, metadata={"origin": {"hub": "hf:a/b\nevil: 1"}})
    card = (out(home.registry, tmp_path / "hf-folder").path / "README.md").read_text()
    block = yaml.safe_load(card.split("---\n")[1])
    assert {key: block[key] for key in block if key.startswith("license")} == said
    assert block.keys() <= {"license", "license_name", "library_name", "pipeline_tag", "tags"}


def test_a_card_that_has_a_block_of_its_own_keeps_it(home, tmp_path):
    own = b"---\nlicense: mit\n---\n# Mine\n"
    add(home, {**CONTENTS, "README.md": own})
    done = out(home.registry, tmp_path / "hf-folder")
    assert (done.path / "README.md").read_bytes() == own
    (tmp_path / "staging").mkdir()
    packing.read_hub_folder(done.path, tmp_path / "staging")
    assert read_bundle(tmp_path / "staging", verify=True).manifest.digest == done.digest


def test_a_card_that_was_edited_on_the_hub_is_taken_as_it_is_now(registry, home, tmp_path):
    folder = out(registry, tmp_path / "hf-folder").path
    (folder / "README.md").write_text("# Other words\n")
    other = home.opened("other")
    import_model(folder, other)
    bundle = other.get_bundle("voices")
    assert (bundle.path / "README.md").read_text() == "# Other words\n"
    assert (
        bundle.manifest.files["weights.safetensors"]
        == (registry.get_bundle("voices").manifest.files["weights.safetensors"])
    )


def test_what_is_said_goes_before_what_the_bundle_says(registry, home, tmp_path):
    folder = out(registry, tmp_path / "hf-folder").path
    other = home.opened("other")
    import_model(
        folder, other, "mine", sample_rate=8_000, licence="MIT", metadata={"origin": "here"}
    )
    found = other.get_bundle("mine").manifest
    assert (found.sample_rate, found.licence) == (8_000, "MIT")
    assert found.metadata == {"room": "kitchen", "origin": "here"}


# What must not happen.


@pytest.mark.parametrize("name", [*NAMES, "model.onnx"])
def test_nothing_is_written_over(registry, tmp_path, name):
    target = tmp_path / name
    target.write_text("mine")
    with pytest.raises(UsageError, match="something at") as refusal:
        out(registry, target)
    assert "--force" in refusal.value.hint
    assert target.read_text() == "mine"


@pytest.mark.parametrize("name", [*NAMES, "model.onnx"])
def test_an_earlier_export_is_replaced_when_asked(registry, home, tmp_path, name):
    out(registry, tmp_path / name)
    add(home, {**CONTENTS, "model.onnx": b"other"})
    done = out(registry, tmp_path / name, "voices@2", replace=True)
    assert (done.path if done.path.is_file() else done.path / "model.onnx").read_bytes().count(
        b"other"
    ) == 1
    assert left_over(tmp_path) == []


def test_a_folder_of_anything_else_is_never_replaced(registry, tmp_path):
    done = out(registry, tmp_path / "again")
    (done.path / "thesis.docx").write_text("mine")
    (tmp_path / "photos").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    for name in ("again", "photos", "link"):
        with pytest.raises(UsageError, match="no earlier export"):
            out(registry, tmp_path / name, replace=True)
    with pytest.raises(UsageError, match="no earlier export"):
        out(registry, tmp_path / "photos", form=Form.ARCHIVE, replace=True)
    assert (done.path / "thesis.docx").read_text() == "mine"


def test_the_registry_is_no_place_for_exports(registry):
    for target in (registry.home, registry.home / "models" / "x", registry.home / "x.vsat"):
        with pytest.raises(UsageError, match="within the registry"):
            out(registry, target, replace=True)
    check_whole(registry)


@pytest.mark.parametrize("name", [*NAMES, "model.onnx"])
def test_a_damaged_version_does_not_get_out(registry, home, tmp_path, name):
    damage(home.path("voices", 1, "model.onnx"))
    with pytest.raises(DamagedError):
        out(registry, tmp_path / name)
    assert not (tmp_path / name).exists()
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("name", [*NAMES, "model.onnx"])
def test_a_disk_that_fails_leaves_nothing(registry, tmp_path, monkeypatch, name):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match="No space"):
        out(registry, tmp_path / name)
    assert not (tmp_path / name).exists()
    assert left_over(tmp_path) == []


def test_too_little_room_is_said_before(registry, tmp_path, monkeypatch):
    monkeypatch.setattr("vsat.files.free_bytes", lambda path: 1 << 20)
    with pytest.raises(StorageError, match="free"):
        out(registry, tmp_path / "a.vsat")


def test_a_folder_that_is_missing_is_said(registry, tmp_path):
    for name in ("no/a", "no/a.vsat"):
        with pytest.raises(StorageError):
            out(registry, tmp_path / name)


def test_what_is_no_separation_model_leaves_as_it_is(home, tmp_path):
    home.add("notes", b"opaque")
    done = out(home.registry, tmp_path / "notes.vsat", "notes")
    assert read_bundle(unpacked(done.path, tmp_path / "files"), verify=True).manifest.id == "notes"
    for name in ("hf-folder", "m.onnx"):
        with pytest.raises(UsageError, match="not a voice-separation model"):
            out(home.registry, tmp_path / name, "notes")


@pytest.mark.parametrize("name", ["model.onnx", "model.safetensors"])
@pytest.mark.parametrize("how", ["changed", "missing"])
def test_a_folder_from_a_hub_that_is_not_whole_is_refused(registry, home, tmp_path, name, how):
    folder = out(registry, tmp_path / "hf-folder").path
    if how == "missing":
        (folder / name).unlink()
    else:
        damage(folder / name)
    other = home.opened("other")
    with pytest.raises(DamagedError if how == "changed" else BundleError):
        import_model(folder, other, "x")
    assert other.list_models() == {}


def test_a_graph_without_its_manifest_needs_a_rate(home, tmp_path):
    pytest.importorskip("onnx")
    import toys

    (tmp_path / "graph").mkdir()
    toys.save(toys.scaled(0.5, 0.5), tmp_path / "graph" / "mine.onnx")
    with pytest.raises(UsageError, match="does not say its sample rate") as refusal:
        import_model(tmp_path / "graph", home.registry)
    assert "--rate" in refusal.value.hint
    (tmp_path / "graph" / "README.md").write_text("---\nlicense: mit\n---\nAt 8 kHz.\n")
    import_model(tmp_path / "graph", home.registry)
    found = home.registry.get_bundle("mine").manifest
    assert (found.sample_rate, found.licence, found.sources) == (8_000, "mit", 2)
    import_model(tmp_path / "graph", home.registry, "mine", sample_rate=16_000)
    assert home.registry.get_bundle("mine", 2).manifest.sample_rate == 16_000


def test_what_is_neither_is_refused(home, tmp_path):
    with pytest.raises(ConversionError, match="no file of weights"):
        import_model(tmp_path, home.registry)


# The command.


@pytest.fixture
def spoken(registry, monkeypatch, capsys):
    monkeypatch.setenv("VSAT_HOME", str(registry.home))

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


def test_the_command_says_what_it_wrote(spoken, tmp_path):
    code, printed, told = spoken("export", "voices@1", "--to", tmp_path / "a.vsat")
    assert (code, printed.strip()) == (0, str(tmp_path / "a.vsat"))
    assert "voices@1" in told
    code, printed, _ = spoken("export", "voices", "--to", tmp_path / "hf-folder", "--json")
    found = json.loads(printed)
    assert (found["form"], found["version"]) == ("hf-folder", "voices@1")
    assert found["digest"] == ModelRegistry().resolve("voices").digest
    _, _, told = spoken("export", "voices", "--to", tmp_path / "m.onnx")
    assert "--sample-rate 16000" in told


def test_the_command_ends_with_the_code_of_its_error(spoken, tmp_path, home):
    (tmp_path / "a.vsat").touch()
    assert spoken("export", "voices", "--to", tmp_path / "a.vsat")[0] == 2
    assert spoken("export", "voices", "--to", tmp_path / "a.vsat", "--force")[0] == 0
    assert spoken("export", "nothing", "--to", tmp_path / "b.vsat")[0] == 1
    damage(home.path("voices", 1, "model.onnx"))
    assert spoken("export", "voices", "--to", tmp_path / "c.vsat")[0] == 3
