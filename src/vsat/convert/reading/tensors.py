"""Tensors as PyTorch's files describe them, rebuilt as arrays with every size checked.

A file names a storage (a run of bytes), where in it a tensor begins, its size and its strides. All
of these are the file's word only. What they claim must lie within the storage, no element may be
used twice (a stride of zero makes 2^40 elements of four bytes), and all tensors together must stay
in proportion to the file.
"""

import math
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from vsat.convert.reading.refusal import refuse, shown

MAX_AXES = 8
MAX_AXIS = 1 << 48  # elements along one, or a place
MAX_TOTAL_BYTES = 2 << 30  # of all tensors; the largest separators have 0.3 GB
MAX_REUSE = 64  # a network that shares its weights between iterations lists them under many names
SMALL_BYTES = 1 << 20  # so much is in proportion to any file

BFLOAT16 = "bfloat16"
STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "|b1",
}  # PyTorch's names and what an element is


def element_bytes(dtype: str) -> int:
    """The size of an element."""
    return 2 if dtype == BFLOAT16 else np.dtype(dtype).itemsize


@dataclass(frozen=True)
class Storage:
    """A run of elements of one type in a file.

    Attributes:
        key: the file's name for it.
        dtype: a value of `STORAGES`.
        n_elements: how many the file says there are.
    """

    key: str
    dtype: str
    n_elements: int


@dataclass(frozen=True)
class StoredTensor:
    """A tensor that is still in its storage; nothing of it is believed yet."""

    storage: Storage
    offset: object
    size: object
    strides: object


class TensorReader:
    """Rebuilds tensors of one file.

    Args:
        origin: the file, for messages.
        file_bytes: its size, to which all tensors together must be in proportion.
    """

    def __init__(self, origin: str, file_bytes: int) -> None:
        self._origin = origin
        self._left = min(MAX_TOTAL_BYTES, SMALL_BYTES + MAX_REUSE * file_bytes)

    def rebuild(self, name: str, tensor: StoredTensor, content: bytes) -> np.ndarray:
        """The tensor as an array of its own; bfloat16 becomes float32, which holds it exactly.

        Args:
            name: what it is called in the file, for messages.
            tensor: where it is.
            content: its storage.

        Raises:
            UnsafeFileError: it isn't within its storage, uses an element twice, or is too large.
        """
        storage = tensor.storage
        width = element_bytes(storage.dtype)
        if len(content) != storage.n_elements * width:
            self._refuse(name, "has a storage of another size than it says")
        size, strides = self._numbers(name, tensor.size), self._numbers(name, tensor.strides)
        (offset,) = self._numbers(name, [tensor.offset])
        if len(size) != len(strides):
            self._refuse(name, "has more sizes than strides, or fewer")
        if math.prod(n or 1 for n in size) > MAX_AXIS:
            self._refuse(name, "has a shape that is too large")
        if 0 in size:
            return widened(np.empty(size, numpy_type(storage.dtype)), storage.dtype)
        last = offset + sum((n - 1) * stride for n, stride in zip(size, strides, strict=True))
        if last >= storage.n_elements:
            self._refuse(name, "reaches beyond its storage")
        if _overlaps(size, strides):
            self._refuse(name, "uses elements of its storage more than once")
        self._spend(name, math.prod(size) * width)
        view = np.ndarray(
            tuple(size),
            numpy_type(storage.dtype),
            buffer=content,
            offset=offset * width,
            strides=tuple(stride * width for stride in strides),
        )
        return widened(view, storage.dtype)

    def _numbers(self, name: str, values: object) -> list[int]:
        if not isinstance(values, list | tuple) or len(values) > MAX_AXES:
            self._refuse(name, f"has a shape that is not at most {MAX_AXES} numbers")
        for value in values:
            if type(value) is not int or not 0 <= value <= MAX_AXIS:
                self._refuse(name, f"has {shown(value)} in its shape, strides or place")
        return list(values)

    def _spend(self, name: str, n_bytes: int) -> None:
        self._left -= n_bytes
        if self._left < 0:
            self._refuse(name, "makes the tensors of the file far larger than the file")

    def _refuse(self, name: str, problem: str) -> NoReturn:
        refuse(self._origin, f"has the tensor {shown(name)}, which {problem}")


def _overlaps(size: list[int], strides: list[int]) -> bool:
    """Whether two indices may mean the same element; never False when they do."""
    reach = 0  # the furthest element of the axes so far
    for stride, n in sorted((stride, n) for n, stride in zip(size, strides, strict=True) if n > 1):
        if stride <= reach:
            return True
        reach += (n - 1) * stride
    return False


def numpy_type(dtype: str) -> str:
    """What NumPy calls the type of a stored element."""
    return "<u2" if dtype == BFLOAT16 else dtype


def widened(stored: np.ndarray, dtype: str) -> np.ndarray:
    """A copy in C order; bfloat16, the upper half of a float32, becomes one."""
    if dtype == BFLOAT16:
        return (stored.astype(np.uint32, order="C") << 16).view(np.float32)
    return np.array(stored, order="C")
