"""Pickles that would fill the memory, the stack or the time."""

import pickle
import struct

import pytest

from vsat.convert.reading import contents, machine
from vsat.errors import ConversionError, UnsafeFileError


def refused(refusal, tmp_path, content, kind=ConversionError):
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    return refusal(path, kind)


def test_billion_laughs(refusal, tmp_path):
    laughs = ["ha"]
    for _ in range(40):
        laughs = [laughs] * 10
    assert "nested" in refused(refusal, tmp_path, pickle.dumps({"a": laughs}), UnsafeFileError)


def test_wide_laughs(refusal, tmp_path):
    laughs = ["ha"] * 500
    for _ in range(3):
        laughs = [laughs] * 500
    message = refused(refusal, tmp_path, pickle.dumps({"a": laughs}), UnsafeFileError)
    assert str(contents.MAX_VALUES) in message


@pytest.mark.parametrize("opening", [b"]", b"(", b"}(Va\n"])
def test_deep_nesting(opening, refusal, tmp_path):
    closing = {b"]": b"a", b"(": b"t", b"}(Va\n": b"u"}[opening]
    depth = 50_000
    refused(refusal, tmp_path, b"\x80\x02}Va\n" + opening * depth + closing * (depth - 1) + b"s.")


def test_something_that_contains_itself(refusal, tmp_path):
    loop = {}
    loop["a"] = [loop]
    assert "nested" in refused(refusal, tmp_path, pickle.dumps(loop), UnsafeFileError)


def test_a_key_whose_hash_never_ends(refusal, tmp_path):
    nested = b")" + b"\x85" * 100_000
    assert "key" in refused(refusal, tmp_path, b"\x80\x02}" + nested + b"Ns.")


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b"short.",
        b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"short.",
        b"\x80\x02\x8b" + struct.pack("<i", 0x7FFFFFFF) + b"short.",
        b"\x80\x02\x8b" + struct.pack("<i", -5) + b"short.",
        b"\x80\x02T" + struct.pack("<i", 0x7FFFFFFF) + b"short.",
        b"\x80\x05\x96" + struct.pack("<Q", 1 << 62) + b"short.",
        b"\x80\x04\x95" + struct.pack("<Q", 1 << 62) + b"N.",
    ],
)
def test_lengths_beyond_the_file(content, refusal, tmp_path):
    refused(refusal, tmp_path, content)


def test_numbers_with_millions_of_digits(refusal, tmp_path):
    refused(refusal, tmp_path, b"I" + b"9" * 1_000_000 + b"\n.")
    number = b"\x80\x02}Va\n\x8b" + struct.pack("<i", 1_000_000) + b"\x7f" * 1_000_000 + b"s."
    assert "64 bits" in refused(refusal, tmp_path, number, UnsafeFileError)


def test_a_memo_of_high_places(refusal, tmp_path):
    refused(refusal, tmp_path, b"\x80\x02}r\xff\xff\xff\xff.")


def test_a_text_of_many_megabytes(refusal, tmp_path):
    content = pickle.dumps({"a": "x" * (contents.MAX_TEXT_LENGTH + 1)})
    assert "million" in refused(refusal, tmp_path, content, UnsafeFileError)


def test_too_many_operations(refusal, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "MAX_OPERATIONS", 10_000)
    message = refused(refusal, tmp_path, b"\x80\x02}" + b"N0" * 10_000 + b".")
    assert "operations" in message


@pytest.mark.parametrize(
    "content",
    [b".", b"t.", b"R.", b"u.", b"h\x07.", b"0.", b"\x85.", b"b.", b"Q.", b"N\x81.", b"\x92.",
     b"]]a", b"\x97.", b"\x98.", b"N]\x93.", b"(.", b"NN.", b"\x80\x09N.", b"}N(u.", b"N(Nu."],
)  # fmt: skip
def test_operations_without_what_they_need(content, refusal, tmp_path):
    refused(refusal, tmp_path, content)
