"""Safetensors, read more strictly than the format's own library does.

The header must be JSON of one meaning, list tensors of safe names, and describe every byte behind
it once: no hole, no overlap, nothing left over. (The library accepts names given twice, names such
as `../../x`, and NaN.)

References:
    The format's description in the repository huggingface/safetensors.
"""

import io
import math
import struct
from typing import Any, BinaryIO

import numpy as np

from vsat.bundle import strict_json
from vsat.convert.reading.contents import MAX_TENSORS, check_finite, check_tensor_name
from vsat.convert.reading.refusal import refuse, shown
from vsat.convert.reading.tensors import (
    BFLOAT16,
    MAX_AXES,
    MAX_AXIS,
    element_bytes,
    numpy_type,
    widened,
)

MAX_HEADER_BYTES = 16 << 20  # 50,000 tensors of long names
METADATA = "__metadata__"
DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": BFLOAT16, "I64": "<i8", "I32": "<i4",
    "I16": "<i2", "I8": "<i1", "U8": "<u1", "BOOL": "|b1",
}  # fmt: skip


def looks_like_safetensors(head: bytes) -> bool:
    """Whether a file that begins so can be one: a length, and then an object of JSON."""
    return len(head) >= 9 and head[8:9] == b"{" and head[5:8] == b"\0\0\0"


def read_safetensors(file: BinaryIO, origin: str) -> dict[str, np.ndarray]:
    """Every tensor as an array of its own; bfloat16 becomes float32, which holds it exactly.

    Raises:
        UnsafeFileError: it is not exactly what such a file must be.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    entries, begin = _header(file, size, origin)
    place = begin
    tensors = {}
    places = {name: _offsets(name, entry, origin) for name, entry in entries.items()}
    for name, (first, last) in sorted(places.items(), key=lambda item: item[1]):
        dtype, shape = _type_and_shape(name, entries[name], origin)
        if begin + first != place:
            refuse(origin, f"has a hole or an overlap before the tensor {shown(name)}")
        if last - first != math.prod(shape) * element_bytes(dtype) or begin + last > size:
            refuse(origin, f"has the tensor {shown(name)} of another size than it says")
        tensors[name] = _array(file.read(last - first), dtype, shape)
        place = begin + last
    if place != size:
        refuse(origin, "has bytes of no tensor at its end")
    check_finite(tensors, origin)
    return {name: tensors[name] for name in entries}


def _header(file: BinaryIO, size: int, origin: str) -> tuple[dict[str, Any], int]:
    """The entries by name, and where their bytes begin."""
    head = file.read(8)
    length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
    if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
        refuse(origin, f"has a header of {length} bytes")
    try:
        entries = strict_json(file.read(length))
    except ValueError as error:
        refuse(origin, f"has a header that {error}", cause=error)
    if not isinstance(entries, dict) or len(entries) > MAX_TENSORS:
        refuse(origin, f"has a header that is not a list of at most {MAX_TENSORS} tensors")
    notes = entries.pop(METADATA, {})
    if not isinstance(notes, dict) or not all(isinstance(note, str) for note in notes.values()):
        refuse(origin, "has notes that are not text")
    for name in entries:
        check_tensor_name(name, origin)
    return entries, 8 + length


def _type_and_shape(name: str, entry: Any, origin: str) -> tuple[str, list[int]]:
    shape = entry["shape"]
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in DTYPES:
        refuse(origin, f"has the tensor {shown(name)} of the type {shown(entry['dtype'])}")
    if not isinstance(shape, list) or len(shape) > MAX_AXES or not all(map(_is_size, shape)):
        refuse(origin, f"has the tensor {shown(name)} of an impossible shape")
    if math.prod(n or 1 for n in shape) > MAX_AXIS:
        refuse(origin, f"has the tensor {shown(name)} of an impossible shape")
    return DTYPES[entry["dtype"]], shape


def _offsets(name: str, entry: Any, origin: str) -> tuple[int, int]:
    """Where the tensor begins and ends behind the header."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        refuse(origin, f"doesn't say what the tensor {shown(name)} is")
    place = entry["data_offsets"]
    if not isinstance(place, list) or len(place) != 2 or not all(map(_is_size, place)):
        refuse(origin, f"doesn't say where the tensor {shown(name)} is")
    return place[0], place[1]


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_AXIS


def _array(content: bytes, dtype: str, shape: list[int]) -> np.ndarray:
    return widened(np.frombuffer(content, numpy_type(dtype)).reshape(shape), dtype)
