"""What a file's nested dictionaries hold, told apart: tensors by name, and plain values."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vsat.bundle import MAX_NESTING
from vsat.convert.reading.refusal import refuse, shown
from vsat.convert.reading.tensors import StoredTensor
from vsat.convert.reading.vocabulary import NumpyArray
from vsat.errors import ConversionError

MAX_VALUES = 200_000  # visited; what is referred to often counts each time
MAX_TEXT_LENGTH = 1 << 20  # characters of one text
MAX_INTEGER = 1 << 63
MAX_TENSORS = 50_000
MAX_NAME_LENGTH = 400  # characters
STATE_DICT = "state_dict"

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:+\-\[\]]*")

Path = tuple[str, ...]


@dataclass
class Contents:
    """Tensors and values of one file.

    Attributes:
        tensors: by their names, joined by dots.
        values: the rest, as JSON would have it.
    """

    tensors: dict[str, StoredTensor | np.ndarray] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)


def sort_out(tree: object, origin: str) -> Contents:
    """Tell tensors and values apart.

    Where there is a `state_dict`, tensors elsewhere (those of an optimiser) are left out. Where all
    are in one dictionary, its name is left out of theirs.

    Raises:
        ConversionError: there is no dictionary, or no tensor in it.
        UnsafeFileError: it is larger or deeper than a model has to be, or a name is unsafe.
    """
    if not isinstance(tree, dict):
        raise ConversionError(
            f"{origin} holds a {_kind(tree)}, not the dictionary of a checkpoint.",
            hint="Name the file that holds the model's weights.",
        )
    walk = _Walk(origin)
    values = walk.visit(tree, ())
    if not walk.tensors:
        raise ConversionError(
            f"{origin} has no tensors in it.", hint="Name the file that holds the model's weights."
        )
    return Contents(_named(walk.tensors, origin), {} if values is _TENSORS else values)


def check_tensor_name(name: str, origin: str) -> None:
    """Check that a tensor's name is one.

    Raises:
        UnsafeFileError: it has separators, invisible characters, or is too long.
    """
    if len(name) > MAX_NAME_LENGTH or not _NAME.fullmatch(name) or ".." in name:
        refuse(origin, f"has a tensor of the impossible name {shown(name)}")


def check_finite(tensors: Mapping[str, np.ndarray], origin: str) -> None:
    """Check that every number is one.

    Raises:
        UnsafeFileError: a tensor holds NaN or infinity.
    """
    for name, values in tensors.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            refuse(origin, f"has numbers in the tensor {shown(name)} that are not finite")


_TENSORS: Any = object()  # what a tensor, or a dictionary of nothing else, leaves behind


class _Walk:
    def __init__(self, origin: str) -> None:
        self.tensors: dict[Path, StoredTensor | np.ndarray] = {}
        self._origin = origin
        self._left = MAX_VALUES

    def visit(self, value: object, path: Path) -> Any:
        """The value as JSON would have it; tensors are taken out of it."""
        self._left -= 1
        if self._left < 0:
            refuse(self._origin, f"has more than {MAX_VALUES} values")
        if len(path) > MAX_NESTING - 2:  # it is carried in a document of its own
            refuse(self._origin, "is nested too deeply")
        if isinstance(value, StoredTensor | NumpyArray):
            return self._take(path, value)
        if isinstance(value, dict):
            return self._visit_dict(value, path)
        if isinstance(value, list | tuple):
            items = [self.visit(item, (*path, str(i))) for i, item in enumerate(value)]
            return [None if item is _TENSORS else item for item in items]
        return self._scalar(value)

    def _visit_dict(self, tree: dict[Any, Any], path: Path) -> Any:
        values: dict[str, Any] = {}
        for key, inner in tree.items():
            name = str(self._scalar(key))
            if name in values:
                refuse(self._origin, f"has the key {shown(name)} twice")
            values[name] = self.visit(inner, (*path, name))
        kept = {name: inner for name, inner in values.items() if inner is not _TENSORS}
        return _TENSORS if values and not kept else kept

    def _take(self, path: Path, value: StoredTensor | NumpyArray) -> Any:
        if len(self.tensors) == MAX_TENSORS:
            refuse(self._origin, f"has more than {MAX_TENSORS} tensors")
        self.tensors[path] = value.values if isinstance(value, NumpyArray) else value
        return _TENSORS

    def _scalar(self, value: object) -> Any:
        if isinstance(value, str):
            if len(value) > MAX_TEXT_LENGTH:
                refuse(self._origin, "has a text of more than a million characters")
            return value.encode("utf-8", "replace").decode("utf-8")  # no half characters
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            if not -MAX_INTEGER <= value < MAX_INTEGER:
                refuse(self._origin, "has an integer of more than 64 bits")
            return value
        return f"<{_kind(value)}>"


def _named(
    found: dict[Path, StoredTensor | np.ndarray], origin: str
) -> dict[str, StoredTensor | np.ndarray]:
    holders = {path[0] for path in found if len(path) > 1}
    if STATE_DICT in holders:
        found = {path: tensor for path, tensor in found.items() if path[0] == STATE_DICT}
        holders = {STATE_DICT}
    within = 1 if len(holders) == 1 and all(len(path) > 1 for path in found) else 0
    named = {}
    for path, tensor in found.items():
        name = ".".join(path[within:])
        check_tensor_name(name, origin)
        if name in named:
            refuse(origin, f"has the tensor {shown(name)} twice")
        named[name] = tensor
    return named


def _kind(value: object) -> str:
    return {StoredTensor: "tensor", NumpyArray: "tensor"}.get(type(value), type(value).__name__)
