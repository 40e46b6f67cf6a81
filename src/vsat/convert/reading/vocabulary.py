"""The names that a pickled checkpoint may use, and what each stands for: data, never a class.

Everything that PyTorch and NumPy need to describe tensors and numbers is here, and the few plain
containers that training scripts leave in published files. Nothing may be added that does anything.

References:
    torch.serialization and torch._utils (the names that PyTorch writes), numpy's `__reduce__`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vsat.convert.reading.machine import Constructor, Mutable, checked_key
from vsat.convert.reading.tensors import STORAGES, Storage, StoredTensor

_DTYPES = (
    "float32 float64 float16 bfloat16 int64 int32 int16 int8 uint8 bool float double half long int"
)
_NUMPY_KINDS = "fiub"  # of elements: numbers and booleans; no objects


class NumpyType(Mutable):
    """The type of an array's elements."""

    def __init__(self, code: str, *_: object) -> None:
        self.dtype = np.dtype(_checked_code(code))

    def fill(self, state: object) -> None:
        """Take the byte order, which comes second in the state."""
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order not in ("<", ">", "|", "="):
            raise ValueError("it has a number type of no byte order")
        self.dtype = self.dtype.newbyteorder(order)


class NumpyArray(Mutable):
    """An array whose content follows."""

    def __init__(self, *_: object) -> None:
        self.values: np.ndarray = np.empty(0, np.float32)

    def fill(self, state: object) -> None:
        """Take version, shape, element type, order and bytes."""
        match state:
            case (int(), tuple() as shape, NumpyType() as kind, fortran, bytes() as content):
                self.values = _array(content, kind, shape, turned=bool(fortran))
            case _:
                raise ValueError("it has an array without its parts")


class Record(Mutable, dict[Any, Any]):
    """Named values, such as the arguments of a script."""

    def fill(self, state: object) -> None:
        """Take the names and values."""
        if not isinstance(state, dict):
            raise ValueError("it has a record without names")  # noqa: TRY004
        self.update(state)


def _checked_code(code: str) -> str:
    if not isinstance(code, str) or not code[1:].isdecimal() or code[0] not in _NUMPY_KINDS:
        raise ValueError("it has an array of what is no number")
    return code


def _checked(shape: tuple[Any, ...]) -> tuple[int, ...]:
    if not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("it has an array of an impossible shape")
    return shape


def _array(content: bytes, kind: NumpyType, shape: tuple[Any, ...], *, turned: bool) -> np.ndarray:
    """An array in this machine's byte order; `turned` is the order of Fortran."""
    flat, sizes = np.frombuffer(content, kind.dtype), _checked(shape)
    values = flat.reshape(sizes[::-1]).T if turned else flat.reshape(sizes)
    return values.astype(kind.dtype.newbyteorder("="), order="C")


def _from_buffer(content: object, kind: object, shape: object, order: object) -> NumpyArray:
    """An array of NumPy's newest pickles, whose content comes first."""
    match content, kind, shape:
        case bytes() | bytearray(), NumpyType(), tuple():
            made = NumpyArray()
            made.values = _array(bytes(content), kind, shape, turned=order == "F")
            return made
    raise ValueError("it has an array without its parts")


def _scalar(kind: NumpyType, content: bytes) -> bool | int | float:
    (value,) = np.frombuffer(content, kind.dtype)
    plain: bool | int | float = value.item()
    return plain


def _ordered(items: Any = ()) -> dict[Any, Any]:
    pairs = items.items() if isinstance(items, dict) else items
    return {checked_key(key): value for key, value in pairs}


def _encoded(text: str, encoding: str = "latin1") -> bytes:
    """The bytes that Python 3 writes as text, for readers of Python 2."""
    if encoding not in ("latin1", "latin-1"):
        raise ValueError("it has text in an encoding that no checkpoint needs")
    return text.encode("latin-1")


def _tensor(storage: object, offset: object, size: object, strides: object, *_: object) -> object:
    if not isinstance(storage, Storage):
        raise ValueError("it has a tensor without a storage")  # noqa: TRY004
    return StoredTensor(storage, offset, size, strides)


def _parameter(tensor: object, *_: object) -> object:
    return tensor


def _device(kind: str, index: int | None = None) -> str:
    return kind if index is None else f"{kind}:{index}"


def _version(text: str) -> str:
    return text


def _path(*parts: str) -> str:
    return "/".join(parts).replace("//", "/")


def _known() -> dict[str, object]:
    known: dict[str, object] = {
        "collections.OrderedDict": Constructor(_ordered),
        "_codecs.encode": Constructor(_encoded),
        "torch._utils._rebuild_tensor": Constructor(_tensor),
        "torch._utils._rebuild_tensor_v2": Constructor(_tensor),
        "torch._utils._rebuild_parameter": Constructor(_parameter),
        "torch.Size": Constructor(list),
        "torch.device": Constructor(_device),
        "torch.torch_version.TorchVersion": Constructor(_version),
        "argparse.Namespace": Constructor(Record),
        "numpy.dtype": Constructor(NumpyType),
        "numpy.ndarray": "numpy.ndarray",
    }
    for core in ("numpy.core", "numpy._core"):
        known[f"{core}.multiarray.scalar"] = Constructor(_scalar)
        known[f"{core}.multiarray._reconstruct"] = Constructor(NumpyArray)
        known[f"{core}.numeric._frombuffer"] = Constructor(_from_buffer)
    for kind in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath"):
        known[f"pathlib.{kind}"] = Constructor(_path)
    for name in ("set", "frozenset"):
        known[f"builtins.{name}"] = known[f"__builtin__.{name}"] = Constructor(list)
    for name in _DTYPES.split():
        known[f"torch.{name}"] = f"torch.{name}"
    for name, dtype in STORAGES.items():
        known[f"torch.{name}"] = StorageKind(dtype)
    return known


class StorageKind:
    """The type of a storage's elements.

    Attributes:
        dtype: a value of `STORAGES`.
    """

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype


KNOWN: Mapping[str, object] = _known()
