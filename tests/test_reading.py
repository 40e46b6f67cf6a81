"""Published files of every form, read without running them, as their own libraries read them."""

import io
import json
import pickle
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vsat.convert.reading import read_checkpoint
from vsat.convert.reading.forms import read_file
from vsat.errors import ConversionError, VsatError

torch = pytest.importorskip("torch")
from safetensors.numpy import save_file

TIGER = Path(__file__).resolve().parents[2] / "shared" / "checkpoints" / "tiger-speech"
DTYPES = [
    torch.float32, torch.float64, torch.float16, torch.bfloat16,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
]  # fmt: skip


@st.composite
def tensors(draw):
    """A tensor of any type; often a view: turned, a part of a larger one, or a parameter."""
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    made = (100 * torch.rand(shape)).to(draw(st.sampled_from(DTYPES)))
    match draw(st.integers(0, 3)):
        case 1 if made.ndim:
            made = made.movedim(0, -1)
        case 2 if made.ndim:
            made = made[1:, ...]
        case 3 if made.is_floating_point():
            made = torch.nn.Parameter(made)
    return made


names = st.from_regex(r"[a-z][a-z0-9_]{0,5}(\.[a-z0-9]{1,3}){0,2}", fullmatch=True)
state_dicts = st.dictionaries(names, tensors(), min_size=1, max_size=6)


def saved(tree, *, zipped):
    stream = io.BytesIO()
    torch.save(tree, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(state_dict=state_dicts)
def test_state_dicts_are_read_as_torch_reads_them(zipped, state_dict, tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(saved(state_dict, zipped=zipped))
    found, values = read_file(path)
    wanted = torch.load(path, weights_only=True)
    assert list(found) == list(wanted)
    assert values == {}
    for name, tensor in wanted.items():
        plain = tensor.detach()
        plain = plain.float() if plain.dtype == torch.bfloat16 else plain
        np.testing.assert_array_equal(found[name], plain.numpy(), strict=True)
        assert found[name].flags.c_contiguous


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_dictionary_as_asteroid_writes_it(zipped, tmp_path):
    shared = torch.randn(3, 1, 4)
    tree = {
        "model_name": "ConvTasNet",
        "state_dict": torch.nn.ModuleDict({"a": torch.nn.Linear(2, 3)}).state_dict(),
        "model_args": {"n_src": 2, "sample_rate": 8000, "encoder_activation": None},
        "infos": {"final_metrics": {"si_sdr": np.float64(14.5), "n": np.int64(3), "bad": np.nan}},
        "software": {"torch_version": torch.__version__},
        "versions": ("1.0", [torch.Size([1, 2]), torch.float32, torch.device("cpu")]),
    }
    tree["state_dict"] |= {"one": shared, "two": shared}
    path = tmp_path / "pytorch_model.bin"
    torch.save(tree, path, _use_new_zipfile_serialization=zipped)
    found = read_checkpoint(path)
    assert sorted(found.tensors) == ["a.bias", "a.weight", "one", "two"]
    np.testing.assert_array_equal(found.tensors["two"], shared.numpy())
    assert found.values == {
        "model_name": "ConvTasNet",
        "model_args": {"n_src": 2, "sample_rate": 8000, "encoder_activation": None},
        "infos": {"final_metrics": {"si_sdr": 14.5, "n": 3, "bad": None}},
        "software": {"torch_version": str(torch.__version__)},
        "versions": ["1.0", [[1, 2], "torch.float32", "cpu"]],
    }


def test_the_tensors_of_an_optimiser_are_left_out(tmp_path):
    network = torch.nn.Linear(2, 3)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    path = tmp_path / "last.ckpt"
    torch.save(
        {"state_dict": network.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}, path
    )
    tensors_found, values = read_file(path)
    assert sorted(tensors_found) == ["bias", "weight"]
    assert values["epoch"] == 3
    assert values["optimizer"]["param_groups"][0]["lr"] == 0.001


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_bare_pickles_of_arrays(protocol, tmp_path):
    arrays = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
        "c": np.float64(3.5),
    }
    path = tmp_path / "weights"
    path.write_bytes(pickle.dumps(arrays, protocol))
    found, values = read_file(path)
    assert values == {"c": 3.5}
    for name in "ab":
        np.testing.assert_array_equal(found[name], arrays[name])


def test_a_pickle_of_text_bytes_and_sets(tmp_path):
    path = tmp_path / "x"
    tree = {"w": np.ones(2, np.float32), "s": {1}, "b": b"\xff", "t": "é", 3: True, "n": None}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps(tree, protocol))
        values = read_file(path)[1]
        assert values == {"s": [1], "b": "<bytes>", "t": "é", "3": True, "n": None}


@pytest.mark.skipif(not TIGER.exists(), reason="no published checkpoint beside this checkout")
@pytest.mark.parametrize("place", [TIGER, TIGER / "model.safetensors"], ids=["folder", "file"])
def test_the_published_tiger(place):
    found = read_checkpoint(place)
    assert len(found.tensors) == 838
    assert sum(values.size for values in found.tensors.values()) == 821_932
    assert found.values == json.loads((TIGER / "config.json").read_text())


def test_a_folder_of_speechbrain(tmp_path):
    pytest.importorskip("yaml")
    weights = {"0.conv.weight": torch.randn(2, 1, 4)}
    for part in ("encoder", "masknet", "decoder", "optimizer"):
        torch.save(weights, tmp_path / f"{part}.ckpt")
    (tmp_path / "hyperparams.yaml").write_text(
        "sample_rate: 8000\npretrainer: !new:speechbrain.Pretrainer\n"
        "    loadables:\n        encoder: !ref <encoder>\n        masknet: !ref <m>\n"
        "        decoder: !ref <d>\n"
    )
    (tmp_path / "README.md").write_text("# A card\n")
    found = read_checkpoint(tmp_path)
    parts = ("encoder", "masknet", "decoder")
    assert sorted(found.tensors) == sorted(f"{part}.0.conv.weight" for part in parts)
    assert found.values["sample_rate"] == 8000
    assert found.card == "# A card\n"


def test_a_snapshot_of_links_as_the_hub_keeps_it(tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "abc"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    torch.save({"state_dict": {"w": torch.ones(2)}, "model_name": "X"}, blobs / "0")
    (blobs / "1").write_text("---\nlicense: mit\n---\n")
    (snapshot / "pytorch_model.bin").symlink_to("../../blobs/0")
    (snapshot / "README.md").symlink_to("../../blobs/1")
    for place in (snapshot, snapshot / "pytorch_model.bin"):
        found = read_checkpoint(place)
        assert found.values == {"model_name": "X"}
        assert "license: mit" in found.card


def test_safetensors_are_preferred_and_several_are_asked_about(tmp_path):
    save_file({"w": np.ones(2, np.float32)}, tmp_path / "model.safetensors")
    torch.save({"v": torch.ones(2)}, tmp_path / "pytorch_model.bin")
    assert list(read_checkpoint(tmp_path).tensors) == ["w"]
    save_file({"w": np.ones(2, np.float32)}, tmp_path / "other.safetensors")
    with pytest.raises(ConversionError, match="several"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"hello", "no format"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (pickle.dumps([1, 2]), "list"),
        (pickle.dumps({"a": 1}), "no tensors"),
    ],
)
def test_what_is_no_checkpoint(content, said, tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(ConversionError, match=said) as caught:
        read_file(path)
    assert caught.value.hint


def test_no_file_and_no_weights(tmp_path):
    for place in (tmp_path, tmp_path / "missing.pt"):
        with pytest.raises(ConversionError):
            read_checkpoint(place)


GOOD = [saved({"state_dict": {"w": torch.ones(3, 2)}, "n": 1}, zipped=way) for way in (True, False)]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    good=st.sampled_from(GOOD),
    where=st.floats(0, 1, exclude_max=True),
    change=st.binary(max_size=4),
    cut=st.booleans(),
)
def test_damaged_files_are_errors_of_ours_or_the_same(good, where, change, cut, tmp_path):
    at = int(where * len(good))
    path = tmp_path / "model.pt"
    path.write_bytes(good[:at] + change + (b"" if cut else good[at + len(change) :]))
    with suppress(VsatError):
        found, _ = read_file(path)
        assert all(np.isfinite(values).all() for values in found.values())


def test_reading_loads_no_torch(tmp_path):
    code = (
        "import sys, vsat.convert.reading.worker, vsat.convert.reading.forms\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch" not in done.stdout.split()
