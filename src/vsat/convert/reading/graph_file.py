"""What is in an ONNX file: whether it is safe to hand to a runtime, and what it takes and gives.

This is what runs in the sealed process. The file is parsed, never run.

References:
    onnx.proto3 of the ONNX project.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper, numpy_helper

from vsat.convert.reading.refusal import listed, refuse, shown
from vsat.errors import ConversionError
from vsat.files import open_regular

MAX_GRAPH_BYTES = 1 << 30
MAX_MESSAGES = 5_000_000  # parts of the file, of whatever kind
MAX_ELEMENTS = 1 << 28  # of a tensor that the graph makes from nothing: 1 GB of float32
MAX_TRIPS = 1_000_000  # of a loop
DEFAULT_DOMAINS = {"", "ai.onnx"}

_MAKERS = {"ConstantOfShape": 0, "Expand": 1}  # which input is the shape of what they make
_TYPED_FIELDS = ("float_data", "int32_data", "string_data", "int64_data", "double_data",
                 "uint64_data")  # fmt: skip
_PACKED_TYPES = {"INT4", "UINT4", "FLOAT4E2M1", "INT2", "UINT2"}  # several elements in a byte


def read(source: Path, _: Path) -> dict[str, Any]:
    """Check a graph, and say what it is.

    Raises:
        UnsafeFileError: it needs other files or operators, or is made to fill the memory.
        ConversionError: it is no ONNX graph.
    """
    origin = str(source)
    model = _parsed(source, origin)
    if model.functions or model.training_info:
        refuse(origin, "brings functions or training steps of its own")
    for message in _messages(model, origin):
        match message.DESCRIPTOR.full_name.rpartition(".")[2]:
            case "TensorProto":
                _check_tensor(message, origin)
            case "NodeProto" | "OperatorSetIdProto" if message.domain not in DEFAULT_DOMAINS:
                refuse(origin, f"needs operators of the domain {shown(message.domain)}")
            case "GraphProto":
                _check_sizes_made(message, origin)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:
        reason = shown((str(error).splitlines() or [""])[0])
        raise ConversionError(
            f"{origin} is not a valid ONNX graph: {reason}", hint="Export it again."
        ) from error
    return _facts(model)


def _parsed(source: Path, origin: str) -> onnx.ModelProto:
    with open_regular(source) as file:
        content = file.read(MAX_GRAPH_BYTES + 1)
    if len(content) > MAX_GRAPH_BYTES:
        refuse(origin, f"is larger than {MAX_GRAPH_BYTES >> 20} MiB")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except Exception as error:  # protobuf's implementations raise different ones
        raise ConversionError(f"{origin} is not an ONNX graph.", hint="Check the file.") from error
    if not model.graph.node or not model.graph.output:
        raise ConversionError(f"{origin} is not an ONNX graph.", hint="Check the file.")
    return model


def _messages(model: Any, origin: str) -> Iterator[Any]:
    """Every part of the file, those of sub-graphs and attributes too."""
    waiting = [model]
    count = 0
    while waiting:
        message = waiting.pop()
        count += 1
        if count > MAX_MESSAGES:
            refuse(origin, "has more parts than any network")
        yield message
        for field, value in message.ListFields():
            if field.message_type is not None:
                waiting.extend([value] if hasattr(value, "ListFields") else value)


def _check_tensor(tensor: Any, origin: str) -> None:
    """Check that a tensor is in the file itself, whole."""
    name = shown(tensor.name)
    if tensor.external_data or tensor.data_location == TensorProto.EXTERNAL:
        said = [entry.value for entry in tensor.external_data if entry.key == "location"]
        refuse(origin, f"keeps the tensor {name} in another file, {listed(said) or 'unnamed'}")
    if any(n < 0 for n in tensor.dims):
        refuse(origin, f"has the tensor {name} of an impossible shape")
    kind = TensorProto.DataType.Name(tensor.data_type)
    if kind in _PACKED_TYPES:  # checked by the runtime; never more elements than bits
        held = 8 * (len(tensor.raw_data) + 4 * len(tensor.int32_data))
        fits = math.prod(tensor.dims) <= held
    elif tensor.raw_data:
        width = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        fits = math.prod(tensor.dims) * width == len(tensor.raw_data)
    else:
        held = sum(len(getattr(tensor, field)) for field in _TYPED_FIELDS)
        parts = 2 if kind.startswith("COMPLEX") else 1
        fits = math.prod(tensor.dims) * parts == held
    if not fits:
        refuse(origin, f"has the tensor {name} of another size than it says")


def _check_sizes_made(graph: Any, origin: str) -> None:
    """Check what the graph makes from constants, and how often its loops run.

    Sizes that depend on the input show only when it is run; that is done with limits, too.
    """
    constants = {tensor.name: tensor for tensor in graph.initializer}
    constants |= {
        node.output[0]: attribute.t
        for node in graph.node
        for attribute in node.attribute
        if node.op_type == "Constant" and node.output and attribute.name == "value"
    }
    for node in graph.node:
        shape = constants.get(_shape_input(node))
        if shape is not None and math.prod(_integers(shape)) > MAX_ELEMENTS:
            refuse(origin, f"makes a tensor of more than {MAX_ELEMENTS} elements")
        if node.op_type == "Loop":
            _check_loop(node, constants, origin)


def _shape_input(node: Any) -> str:
    """The name of the input that gives the shape of what the node makes; empty for most nodes."""
    where = _MAKERS.get(node.op_type, len(node.input))
    return node.input[where] if where < len(node.input) else ""


def _check_loop(node: Any, constants: dict[str, Any], origin: str) -> None:
    trips = node.input[0] if node.input else ""
    known = _integers(constants[trips]) if trips in constants else [0]
    if not trips or max(known, default=0) > MAX_TRIPS:
        refuse(origin, f"has a loop without an end, {shown(node.name)}")


def _integers(tensor: Any) -> list[int]:
    return [int(n) for n in numpy_helper.to_array(tensor).reshape(-1)]


def _facts(model: Any) -> dict[str, Any]:
    held = {tensor.name for tensor in model.graph.initializer}
    return {
        "inputs": [_port(port) for port in model.graph.input if port.name not in held],
        "outputs": [_port(port) for port in model.graph.output],
        "opset": max((entry.version for entry in model.opset_import), default=0),
        "producer": model.producer_name[:100],
        "n_parameters": sum(math.prod(tensor.dims) for tensor in model.graph.initializer),
        "operators": sorted({node.op_type for node in model.graph.node}),
    }


def _port(port: Any) -> dict[str, Any]:
    """An input or output; an axis of any length is None."""
    tensor = port.type.tensor_type
    shaped = tensor.HasField("shape")
    return {
        "name": port.name,
        "dtype": TensorProto.DataType.Name(tensor.elem_type).lower(),
        "shape": [_length(axis) for axis in tensor.shape.dim] if shaped else None,
    }


def _length(axis: Any) -> int | None:
    return axis.dim_value if axis.HasField("dim_value") and axis.dim_value > 0 else None
