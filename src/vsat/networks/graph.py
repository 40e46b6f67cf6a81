"""From a network to an ONNX graph of the same, with its weights plain or in 8 bits."""

import copy
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from vsat.networks.stft import Stft
from vsat.networks.weights import MIN_QUANTISED, quantise_rows

OPSET = 17


def to_onnx(network: nn.Module) -> onnx.ModelProto:
    """The network as a self-contained graph, `mixture` to `estimates`, of any batch and length."""
    traced = copy.deepcopy(network).eval()
    for module in traced.modules():
        if isinstance(module, Stft):
            module.as_convolution = True
            for name, value in list(module.named_buffers()):  # else their products are written out
                module.register_buffer(name, value)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns of what it takes to be constant
        torch.onnx.export(
            traced,
            (torch.randn(2, 24_000),),
            Path(folder, "model.onnx"),
            input_names=["mixture"],
            output_names=["estimates"],
            dynamic_axes={
                "mixture": {0: "batch", 1: "samples"},
                "estimates": {0: "batch", 2: "samples"},
            },
            opset_version=OPSET,
            do_constant_folding=False,  # keeps the weights under their own names
            dynamo=False,
        )
        graph = onnx.load(Path(folder, "model.onnx"))
    onnx.checker.check_model(graph)
    return graph


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
