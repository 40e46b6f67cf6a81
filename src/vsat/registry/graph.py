"""How many sources an ONNX graph gives, read from its declared output without loading it.

An ONNX file is one protocol-buffer message. Only the few fields on the way to the output's shape
are read; the weights are skipped, so the time does not grow with the model.

References:
    onnx.proto: ModelProto.graph = 7, GraphProto.output = 12, ValueInfoProto.type = 2,
    TypeProto.tensor_type = 1, Tensor.shape = 2, TensorShapeProto.dim = 1, Dimension.dim_value = 1.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from vsat.files import map_os_errors, open_regular

_TO_GRAPH, _TO_OUTPUT = 7, 12
_TO_SHAPE = (2, 1, 2)  # from an output to its shape
_DIMENSION, _VALUE = 1, 1
_SOURCES_AXIS, _N_AXES = 1, 3  # estimates are (batch, sources, samples)
MAX_MESSAGE_BYTES = 1 << 16  # of one output's description; more is not one
MAX_FIELDS = 1_000_000  # of one message; more is not a graph


def n_sources_of(path: Path) -> int | None:
    """The fixed length of the sources' axis of the graph's first output.

    Returns:
        None where the file doesn't say: the axis is symbolic, or the file is no such graph.

    Raises:
        StorageError: the file can't be read.
    """
    with map_os_errors(f"reading {path}"), open_regular(path) as file:
        size = path.stat().st_size
        try:
            graph = next(_messages(file, 0, size, _TO_GRAPH), None)
            output = graph and next(_messages(file, *graph, _TO_OUTPUT), None)
            return _length_of_axis(file, output) if output else None
        except (ValueError, EOFError):
            return None


def _length_of_axis(file: BinaryIO, output: tuple[int, int]) -> int | None:
    where: tuple[int, int] | None = output
    for field in _TO_SHAPE:
        where = next(_messages(file, *where, field), None) if where else None
    if where is None or where[1] - where[0] > MAX_MESSAGE_BYTES:
        return None
    axes = list(_messages(file, *where, _DIMENSION))
    if len(axes) != _N_AXES:
        return None
    begin, end = axes[_SOURCES_AXIS]
    values = [value for field, value in _fields(file, begin, end) if field == _VALUE]
    return values[0] if values and isinstance(values[0], int) and values[0] > 0 else None


def _messages(file: BinaryIO, begin: int, end: int, field: int) -> Iterator[tuple[int, int]]:
    """Where each message of this field number lies, within the one from begin to end."""
    for number, value in _fields(file, begin, end):
        if number == field and isinstance(value, tuple):
            yield value


def _fields(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[int, int | tuple[int, int]]]:
    """Field numbers with their integer, or with the place of their bytes."""
    place = begin
    for _ in range(MAX_FIELDS):
        if place >= end:
            return
        file.seek(place)
        key = _varint(file)
        kind, number = key & 7, key >> 3
        if kind == 0:
            value = _varint(file)
            place = file.tell()  # before the yield: whoever takes the value may move the file
            yield number, value
            continue
        length = {1: 8, 5: 4}.get(kind) or (_varint(file) if kind == 2 else -1)
        start = file.tell()
        place = start + length
        if length < 0 or place > end:
            raise ValueError("not a protocol-buffer message")
        yield number, (start, place)


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise EOFError
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("not a protocol-buffer number")
