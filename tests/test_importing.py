"""What people have becomes versions, or is left with a reason."""

import json
import struct

import numpy as np
import pytest
import toys

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("yaml")

from homes import Home, check_whole
from peers import serialised
from speech import CHECKPOINTS

from vsat.convert.exporting import export_version
from vsat.convert.folder import find_models, import_folder
from vsat.convert.importing import import_model
from vsat.engines import open_engine
from vsat.errors import ConversionError, UnsafeFileError, UsageError, VsatError

SMALL = {
    "n_filters": 16, "kernel_size": 16, "stride": 8, "bn_chan": 8, "hid_chan": 12, "skip_chan": 8,
    "n_blocks": 2, "n_repeats": 1,
}  # fmt: skip


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@pytest.fixture(scope="module")
def document(asteroid):
    """What Asteroid writes into a checkpoint: weights, arguments, licence."""
    torch.manual_seed(0)
    return serialised(asteroid.ConvTasNet(n_src=2, **SMALL))


@pytest.fixture
def checkpoint(document, tmp_path):
    path = tmp_path / "talks.pth"
    torch.save(document, path)
    return path


def test_a_checkpoint_becomes_a_version_that_runs(home, checkpoint):
    done = import_model(checkpoint, home.registry)
    assert (done.model_id, done.version, done.is_new) == ("talks", 1, True)
    assert done.family == "Asteroid Conv-TasNet"
    assert (done.sample_rate.value, done.sources.value) == (8_000, 2)
    record = home.registry.resolve("talks")
    assert record.is_current
    assert record.metadata["family"] == done.family
    assert record.metadata["origin"]["path"] == str(checkpoint)
    bundle = home.registry.get_bundle("talks")
    assert bundle.weights_path is not None
    found = open_engine(bundle).run(np.ones((1, 999), np.float32))
    assert found.shape == (1, 2, 999)
    assert np.isfinite(found).all()
    check_whole(home.registry)


def test_what_the_person_says_goes_before_what_the_file_says(home, checkpoint):
    said = import_model(checkpoint, home.registry, "mine", sample_rate=16_000, licence="MIT")
    assert (said.sample_rate.value, said.sample_rate.found_in) == (16_000, "you")
    manifest = home.registry.get_bundle("mine").manifest
    assert (manifest.sample_rate, manifest.licence) == (16_000, "MIT")


def test_the_same_content_is_not_registered_again(home, checkpoint):
    import_model(checkpoint, home.registry)
    again = import_model(checkpoint, home.registry)
    assert (again.version, again.is_new) == (1, False)
    other_rate = import_model(checkpoint, home.registry, sample_rate=16_000)
    assert (other_rate.version, other_rate.is_new) == (2, True)


@pytest.mark.parametrize("form", ["bundle", "bundle.vsat", "hf-folder"])
def test_import_export_import_gives_the_same_weights_and_lineage(home, checkpoint, form, tmp_path):
    import_model(checkpoint, home.registry)
    before = home.registry.get_bundle("talks").manifest
    out = export_version(home.registry, "talks", tmp_path / form).path
    other = home.opened("other")
    done = import_model(out, other)
    after = other.get_bundle(done.model_id, done.version).manifest
    assert after.files == before.files
    assert (after.lineage, after.architecture) == (before.lineage, before.architecture)
    assert after.digest == before.digest


def test_a_bundle_may_get_another_rate(home, checkpoint, tmp_path):
    import_model(checkpoint, home.registry)
    out = export_version(home.registry, "talks", tmp_path / "out.vsat").path
    done = import_model(out, home.registry, "talks", sample_rate=16_000)
    assert done.is_new
    manifest = home.registry.get_bundle("talks", done.version).manifest
    assert manifest.sample_rate == 16_000


def broken(document, how):
    tensors = dict(document["state_dict"])
    if how == "half":
        tensors = dict(list(tensors.items())[: len(tensors) // 2])
    elif how == "one more":
        tensors["masker.surprise"] = torch.zeros(3)
    elif how == "another shape":
        tensors["encoder.filterbank._filters"] = torch.zeros(3, 1, 16)
    elif how == "another family":
        tensors = {f"other.{name}": value for name, value in tensors.items()}
    return {**document, "state_dict": tensors}


@pytest.mark.parametrize("how", ["half", "one more", "another shape", "another family"])
def test_a_checkpoint_that_is_not_understood_whole_is_refused(home, document, how, tmp_path):
    torch.save(broken(document, how), tmp_path / "bad.pth")
    with pytest.raises(ConversionError) as refusal:
        import_model(tmp_path / "bad.pth", home.registry)
    assert str(tmp_path / "bad.pth") in refusal.value.message
    assert refusal.value.hint
    assert home.registry.list_models() == {}
    check_whole(home.registry)


class Payload:
    def __reduce__(self):
        return print, ("boo",)


def test_a_folder_of_models_comes_in_and_what_is_left_is_named(home, document, tmp_path):
    place = tmp_path / "models"
    (place / "deep" / "er").mkdir(parents=True)
    torch.save(document, place / "good.pth")
    torch.save(broken(document, "half"), place / "half.pth")
    torch.save({"state_dict": Payload()}, place / "evil.pt")
    toys.save(toys.scaled(0.5, 0.5), place / "deep" / "graph.onnx")
    (place / "deep" / "README.md").write_text("Works at 8 kHz.\n")
    (place / "notes.txt").write_text("no model")
    (place / "deep" / "er" / "zeros.safetensors").write_bytes(struct.pack("<Q", 1 << 40))
    seen = []
    came, left = import_folder(place, home.registry, seen.append)
    assert {one.model_id for one in came} == {"good", "graph"}
    assert {one.path.name for one in left} == {"half.pth", "evil.pt", "zeros.safetensors"}
    assert all(one.reason for one in left)
    assert seen == [*sorted([*came, *left], key=seen.index)]
    assert set(home.registry.list_models()) == {"good", "graph"}
    evil = next(one for one in left if one.path.name == "evil.pt")
    assert "print" in evil.reason
    again, _ = import_folder(place, home.registry, seen.append)
    assert {one.model_id for one in again if not one.is_new} >= {"good"}


def test_a_folder_that_is_one_model_counts_as_one(tmp_path):
    (tmp_path / "hub").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "hub" / name).write_bytes(b"{}")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x.pth").touch()
    (tmp_path / "x.pth").touch()
    assert [path.name for path in find_models(tmp_path)] == ["x.pth", "hub"]


def test_a_link_to_the_folder_above_does_not_go_round(tmp_path, home):
    (tmp_path / "round").symlink_to(tmp_path, target_is_directory=True)
    assert import_folder(tmp_path, home.registry, print) == ([], [])


@pytest.mark.parametrize(
    ("name", "says"),
    [("gtcrn_simple.onnx", "state"), ("silero_vad_16k_op15.onnx", "state")],
)
def test_a_model_of_another_task_is_named_and_offered_a_place(home, name, says):
    path = CHECKPOINTS / "other" / name
    if not path.exists():
        pytest.skip("no published models beside this checkout")
    with pytest.raises(ConversionError, match=says) as refusal:
        import_model(path, home.registry, sample_rate=16_000)
    assert "other" in refusal.value.hint
    assert home.registry.list_models() == {}


def test_nothing_and_names_that_can_be_no_ids_are_said(home, checkpoint, tmp_path):
    with pytest.raises(UsageError, match="nothing at"):
        import_model(tmp_path / "gone.pth", home.registry)
    for name in ("../x", "CON", "", "a/b"):
        with pytest.raises(VsatError):
            import_model(checkpoint, home.registry, name)
    assert home.registry.list_models() == {}
    strange = checkpoint.with_name("con.pth")
    checkpoint.rename(strange)
    with pytest.raises(UsageError):
        import_model(strange, home.registry)


def test_nothing_runs_on_the_way_in(home, tmp_path):
    torch.save({"state_dict": {"x": Payload()}}, tmp_path / "evil.pth")
    with pytest.raises(UnsafeFileError, match="print"):
        import_model(tmp_path / "evil.pth", home.registry)
    check_whole(home.registry)


def test_a_wrong_rate_beside_a_model_is_warned_of(home, document, tmp_path):
    stated = json.loads(json.dumps({k: v for k, v in document.items() if k == "model_args"}))
    stated["model_args"]["sample_rate"] = 44_100.0
    torch.save({**document, **stated}, tmp_path / "wrong.pth")
    done = import_model(tmp_path / "wrong.pth", home.registry)
    assert done.sample_rate.value == 44_100
    assert any("44100" in warning for warning in done.warnings)
