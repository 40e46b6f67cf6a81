"""OpenVINO on the processor: the default engine."""

import os

import numpy as np
import openvino

from vsat.bundle import Bundle
from vsat.errors import EngineError

OPEN = (-1, -1)  # the shape of a model compiled for any batch and length
# Samples up to which a length is compiled for itself: where attention once had a single step to
# look at, the model for any length gives wrong results ever after (OpenVINO 2026.4).
SHORT = 4_096
LONG = 64_000  # samples; from here on a loop gains more by a fixed shape than compiling takes


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
    """A graph, compiled for any length, and for one length that is met again and again.

    A fixed shape runs faster than an open one, but compiling for it takes longer than a run. Not
    so where a network repeats itself in a loop: its runs are long, and half as long again while
    the shape is open, as layouts within the loop are then rearranged between layers.
    """

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
        self._compiled: dict[tuple[int, ...], openvino.CompiledModel] = {}
        self._last_shape: tuple[int, ...] = ()
        self._expected: tuple[int, ...] = ()
        try:
            self._model = self._core.read_model(self._path)
        except RuntimeError as error:
            raise EngineError(f"{self._path} can't be loaded: {_first_line(error)}") from error
        self._loops = any(node.get_type_name() == "Loop" for node in self._model.get_ops())
        if len(self._model.inputs) != 1 or len(self._model.outputs) != 1:
            raise EngineError(
                f"{self._path} has {len(self._model.inputs)} inputs and "
                f"{len(self._model.outputs)} outputs; a separator has one of each.",
                hint="Register it with the task 'other' to keep it without running it.",
            )

    def run(self, mixture: np.ndarray) -> np.ndarray:
        """See `Engine.run`."""
        try:
            compiled = self._compiled_for(mixture.shape)
            result = compiled(mixture, share_inputs=True)[0]
        except RuntimeError as error:
            raise EngineError(f"{self._path} can't be run: {_first_line(error)}") from error
        return np.array(result, np.float32)

    def _compiled_for(self, shape: tuple[int, ...]) -> openvino.CompiledModel:
        """The model for this shape if that pays or must be, else the one for any shape."""
        repeated = shape in (self._last_shape, self._expected)
        loops_long = self._loops and shape[-1] >= LONG
        self._last_shape = shape
        fixed = repeated or loops_long or shape[-1] <= SHORT
        wanted = shape if fixed else OPEN
        if shape not in self._compiled and wanted not in self._compiled:
            if fixed:
                self._compiled = {key: kept for key, kept in self._compiled.items() if key == OPEN}
            self._model.reshape(list(wanted))
            self._compiled[wanted] = self._core.compile_model(self._model, "CPU", self._options)
        return self._compiled.get(shape) or self._compiled[wanted]

    def expect(self, samples: int) -> None:
        """See `Engine.expect`; such a run is compiled for itself from the first one on."""
        self._expected = (1, samples)

    def close(self) -> None:
        """See `Engine.close`."""
        self._compiled.clear()


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in reversed(lines) if not line.startswith("Check '")), "")[:300]
