"""Tensors that claim to be larger than what they are made from, or elsewhere."""

import numpy as np
import pytest
from forging import Claim, pickled, torch_archive

from vsat.convert.reading import tensors
from vsat.convert.reading.forms import read_file
from vsat.errors import ConversionError, UnsafeFileError

torch = pytest.importorskip("torch")


def forged(tmp_path, **tree):
    return torch_archive(tmp_path / "model.pt", pickled({"state_dict": tree}), {"0": bytes(16)})


@pytest.mark.parametrize("zipped", [True, False])
def test_two_to_the_forty_elements_of_one(zipped, refusal, tmp_path):
    path = tmp_path / "model.pt"
    bomb = {"w": torch.zeros(1).expand(1 << 20, 1 << 20)}
    torch.save(bomb, path, _use_new_zipfile_serialization=zipped)
    assert path.stat().st_size < 4096
    assert "more than once" in refusal(path, UnsafeFileError)


@pytest.mark.parametrize(
    "claim",
    [
        Claim(size=(3, 2)),
        Claim(size=(2, 2), strides=(3, 1)),
        Claim(offset=1),
        Claim(offset=-1),
        Claim(offset=1 << 62),
        Claim(size=(-2, 2)),
        Claim(size=(2,), strides=(-1,)),
        Claim(size=(1 << 40, 1 << 40), strides=(0, 0)),
        Claim(size=(2, 2), strides=(1, 1)),
        Claim(size=(2, 2), strides=(0, 1)),
        Claim(size=(2, 2), strides=(1,)),
        Claim(size=(2.0, 2)),
        Claim(size=(True, 2)),
        Claim(size="22", strides="11"),
        Claim(size=None, strides=None),
        Claim(size=(1,) * 100, strides=(1,) * 100),
        Claim(n_elements=5),
        Claim(n_elements=-1),
        Claim(n_elements="4"),
        Claim(key=0),
        Claim(key="../../etc/passwd"),
    ],
    ids=repr,
)
def test_claims_that_do_not_hold(claim, refusal, tmp_path):
    refusal(forged(tmp_path, w=claim), ConversionError)


def test_an_empty_tensor_of_huge_other_axes(refusal, tmp_path):
    refusal(forged(tmp_path, w=Claim(size=(0, 1 << 47, 1 << 47), strides=(1, 1, 1))))


def test_many_names_for_one_storage(refusal, tmp_path, monkeypatch):
    monkeypatch.setattr(tensors, "SMALL_BYTES", 0)
    monkeypatch.setattr(tensors, "MAX_REUSE", 2)
    big = torch.zeros(50_000)
    path = tmp_path / "model.pt"
    torch.save({f"w{n}": big for n in range(3)}, path)
    assert "far larger" in refusal(path, UnsafeFileError)


def test_weights_that_iterations_share_are_read(tmp_path):
    shared = torch.randn(3, 4)
    path = tmp_path / "model.pt"
    torch.save({f"iteration.{n}.w": shared.T for n in range(16)}, path)
    found, _ = read_file(path)
    assert len(found) == 16
    np.testing.assert_array_equal(found["iteration.3.w"], shared.T.numpy())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_numbers_that_are_not_finite(value, dtype, refusal, tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"w": torch.tensor([1.0, value], dtype=dtype)}, path)
    assert "not finite" in refusal(path, UnsafeFileError)


@pytest.mark.parametrize("name", ["../../x", "a/b", "a\0b", "", "a\\b", "a\u202eb", "x" * 500])
def test_names_that_no_tensor_has(name, refusal, tmp_path):
    path = tmp_path / "model.pt"
    torch.save({name: torch.zeros(1)}, path)
    assert "impossible name" in refusal(path, UnsafeFileError)


def test_two_tensors_that_get_one_name(refusal, tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"a": {"b": torch.zeros(1)}, "a.b": torch.zeros(1)}, path)
    assert "twice" in refusal(path, UnsafeFileError)
