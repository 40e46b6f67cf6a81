"""`.vsat` archives that hold more than a bundle, or lead out of their folder."""

import os
import stat
import struct
import unicodedata
import zipfile

import pytest
from bundles import manifest, write_bundle
from forging import zip_of

from vsat.bundle import read_bundle
from vsat.convert.reading import bundle_archive, unpack_archive
from vsat.errors import BundleError, DamagedError, UnsafeFileError, VsatError

FILES = {"model.json": manifest().to_json(), "model.onnx": b"graph"}


@pytest.fixture
def refused(tmp_path):
    def refused(path, kind=UnsafeFileError):
        staging = tmp_path / "staging"
        staging.mkdir()
        with pytest.raises(kind) as caught:
            unpack_archive(path, staging)
        assert not list(staging.iterdir())
        assert {entry.name for entry in tmp_path.iterdir()} == {"staging", path.name}
        assert caught.value.hint
        return str(caught.value)

    return refused


def with_entry(path, name, content=b"x", *, mode=0, method=zipfile.ZIP_STORED):
    zip_of(path, FILES)
    with zipfile.ZipFile(path, "a") as archive:
        entry = zipfile.ZipInfo(name)
        entry.external_attr, entry.compress_type = mode << 16, method
        archive.writestr(entry, content)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_plain_archive_is_otherwise_good(method, tmp_path):
    folder = unpack_archive(zip_of(tmp_path / "voices.vsat", FILES, method), tmp_path)
    assert read_bundle(folder, verify=True).manifest.id == "voices"


@pytest.mark.parametrize(
    "name",
    ["../x", "/etc/x", "a/../../x", "C:x", "a\\b", "con", "nul.txt", "x.", " x",
     "folder/model.onnx", "folder/", ".hidden", "a\u202eb", "a\x1bb", "x" * 300],
)  # fmt: skip
def test_names_that_lead_out_or_mean_other_things(name, refused, tmp_path):
    refused(with_entry(tmp_path / "v.vsat", name))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO])
def test_links_and_devices(kind, refused, tmp_path):
    path = with_entry(tmp_path / "v.vsat", "README.md", b"/etc/passwd", mode=kind | 0o777)
    assert "regular" in refused(path)


@pytest.mark.parametrize("name", ["MODEL.onnx", "Model.JSON"])
def test_names_that_differ_by_case(name, refused, tmp_path):
    assert "other systems" in refused(with_entry(tmp_path / "v.vsat", name))


def test_names_that_differ_by_composition(refused, tmp_path):
    name = unicodedata.normalize("NFD", "modèle")
    assert "other systems" in refused(with_entry(tmp_path / "v.vsat", name))


def test_zeros_packed_a_thousand_times(refused, tmp_path):
    path = with_entry(
        tmp_path / "v.vsat", "README.md", bytes(32 << 20), method=zipfile.ZIP_DEFLATED
    )
    assert "200 times" in refused(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_to_pack(method, refused, tmp_path):
    assert "packs" in refused(with_entry(tmp_path / "v.vsat", "README.md", method=method))


def test_more_inside_than_declared(refused, tmp_path):
    path = with_entry(tmp_path / "v.vsat", "README.md", b"a" * 5_000, method=zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    local = content.rindex(b"PK\x03\x04")
    central = content.rindex(b"PK\x01\x02")
    content[local + 22 : local + 26] = content[central + 24 : central + 28] = struct.pack("<I", 9)
    path.write_bytes(content)
    refused(path)


def test_overlapping_entries(refused, tmp_path):
    path = with_entry(tmp_path / "v.vsat", "README.md")
    content = bytearray(path.read_bytes())
    first = content.index(b"PK\x01\x02")
    second = content.index(b"PK\x01\x02", first + 1)
    content[second + 42 : second + 46] = content[first + 42 : first + 46]
    path.write_bytes(content)
    refused(path)


def test_too_many_entries(refused, tmp_path):
    path = zip_of(tmp_path / "v.vsat", FILES | {f"x{n}": b"" for n in range(20)})
    assert "entries" in refused(path)


def test_more_than_any_bundle(refused, tmp_path, monkeypatch):
    limits = bundle_archive.ArchiveLimits(16, 100)
    monkeypatch.setattr(bundle_archive, "LIMITS", limits)
    assert "unpacks to" in refused(zip_of(tmp_path / "v.vsat", FILES))


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"model.onnx": b"graph"}, BundleError),
        ({"model.json": FILES["model.json"]}, BundleError),
        (FILES | {"model.onnx": b"other"}, DamagedError),
        (FILES | {"extra.bin": b"x"}, BundleError),
        (FILES | {"model.json": b" " * (2 << 20)}, UnsafeFileError),
        ({}, VsatError),
    ],
    ids=range(6),
)
def test_archives_that_are_no_bundle(files, kind, refused, tmp_path):
    refused(zip_of(tmp_path / "v.vsat", files), kind)


def test_a_flipped_bit(refused, tmp_path):
    path = zip_of(tmp_path / "v.vsat", FILES)
    path.write_bytes(path.read_bytes().replace(b"graph", b"grapi", 1))
    assert "damaged" in refused(path)


@pytest.mark.parametrize("content", [b"", b"x" * 600, b"PK\x03\x04" + bytes(100)])
def test_what_is_no_archive(content, refused, tmp_path):
    path = tmp_path / "v.vsat"
    path.write_bytes(content)
    refused(path, BundleError)


def test_an_encrypted_entry(refused, tmp_path):
    path = zip_of(tmp_path / "v.vsat", FILES)
    content = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(magic) + offset] |= 1
    path.write_bytes(content)
    assert "encrypted" in refused(path)


@pytest.mark.parametrize("make", ["symlink", "fifo", "folder"])
def test_folders_with_more_than_files(make, tmp_path):
    folder = write_bundle(tmp_path / "bundle")
    (folder / "model.onnx").unlink()
    match make:
        case "symlink":
            (tmp_path / "elsewhere").write_bytes(b"graph")
            (folder / "model.onnx").symlink_to(tmp_path / "elsewhere")
        case "fifo":
            os.mkfifo(folder / "model.onnx")
        case "folder":
            (folder / "model.onnx").mkdir()
    with pytest.raises(BundleError, match="not a regular file"):
        read_bundle(folder)
