"""Safetensors whose header lies, is huge, or says a thing twice."""

import json
import struct

import pytest
from forging import safetensors_of, tensor

from vsat.convert.reading import contents
from vsat.convert.reading.forms import read_file
from vsat.errors import UnsafeFileError


def test_the_forged_file_is_otherwise_good(tmp_path):
    found, _ = read_file(safetensors_of(tmp_path / "m.safetensors", {"w": tensor()}))
    assert found["w"].shape == (2,)


@pytest.mark.parametrize(
    ("header", "content"),
    [
        ({"w": tensor(place=(0, 8)), "v": tensor(place=(4, 12))}, bytes(12)),
        ({"w": tensor(place=(0, 8)), "v": tensor(place=(12, 20))}, bytes(20)),
        ({"w": tensor(place=(4, 12))}, bytes(12)),
        ({"w": tensor()}, bytes(9)),
        ({"w": tensor()}, bytes(7)),
        ({"w": tensor(shape=(3,))}, bytes(8)),
        ({"w": tensor(shape=(1 << 40,), place=(0, 1 << 42))}, bytes(8)),
        ({"w": tensor(shape=(-2, -1))}, bytes(8)),
        ({"w": tensor(shape=(2.0,))}, bytes(8)),
        ({"w": tensor(shape=(True, 2))}, bytes(8)),
        ({"w": tensor(shape="2")}, bytes(8)),
        ({"w": tensor(shape=(1,) * 100)}, bytes(4)),
        ({"w": tensor(place=(8, 0))}, bytes(8)),
        ({"w": tensor(place=(0, 4, 8))}, bytes(8)),
        ({"w": tensor(place=(-8, 0))}, bytes(8)),
        ({"w": tensor(dtype="F31")}, bytes(8)),
        ({"w": tensor(dtype=["F32"])}, bytes(8)),
        ({"w": {**tensor(), "run": "x"}}, bytes(8)),
        ({"w": {"dtype": "F32"}}, bytes(8)),
        ({"w": []}, bytes(8)),
        ({"w": tensor(), "__metadata__": {"a": 1}}, bytes(8)),
        ({"w": tensor(), "__metadata__": []}, bytes(8)),
        (b"[]", b""),
        (b"{", b""),
        (b'{"a":NaN}', b""),
        (b'{"a":1e999}', b""),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, b""),
        (b'{"\xff":1}', b""),
    ],
)
def test_headers_that_do_not_hold(header, content, refusal, tmp_path):
    refusal(safetensors_of(tmp_path / "m.safetensors", header, content))


def test_a_name_given_twice(refusal, tmp_path):
    one = json.dumps(tensor())
    header = f'{{"w":{one},"w":{one}}}'.encode()
    assert "twice" in refusal(safetensors_of(tmp_path / "m.safetensors", header), UnsafeFileError)


@pytest.mark.parametrize("name", ["../../x", "a\0b", "/etc/passwd", "", "..", "a\nb"])
def test_unsafe_names(name, refusal, tmp_path):
    path = safetensors_of(tmp_path / "m.safetensors", {name: tensor()})
    assert "impossible name" in refusal(path, UnsafeFileError)


@pytest.mark.parametrize("length", [1 << 39, (1 << 24) + 1, 100])
def test_a_header_longer_than_the_file_or_any_model(length, refusal, tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b"{}" + bytes(20))
    assert "header" in refusal(path, UnsafeFileError)


def test_a_million_empty_tensors(refusal, tmp_path, monkeypatch):
    monkeypatch.setattr("vsat.convert.reading.safetensors.MAX_TENSORS", 1_000)
    empty = tensor(shape=(0,), place=(0, 0))
    path = safetensors_of(tmp_path / "m.safetensors", {f"w{n}": empty for n in range(1_001)}, b"")
    assert "1000 tensors" in refusal(path, UnsafeFileError)
    assert contents.MAX_TENSORS < 1_000_000


@pytest.mark.parametrize("value", [b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\0\0\x80\xff"])
def test_nan_and_infinity(value, refusal, tmp_path):
    path = safetensors_of(tmp_path / "m.safetensors", {"w": tensor()}, bytes(4) + value)
    assert "not finite" in refusal(path, UnsafeFileError)


def test_an_empty_tensor_of_huge_other_axes(refusal, tmp_path):
    empty = tensor(shape=(0, 1 << 47, 1 << 47), place=(0, 0))
    refusal(safetensors_of(tmp_path / "m.safetensors", {"w": empty}, b""), UnsafeFileError)
