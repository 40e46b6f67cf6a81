"""From a network to an ONNX graph of the same, with its weights plain or in 8 bits."""

import copy
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnx.compose
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from vsat.networks.repeat import DOMAIN, Repeat
from vsat.networks.stft import Stft
from vsat.networks.weights import MIN_QUANTISED, quantise_rows

OPSET = 17
EXAMPLE_SAMPLES = 4_000  # that are traced; memory grows with them


def to_onnx(network: nn.Module) -> onnx.ModelProto:
    """The network as a self-contained graph, `mixture` to `estimates`, of any batch and length."""
    traced = copy.deepcopy(network).eval()
    for module in traced.modules():
        if isinstance(module, Stft):
            module.as_convolution = True
            for name, value in list(module.named_buffers()):  # else their products are written out
                module.register_buffer(name, value)
        if isinstance(module, Repeat):
            module.as_node = True
    graph = _export(
        traced,
        (torch.randn(2, EXAMPLE_SAMPLES),),
        {"mixture": {0: "batch", 1: "samples"}, "estimates": {0: "batch", 2: "samples"}},
    )
    for name, module in traced.named_modules():
        if isinstance(module, Repeat):
            _put_loop(graph, f"{name}.body.", module)
    onnx.checker.check_model(graph)
    return graph


def _export(
    network: nn.Module, example: tuple[torch.Tensor, ...], open_axes: dict[str, dict[int, str]]
) -> onnx.ModelProto:
    """Trace a network; `open_axes` names its inputs, then its one output."""
    *inputs, output = open_axes
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns of what it takes to be constant
        torch.onnx.export(
            network,
            example,
            Path(folder, "model.onnx"),
            input_names=inputs,
            output_names=[output],
            dynamic_axes=open_axes,
            opset_version=OPSET,
            do_constant_folding=False,  # keeps the weights under their own names
            dynamo=False,
        )
        return onnx.load(Path(folder, "model.onnx"))


def _put_loop(graph: onnx.ModelProto, prefix: str, repeat: Repeat) -> None:
    """Put a loop where a repetition left its mark; its weights join those of the graph.

    Args:
        graph: holds one mark; it is changed.
        prefix: of the body's weights in the whole network, which keeps all names apart.
        repeat: what left the mark.
    """
    assert repeat.example is not None
    names = ("step", "fixed", "state", "outcome", "going", "still")
    step, fixed, state, outcome, going, still = (f"{prefix}{name}" for name in names)
    axes = {axis: f"axis_{axis}" for axis in repeat.open_axes}
    open_axes = {"step": {}, "fixed": axes, "state": axes, "outcome": axes}
    traced = _export(repeat.body, (torch.tensor(1), *repeat.example), open_axes)
    body = onnx.compose.add_prefix(traced, prefix).graph
    mark = next(node for node in graph.graph.node if node.domain == DOMAIN)
    known = {tensor.name for tensor in graph.graph.initializer}
    known |= {name for node in graph.graph.node for name in node.output}
    weights = [tensor for tensor in body.initializer if tensor.name not in known]
    nodes = [node for node in body.node if not known.issuperset(node.output)]
    inside = helper.make_graph(
        [
            helper.make_node("Identity", [mark.input[0]], [fixed]),
            *nodes,
            helper.make_node("Identity", [going], [still]),
        ],
        f"{prefix}loop",
        [
            helper.make_tensor_value_info(step, TensorProto.INT64, []),
            helper.make_tensor_value_info(going, TensorProto.BOOL, []),
            next(value for value in body.input if value.name == state),
        ],
        [
            helper.make_tensor_value_info(still, TensorProto.BOOL, []),
            next(value for value in body.output if value.name == outcome),
        ],
    )
    times, always = f"{prefix}times", f"{prefix}always"
    loop = helper.make_node("Loop", [times, always, mark.input[1]], list(mark.output), body=inside)
    mark.CopyFrom(loop)
    graph.graph.initializer.extend(
        [
            *weights,
            helper.make_tensor(times, TensorProto.INT64, [], [repeat.times]),
            helper.make_tensor(always, TensorProto.BOOL, [], [True]),
        ]
    )
    kept = [opset for opset in graph.opset_import if opset.domain != DOMAIN]
    del graph.opset_import[:]
    graph.opset_import.extend(kept)


def with_quantised_weights(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Replace large matrices by 8-bit values, which the engine multiplies out when it loads them.

    The rounding is that of `save_quantised`, so a graph of a network rounded before stays equal.
    """
    nodes, initializers = [], []
    for tensor in graph.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.ndim < 2 or values.size < MIN_QUANTISED:
            initializers.append(tensor)
            continue
        small, scale = quantise_rows(torch.from_numpy(values.copy()))
        names = [f"{tensor.name}.int8", f"{tensor.name}.scale", f"{tensor.name}.zero"]
        rows = len(values)
        initializers += [
            numpy_helper.from_array(small.numpy(), names[0]),
            numpy_helper.from_array(scale.numpy().reshape(rows), names[1]),
            helper.make_tensor(names[2], TensorProto.INT8, [rows], [0] * rows),
        ]
        nodes.append(helper.make_node("DequantizeLinear", names, [tensor.name], axis=0))
    del graph.graph.initializer[:]
    graph.graph.initializer.extend(initializers)
    body = list(graph.graph.node)
    del graph.graph.node[:]
    graph.graph.node.extend([*nodes, *body])
    onnx.checker.check_model(graph)
    return graph
