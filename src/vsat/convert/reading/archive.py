"""What a zip archive may be, checked before anything in it is read.

An archive says twice where its entries are: in a header before each one, and in the directory at
its end. Here both must tell the same story, the entries must fill the file one after another, and
the sizes must be within limits that the caller names.

References:
    APPNOTE.TXT - .ZIP File Format Specification, version 6.3.10, sections 4.3 and 4.4.
"""

import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from vsat.convert.reading.refusal import HINT, listed, refuse, shown
from vsat.errors import UnsafeFileError

MAGIC = b"PK\x03\x04"
MAX_RATIO = 200  # unpacked to packed; weights reach 2, zeros 1000
RATIO_FREE_BYTES = 1 << 20  # an entry as small as this may be packed as tightly as it likes
MAX_DESCRIPTOR_BYTES = 24  # between an entry and the next: signature, checksum, two sizes

_LOCAL = struct.Struct("<4s5H3I2H")
_END = struct.Struct("<4s4H2IH")
_LOCATOR = struct.Struct("<4sIQI")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_DIRECTORY_ENTRY_BYTES = 46 + 255  # its fixed part and a generous name
_ENCRYPTED, _DESCRIBED_BEHIND = 1, 8  # bits of an entry's flags
_ALLOWED_KINDS = (0, stat.S_IFREG)  # most writers leave the kind of a file out


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may hold.

    Attributes:
        entries: how many files.
        total_bytes: of all of them, unpacked.
        methods: how they may be packed: `zipfile.ZIP_STORED`, `zipfile.ZIP_DEFLATED`.
    """

    entries: int
    total_bytes: int
    methods: frozenset[int] = frozenset({zipfile.ZIP_STORED})


@contextmanager
def open_archive(
    file: BinaryIO,
    origin: str,
    limits: ArchiveLimits,
    recognise: Callable[[list[str]], None] | None = None,
) -> Iterator[zipfile.ZipFile]:
    """Check an archive's directory and headers; give it, with nothing of its content read yet.

    Args:
        file: the archive.
        origin: its name, for messages.
        limits: what it may hold.
        recognise: sees the names before all else is checked, and may say better what is wrong.

    Raises:
        UnsafeFileError: it is not a plain archive, or not within the limits.
    """
    try:
        _check_end(file, origin, limits)
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise UnsafeFileError(f"{origin} is a damaged archive.", hint=HINT) from error
    with archive:
        entries = archive.infolist()
        if recognise is not None:
            recognise([entry.filename for entry in entries])
        _check_sizes(entries, origin, limits)
        _check_names(entries, origin)
        _check_layout(archive, file, origin)
        yield archive


def read_entry(archive: zipfile.ZipFile, name: str, origin: str) -> bytes:
    """The content of an entry, no longer than was declared and of the declared checksum.

    Raises:
        UnsafeFileError: it is not what the directory says.
    """
    declared = archive.getinfo(name).file_size
    try:
        with archive.open(name) as entry:
            content = entry.read(declared)
            longer = entry.read(1)
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, zlib.error) as error:
        raise UnsafeFileError(f"{origin}: {shown(name)} is damaged.", hint=HINT) from error
    if longer or len(content) != declared:
        refuse(origin, f"{shown(name)} is not of the size that it declares")
    return content


def _check_end(file: BinaryIO, origin: str, limits: ArchiveLimits) -> None:
    """Check the size of the directory before any of it is parsed."""
    end_of_file = file.seek(0, 2)
    record = _read_at(file, end_of_file - _END.size, _END)
    if record[0] != b"PK\x05\x06" or record[7]:
        refuse(origin, "is an archive with something behind its end")
    n_entries, directory_bytes = record[4], record[5]
    if end_of_file >= _END.size + _LOCATOR.size:
        locator = _read_at(file, end_of_file - _END.size - _LOCATOR.size, _LOCATOR)
        if locator[0] == b"PK\x06\x07":
            record_64 = _read_at(file, locator[2], _END_64)
            n_entries, directory_bytes = record_64[7], record_64[8]
    if n_entries > limits.entries or directory_bytes > limits.entries * _DIRECTORY_ENTRY_BYTES:
        refuse(origin, f"is an archive of {n_entries} entries; {limits.entries} are the most")


def _check_sizes(entries: list[zipfile.ZipInfo], origin: str, limits: ArchiveLimits) -> None:
    if len(entries) > limits.entries:
        refuse(origin, f"is an archive of {len(entries)} entries; {limits.entries} are the most")
    total = sum(entry.file_size for entry in entries)
    if total > limits.total_bytes:
        refuse(origin, f"unpacks to {total / 1e6:.0f} MB; {limits.total_bytes / 1e6:.0f} are most")
    for entry in entries:
        if entry.compress_type not in limits.methods:
            refuse(origin, f"packs {shown(entry.filename)} in a way that no such file needs")
        if entry.compress_type == zipfile.ZIP_STORED and entry.file_size != entry.compress_size:
            refuse(origin, f"gives two sizes for {shown(entry.filename)}")
        free = RATIO_FREE_BYTES + MAX_RATIO * entry.compress_size
        if entry.file_size > free:
            refuse(origin, f"unpacks {shown(entry.filename)} to more than {MAX_RATIO} times")


def _check_names(entries: list[zipfile.ZipInfo], origin: str) -> None:
    names = [entry.filename for entry in entries]
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        refuse(origin, f"has entries of the same name: {listed(doubled)}")
    for entry in entries:
        parts = entry.orig_filename.split("/")
        if "\\" in entry.orig_filename or not all(map(_is_plain, parts)):
            refuse(origin, f"has an entry that leads out of it: {shown(entry.orig_filename)}")
        if stat.S_IFMT(entry.external_attr >> 16) not in _ALLOWED_KINDS:
            refuse(origin, f"has an entry that is not a regular file: {shown(entry.filename)}")
        if entry.flag_bits & _ENCRYPTED:
            refuse(origin, f"has an encrypted entry: {shown(entry.filename)}")


def _is_plain(part: str) -> bool:
    return part not in ("", ".", "..") and part.isprintable() and ":" not in part


def _check_layout(archive: zipfile.ZipFile, file: BinaryIO, origin: str) -> None:
    """Check that headers and directory agree, and that entries follow each other without overlap.

    Bytes that belong to no entry are refused too: another reader might take them for one.
    """
    place = 0
    for entry in sorted(archive.infolist(), key=lambda entry: entry.header_offset):
        behind = entry.header_offset - place
        if behind < 0:
            refuse(origin, f"has entries that overlap at {shown(entry.filename)}")
        if behind:
            refuse(origin, f"has bytes of no entry before {shown(entry.filename)}")
        place = _end_of(entry, file, origin)
        if entry.flag_bits & _DESCRIBED_BEHIND:
            place += _descriptor_bytes(file, place, entry, origin)
    if place != archive.start_dir:
        refuse(origin, "has entries that overlap its directory, or bytes of no entry before it")


def _end_of(entry: zipfile.ZipInfo, file: BinaryIO, origin: str) -> int:
    """Where the entry's content ends, by the header before it."""
    try:
        header = _read_at(file, entry.header_offset, _LOCAL)
    except zipfile.BadZipFile:
        refuse(origin, f"has no header before {shown(entry.filename)}")
    magic, _, flags, method, _, _, _, packed, unpacked, name_bytes, extra_bytes = header
    name = file.read(name_bytes)
    said_before = (packed, unpacked)
    said_behind = (entry.compress_size, entry.file_size)
    deferred = said_before == (0, 0) and flags & _DESCRIBED_BEHIND
    large = 0xFFFFFFFF in said_before
    if (
        magic != MAGIC
        or (flags, method) != (entry.flag_bits, entry.compress_type)
        or name != _encoded(entry)
        or not (deferred or large or said_before == said_behind)
    ):
        refuse(origin, f"says two things about {shown(entry.filename)}")
    begin = entry.header_offset + _LOCAL.size + name_bytes + extra_bytes
    return begin + entry.compress_size


def _encoded(entry: zipfile.ZipInfo) -> bytes:
    utf_8 = entry.flag_bits & 0x800
    return entry.orig_filename.encode("utf-8" if utf_8 else "cp437")


def _descriptor_bytes(file: BinaryIO, place: int, entry: zipfile.ZipInfo, origin: str) -> int:
    """The length of the record behind an entry, which repeats its checksum and sizes."""
    file.seek(place)
    found = file.read(MAX_DESCRIPTOR_BYTES)
    sizes = (entry.CRC, entry.compress_size, entry.file_size)
    records = [b"PK\x07\x08" + _packed(form, sizes) for form in ("<3I", "<IQQ")]
    fitting = [len(record) for record in records if found.startswith(record)]
    if not fitting:
        refuse(origin, f"says two things about {shown(entry.filename)}")
    return fitting[0]


def _packed(form: str, sizes: tuple[int, int, int]) -> bytes:
    try:
        return struct.pack(form, *sizes)
    except struct.error:  # too large for 32 bits
        return b"no such record"


def _read_at(file: BinaryIO, place: int, form: struct.Struct) -> tuple[Any, ...]:
    if not 0 <= place <= file.seek(0, 2) - form.size:
        raise zipfile.BadZipFile("a place beyond the file")
    file.seek(place)
    return form.unpack(file.read(form.size))
