"""ONNX Runtime: on the processor, or on a graphics card where its build has a provider for one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime

from vsat.bundle import Bundle
from vsat.errors import EngineError, UsageError

PROVIDERS = (  # in the order of preference
    "CUDAExecutionProvider",
    "DmlExecutionProvider",
    "CoreMLExecutionProvider",
    "CPUExecutionProvider",
)


def load(bundle: Bundle, precision: str, threads: int | None) -> "OnnxRuntimeEngine":
    """Read the bundle's graph.

    Raises:
        EngineError: it can't be read.
        UsageError: the precision is not f32, the only one that this engine has.
    """
    if precision != "f32":
        raise UsageError(
            f"ONNX Runtime does not compute in {precision}.", hint="Use f32, or engine openvino."
        )
    return OnnxRuntimeEngine(bundle, _available_providers(), threads)


def _available_providers() -> list[str]:
    available = set(onnxruntime.get_available_providers())
    return [provider for provider in PROVIDERS if provider in available]


class OnnxRuntimeEngine:
    """A session on the first provider that takes the graph."""

    name = "onnxruntime"
    precision = "f32"

    def __init__(self, bundle: Bundle, providers: Sequence[str], threads: int | None) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only; they come back as exceptions anyway
        # Weights in 8 bits are multiplied out; the arithmetic stays in f32.
        options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
        if threads:
            options.intra_op_num_threads = threads
        self._path = bundle.onnx_path
        try:
            self._session: Any = onnxruntime.InferenceSession(
                self._path, options, providers=list(providers)
            )
        except Exception as error:  # the runtime's errors have no common base but Exception
            raise EngineError(f"{self._path} can't be loaded: {error}") from error
        self._input = self._session.get_inputs()[0].name

    def run(self, mixture: np.ndarray) -> np.ndarray:
        """See `Engine.run`."""
        try:
            result = self._session.run(None, {self._input: mixture})[0]
        except Exception as error:  # as above
            raise EngineError(f"{self._path} can't be run: {error}") from error
        return np.asarray(result, np.float32)

    def expect(self, samples: int) -> None:
        """See `Engine.expect`; it makes no difference here."""

    def close(self) -> None:
        """See `Engine.close`."""
        self._session = None
