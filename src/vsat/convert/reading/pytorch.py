"""PyTorch's files: the zip archive of today, the older stream of pickles, and bare pickles.

References:
    torch/serialization.py and caffe2/serialize/inline_container.h, which write these forms.
"""

import io
import struct
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from vsat.convert.reading.archive import ArchiveLimits, open_archive, read_entry
from vsat.convert.reading.contents import Contents, check_finite, sort_out
from vsat.convert.reading.machine import PickleMachine
from vsat.convert.reading.refusal import listed, refuse, shown
from vsat.convert.reading.tensors import Storage, StoredTensor, TensorReader, element_bytes
from vsat.convert.reading.vocabulary import KNOWN, StorageKind
from vsat.errors import ConversionError, UnsafeFileError

MAX_FILE_BYTES = 2 << 30
MAX_PICKLE_BYTES = 256 << 20  # bare pickles have their arrays inside
ARCHIVE_LIMITS = ArchiveLimits(entries=60_000, total_bytes=MAX_FILE_BYTES)
LEGACY_MAGIC = bytes.fromhex("80028a0a6cfc9c46f920 6aa850192e")  # the pickle of a number
_LEGACY_PROTOCOL = 1001
_PLAIN_ENTRIES = ("version", "byteorder", ".data/serialization_id", ".format_version",
                  ".storage_alignment")  # fmt: skip

Tensors = dict[str, np.ndarray]


def read_archive(file: BinaryIO, origin: str) -> tuple[Tensors, dict[str, Any]]:
    """Tensors and values of a file that `torch.save` wrote.

    Raises:
        UnsafeFileError: it holds more than tensors and plain values.
        ConversionError: it is no such file.
    """

    def recognise(names: list[str]) -> None:
        _refuse_script(names, origin)

    with open_archive(file, origin, ARCHIVE_LIMITS, recognise) as archive:
        prefix = _checked_entries(archive.namelist(), origin)
        if f"{prefix}/byteorder" in archive.namelist():
            order = read_entry(archive, f"{prefix}/byteorder", origin)
            if order != b"little":
                raise ConversionError(
                    f"{origin} was written on a big-endian machine.",
                    hint="Save it again on another machine.",
                )

        def content_of(storage: Storage) -> bytes:
            name = f"{prefix}/data/{storage.key}"
            try:
                declared = archive.getinfo(name).file_size
            except KeyError:
                refuse(origin, f"lacks the storage {shown(storage.key)}")
            if declared != storage.n_elements * element_bytes(storage.dtype):
                refuse(origin, f"has the storage {shown(storage.key)} of another size than it says")
            return read_entry(archive, name, origin)

        pickled = io.BytesIO(read_entry(archive, f"{prefix}/data.pkl", origin))
        contents = sort_out(_only_pickle(pickled, origin), origin)
        return _rebuilt(contents, content_of, origin, _size_of(file)), contents.values


def read_stream(file: BinaryIO, origin: str) -> tuple[Tensors, dict[str, Any]]:
    """Tensors and values of a file of PyTorch before 1.6: pickles, and storages behind them.

    Raises:
        UnsafeFileError: it holds more than tensors and plain values.
        ConversionError: it is no such file.
    """
    file.seek(len(LEGACY_MAGIC))
    machine = PickleMachine(KNOWN, _storage)
    protocol = _pickle(machine, file, origin)
    system = _pickle(machine, file, origin)
    if protocol != _LEGACY_PROTOCOL or not isinstance(system, dict):
        refuse(origin, "is a damaged file of an old PyTorch")
    if not system.get("little_endian", sys.byteorder == "little"):
        raise ConversionError(
            f"{origin} was written on a big-endian machine.",
            hint="Save it again on another machine.",
        )
    tree = _pickle(machine, file, origin)
    keys = _pickle(machine, file, origin)
    contents = sort_out(tree, origin)
    places = _places(file, keys, contents, origin)

    def content_of(storage: Storage) -> bytes:
        place, n_bytes = places[storage.key]
        file.seek(place)
        return file.read(n_bytes)

    return _rebuilt(contents, content_of, origin, _size_of(file)), contents.values


def read_pickle(file: BinaryIO, origin: str) -> tuple[Tensors, dict[str, Any]]:
    """Arrays and values of a bare pickle.

    Raises:
        UnsafeFileError: it holds more than arrays and plain values.
        ConversionError: it is no pickle of a checkpoint.
    """
    if _size_of(file) > MAX_PICKLE_BYTES:
        raise ConversionError(
            f"{origin} is of no format that vsat reads, or too large.",
            hint="Name a checkpoint of PyTorch, a safetensors file or an ONNX graph.",
        )

    def content_of(storage: Storage) -> bytes:
        refuse(origin, f"lacks the storage {shown(storage.key)}")

    contents = sort_out(_only_pickle(file, origin), origin)
    return _rebuilt(contents, content_of, origin, _size_of(file)), contents.values


def _only_pickle(file: BinaryIO, origin: str) -> object:
    """The one pickle of a file; where more follow, what they want is named too."""
    file.seek(0)
    machine = PickleMachine(KNOWN, _storage)
    tree = _pickle(machine, file, origin)
    if file.tell() != _size_of(file):
        try:
            _pickle(machine, file, origin)
        except UnsafeFileError:
            raise
        except ConversionError as error:
            refuse(origin, "has something behind its end", cause=error)
        refuse(origin, "has something behind its end")
    return tree


def _pickle(machine: PickleMachine, file: BinaryIO, origin: str) -> object:
    """The next pickle; a refusal names everything that the file wanted and must not have.

    Raises:
        UnsafeFileError: it wants what is not in the vocabulary.
        ConversionError: it is no pickle.
    """
    fault: ValueError | None = None
    tree: object = None
    try:
        tree = machine.read(file)
    except ValueError as error:
        fault = error
    if machine.unknown_names:
        raise UnsafeFileError(
            f"{origin} wants to run or build more than tensors: {listed(machine.unknown_names)}.",
            hint="Don't load it elsewhere either, unless you trust who made it; "
            "ask them for safetensors.",
        ) from fault
    if fault is not None:
        raise ConversionError(
            f"{origin} is of no format that vsat reads, or damaged ({fault}).",
            hint="Name a checkpoint of PyTorch, a safetensors file or an ONNX graph.",
        ) from fault
    return tree


def _storage(reference: object) -> Storage:
    """What a persistent id stands for.

    Raises:
        ValueError: it is not a storage.
    """
    match reference:
        case ("storage", StorageKind() as kind, str(key), str(), int(n_elements), *view):
            if n_elements < 0 or any(part is not None for part in view):
                raise ValueError("it has a storage within a storage")
            return Storage(key, kind.dtype, n_elements)
        case _:
            raise ValueError("it refers to something that is no storage")


def _refuse_script(names: list[str], origin: str) -> None:
    scripted = [name for name in names if "/code/" in name or name.endswith("/constants.pkl")]
    if scripted:
        raise UnsafeFileError(
            f"{origin} is a TorchScript archive, which is a program: {listed(scripted)}.",
            hint="Ask its publisher for the state_dict alone, best as safetensors.",
        )


def _checked_entries(names: list[str], origin: str) -> str:
    """The folder that all entries are in, when they are those of a file of `torch.save`."""
    prefix = names[0].partition("/")[0] if names else ""
    entries = {name.removeprefix(f"{prefix}/") for name in names if name.startswith(f"{prefix}/")}
    if "data.pkl" not in entries:
        raise ConversionError(
            f"{origin} is an archive, but not one of PyTorch: {listed(names)}.",
            hint="Unpack it, and name the checkpoint that is in it.",
        )
    others = [name for name in names if not _is_expected(name, prefix)]
    if others:
        refuse(origin, f"has entries that no checkpoint has: {listed(others)}")
    return prefix


def _is_expected(name: str, prefix: str) -> bool:
    if not name.startswith(f"{prefix}/"):
        return False
    inner = name[len(prefix) + 1 :]
    return inner in ("data.pkl", *_PLAIN_ENTRIES) or (
        inner.startswith("data/") and inner.removeprefix("data/").isalnum()
    )


def _places(
    file: BinaryIO, keys: object, contents: Contents, origin: str
) -> dict[str, tuple[int, int]]:
    """Where each storage's content is in an old file, and its length in bytes."""
    stored = [tensor for tensor in contents.tensors.values() if isinstance(tensor, StoredTensor)]
    wanted = {tensor.storage.key: tensor.storage for tensor in stored}
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        refuse(origin, "lists its storages by what is no name")
    if sorted(keys) != sorted(wanted):
        refuse(origin, "has other storages than its tensors need")
    places, end = {}, _size_of(file)
    for key in keys:
        head = file.read(8)
        n_elements = struct.unpack("<q", head)[0] if len(head) == 8 else -1
        n_bytes = n_elements * element_bytes(wanted[key].dtype)
        place = file.tell()
        if n_elements != wanted[key].n_elements or place + n_bytes > end:
            refuse(origin, f"has the storage {shown(key)} of another size than it says")
        places[key] = (place, n_bytes)
        file.seek(n_bytes, io.SEEK_CUR)
    if file.tell() != end:
        refuse(origin, "has something behind its end")
    return places


def _rebuilt(
    contents: Contents, content_of: Callable[[Storage], bytes], origin: str, file_bytes: int
) -> Tensors:
    """Every tensor as an array; storages that several share are read once."""
    reader = TensorReader(origin, file_bytes)
    read: dict[str, bytes] = {}
    tensors: Tensors = {}
    for name, tensor in contents.tensors.items():
        if isinstance(tensor, StoredTensor):
            key = tensor.storage.key
            if key not in read:
                read[key] = content_of(tensor.storage)
            tensors[name] = reader.rebuild(name, tensor, read[key])
        else:
            tensors[name] = tensor
    check_finite(tensors, origin)
    return tensors


def _size_of(file: BinaryIO) -> int:
    here = file.tell()
    size = file.seek(0, io.SEEK_END)
    file.seek(here)
    return size
