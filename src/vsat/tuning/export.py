"""From a trained network to a bundle: 8-bit weights, an ONNX graph of the same, a manifest."""

import copy
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from vsat.bundle import MANIFEST_NAME, Bundle, FileRecord, Manifest, read_bundle
from vsat.engines import open_engine
from vsat.files import sha256_of
from vsat.networks.stft import Stft
from vsat.networks.weights import MIN_QUANTISED, quantise_rows, save_quantised, save_weights

OPSET = 17
AGREEMENT_LENGTHS = (16_000, 40_001, 95_999)  # samples; odd ones too


def export_bundle(
    network: nn.Module, manifest: Manifest, folder: Path, *, card: str = "", quantise: bool = True
) -> Bundle:
    """Write a network as a bundle.

    Args:
        network: its weights are rounded to 8 bits if `quantise`, so that it and the bundle agree.
        manifest: everything but the files.
        folder: empty or not there yet.
        card: text of README.md.
        quantise: whether matrices are kept in 8 bits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    network = network.eval()
    (save_quantised if quantise else save_weights)(network, folder / "weights.safetensors")
    graph = to_onnx(network)
    if quantise:
        graph = with_quantised_weights(graph)
    (folder / "model.onnx").write_bytes(graph.SerializeToString())
    if card:
        (folder / "README.md").write_text(card, encoding="utf-8")
    for path in folder.iterdir():
        path.chmod(0o644)  # safetensors lets only the owner read
    files = {
        path.name: FileRecord(sha256_of(path), path.stat().st_size)
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST_NAME
    }
    (folder / MANIFEST_NAME).write_bytes(replace(manifest, files=files).to_json())
    return read_bundle(folder, verify=True)


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


def agreement_db(network: nn.Module, bundle: Bundle) -> float:
    """How well the bundle's graph agrees with the network: the lowest over several lengths, in dB.

    Signal over difference, each as mean power; speech-like noise, the same every time.
    """
    engine = open_engine(bundle)
    found = []
    for mixture in _test_signals():
        with torch.inference_mode():
            wanted = network(torch.from_numpy(mixture)).numpy()
        difference = np.mean(np.square(wanted - engine.run(mixture), dtype=np.float64))
        found.append(10 * np.log10(np.mean(np.square(wanted)) / (difference + 1e-30)))
    return float(min(found))


def _test_signals() -> Iterator[np.ndarray]:
    random = np.random.default_rng(0)
    for length in AGREEMENT_LENGTHS:
        swell = 0.55 + 0.45 * np.sin(np.arange(length) * (2 * np.pi * 4 / 16_000))
        yield (0.05 * random.standard_normal((1, length)) * swell).astype(np.float32)
