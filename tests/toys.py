"""Small ONNX graphs whose answers are known, for tests that need a model but not a good one."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TAPS = 65  # of the low-pass; odd, so that it can be centred


def graph(nodes, initializers, sources=2, output_type=TensorProto.FLOAT):
    mixture = helper.make_tensor_value_info("mixture", TensorProto.FLOAT, ["batch", "samples"])
    shape = ["batch", sources, "samples"]
    estimates = helper.make_tensor_value_info("estimates", output_type, shape)
    made = helper.make_graph(nodes, "toy", [mixture], [estimates], initializers)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def filterbank(kernels):
    """A graph that gives the mixture through each FIR kernel, (sources, taps)."""
    kernels = np.asarray(kernels, np.float32)
    reach = kernels.shape[1] // 2
    return graph(
        [
            helper.make_node("Unsqueeze", ["mixture", "axis"], ["channel"]),
            helper.make_node("Conv", ["channel", "kernels"], ["estimates"], pads=[reach, reach]),
        ],
        [
            numpy_helper.from_array(kernels[:, None, ::-1].copy(), "kernels"),
            numpy_helper.from_array(np.array([1], np.int64), "axis"),
        ],
        sources=len(kernels),
    )


def low_and_high(cutoff=0.25):
    """Two sources, the mixture below and above `cutoff` (of half the rate); they add up to it."""
    times = np.arange(TAPS) - TAPS // 2
    low = cutoff * np.sinc(cutoff * times) * np.hanning(TAPS)
    high = -low
    high[TAPS // 2] += 1
    return filterbank([low, high])


def scaled(*factors):
    """As many sources as factors, each the mixture times its factor."""
    return filterbank([[0, factor, 0] for factor in factors])


def save(model, path):
    path.write_bytes(model.SerializeToString())
    return path


def register(registry, folder, model, model_id="toy", sample_rate=8_000):
    """Register a graph; return its version."""
    path = save(model, folder / f"{model_id}.onnx")
    return registry.register_model(model_id, path, {"sample_rate": sample_rate})
