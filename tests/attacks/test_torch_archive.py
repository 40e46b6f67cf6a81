"""Archives of PyTorch that are bombs, programs, or not what their directory says."""

import struct
import zipfile

import pytest
from forging import Claim, pickled, torch_archive, zip_of

from vsat.convert.reading import pytorch
from vsat.convert.reading.forms import read_file
from vsat.errors import ConversionError, UnsafeFileError

pytest.importorskip("torch")

GOOD = pickled({"state_dict": {"w": Claim()}})
NAMES = ("model/data.pkl", "model/data/0")


@pytest.fixture
def good(tmp_path):
    return torch_archive(tmp_path / "model.pt", GOOD, {"0": bytes(16)})


def test_the_forged_archive_is_otherwise_good(good):
    tensors, _ = read_file(good)
    assert tensors["w"].shape == (2, 2)


def test_zeros_packed_a_thousand_times(refusal, tmp_path):
    entries = {NAMES[0]: GOOD, NAMES[1]: bytes(32 << 20)}
    path = zip_of(tmp_path / "model.pt", entries, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20
    assert "packs" in refusal(path, UnsafeFileError)


def test_a_declared_size_that_is_not_there(good, refusal):
    content = good.read_bytes()
    at = content.rindex(b"PK\x01\x02", 0, content.rindex(NAMES[1].encode()))
    forged = bytearray(content)
    forged[at + 24 : at + 28] = struct.pack("<I", 0xFFFFFFF0)  # unpacked
    good.write_bytes(forged)
    assert "unpacks" in refusal(good, UnsafeFileError)


def test_forty_gigabytes_in_the_directory(good, refusal):
    content = bytearray(good.read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 20 : at + 28] = struct.pack("<II", 0xFFFFFFF0, 0xFFFFFFF0)
    good.write_bytes(content)
    assert "unpacks to" in refusal(good, UnsafeFileError)


def test_two_entries_at_one_place(good, refusal):
    content = bytearray(good.read_bytes())
    first = content.index(b"PK\x01\x02")
    second = content.index(b"PK\x01\x02", first + 1)
    content[second + 42 : second + 46] = content[first + 42 : first + 46]
    good.write_bytes(content)
    refusal(good, UnsafeFileError)


def test_a_header_that_names_another_entry(good, refusal):
    content = good.read_bytes().replace(NAMES[1].encode(), b"model/data/1", 1)
    good.write_bytes(content)
    assert "two things" in refusal(good, UnsafeFileError)


def test_entries_of_the_same_name(refusal, tmp_path):
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(NAMES[0], GOOD)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(NAMES[0], GOOD)
    assert "same name" in refusal(path, UnsafeFileError)


def test_bytes_before_the_first_entry(good, refusal):
    good.write_bytes(b"#!/bin/sh\n" + good.read_bytes())
    assert "bytes of no entry" in refusal(good, UnsafeFileError)


def test_bytes_behind_the_end(good, refusal):
    good.write_bytes(good.read_bytes() + b"more")
    assert "behind its end" in refusal(good, UnsafeFileError)


@pytest.mark.parametrize("place", [1 << 20, (1 << 63) - 1, (1 << 64) - 1])
def test_a_directory_beyond_the_file(place, refusal, tmp_path):
    import torch

    path = tmp_path / "model.pt"
    torch.save({"w": torch.ones(2)}, path)
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x06\x07")
    content[at + 8 : at + 16] = struct.pack("<Q", place)
    path.write_bytes(content)
    assert "damaged" in refusal(path, UnsafeFileError)


def test_cut_off(good, refusal):
    good.write_bytes(good.read_bytes()[:-30])
    refusal(good)


def test_a_flipped_bit_in_a_storage(good, refusal):
    content = bytearray(good.read_bytes())
    content[content.index(NAMES[1].encode()) + len(NAMES[1]) + 3] ^= 1
    good.write_bytes(content)
    assert "damaged" in refusal(good, UnsafeFileError)


def test_more_entries_than_any_model(refusal, tmp_path, monkeypatch):
    monkeypatch.setattr(pytorch, "ARCHIVE_LIMITS", pytorch.ArchiveLimits(10, 1 << 20))
    path = torch_archive(tmp_path / "m.pt", GOOD, {str(key): b"" for key in range(20)})
    assert "entries" in refusal(path, UnsafeFileError)


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "model/../x", "C:/x", "model/a\x1bb"])
def test_entries_that_lead_out(name, refusal, tmp_path):
    path = zip_of(tmp_path / "model.pt", {NAMES[0]: GOOD, name: b"x"})
    assert "leads out" in refusal(path, UnsafeFileError)


def test_torch_script(refusal, tmp_path):
    entries = {"m/data.pkl": GOOD, "m/code/__torch__.py": b"x", "m/constants.pkl": b"N."}
    message = refusal(zip_of(tmp_path / "model.pt", entries), UnsafeFileError)
    assert "TorchScript" in message
    assert "code/__torch__.py" in message


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_real_torch_script(refusal, tmp_path):
    import torch

    path = tmp_path / "model.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)
    assert "TorchScript" in refusal(path, UnsafeFileError)


def test_entries_that_no_checkpoint_has(refusal, tmp_path):
    path = torch_archive(tmp_path / "model.pt", GOOD, {"0": bytes(16)}, **{"run.py": b"x"})
    assert "model/run.py" in refusal(path, UnsafeFileError)


def test_another_archive(refusal, tmp_path):
    path = zip_of(tmp_path / "model.pt", {"readme.txt": b"hello"})
    assert "not one of PyTorch" in refusal(path, ConversionError)


def test_a_storage_of_another_size(refusal, tmp_path):
    path = torch_archive(tmp_path / "model.pt", GOOD, {"0": bytes(12)})
    assert "another size" in refusal(path, UnsafeFileError)


def test_a_storage_that_is_missing(refusal, tmp_path):
    path = torch_archive(tmp_path / "model.pt", GOOD)
    assert "lacks the storage 0" in refusal(path, UnsafeFileError)


def test_big_endian(refusal, tmp_path):
    path = torch_archive(tmp_path / "model.pt", GOOD, {"0": bytes(16)}, byteorder=b"big")
    assert "big-endian" in refusal(path)


def test_a_file_of_holes(refusal, tmp_path):
    """Forty gigabytes that take no room on the disk."""
    path = tmp_path / "model.pt"
    with path.open("wb") as file:
        file.truncate(40 << 30)
    assert "GB" in refusal(path, UnsafeFileError)
