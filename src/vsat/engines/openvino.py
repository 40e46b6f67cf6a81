"""OpenVINO on the processor: the default engine."""

import os
from collections import OrderedDict

import numpy as np
import openvino

from vsat.bundle import Bundle
from vsat.errors import EngineError

KEPT_SHAPES = 2  # compiled models kept: a long recording needs one, its like and a short one two


def supports_bf16() -> bool:
    """Whether this processor computes in bfloat16 itself."""
    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "BF16" in capabilities


def load(bundle: Bundle, precision: str, threads: int | None) -> "OpenVinoEngine":
    """Read the bundle's graph.

    Raises:
        EngineError: it can't be read, or has not one input and one output.
    """
    return OpenVinoEngine(bundle, precision, threads)


class OpenVinoEngine:
    """A graph, compiled anew for each shape of input: fixed shapes run faster than open ones."""

    name = "openvino"

    def __init__(self, bundle: Bundle, precision: str, threads: int | None) -> None:
        self.precision = precision
        self._path = bundle.onnx_path
        self._core = openvino.Core()
        self._options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads or os.cpu_count() or 1,
        }
        self._compiled: OrderedDict[tuple[int, ...], openvino.CompiledModel] = OrderedDict()
        try:
            self._model = self._core.read_model(self._path)
        except RuntimeError as error:
            raise EngineError(f"{self._path} can't be loaded: {_first_line(error)}") from error
        if len(self._model.inputs) != 1 or len(self._model.outputs) != 1:
            raise EngineError(
                f"{self._path} has {len(self._model.inputs)} inputs and "
                f"{len(self._model.outputs)} outputs; a separator has one of each.",
                hint="Register it with the task 'other' to keep it without running it.",
            )

    def run(self, mixture: np.ndarray) -> np.ndarray:
        """See `Engine.run`."""
        try:
            compiled = self._compile(mixture.shape)
            result = compiled(mixture, share_inputs=True)[0]
        except RuntimeError as error:
            raise EngineError(f"{self._path} can't be run: {_first_line(error)}") from error
        return np.array(result, np.float32)

    def _compile(self, shape: tuple[int, ...]) -> openvino.CompiledModel:
        if shape in self._compiled:
            self._compiled.move_to_end(shape)
            return self._compiled[shape]
        if len(self._compiled) >= KEPT_SHAPES:
            self._compiled.popitem(last=False)
        self._model.reshape(list(shape))
        compiled = self._core.compile_model(self._model, "CPU", self._options)
        self._compiled[shape] = compiled
        return compiled

    def close(self) -> None:
        """See `Engine.close`."""
        self._compiled.clear()


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in reversed(lines) if not line.startswith("Check '")), "")[:300]
