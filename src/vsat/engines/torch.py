"""PyTorch: runs the network itself instead of its graph, for bundles that have weights."""

import numpy as np
import torch

from vsat.bundle import Bundle
from vsat.errors import EngineError
from vsat.networks import build
from vsat.networks.weights import load_weights


def load(bundle: Bundle, precision: str, threads: int | None) -> "TorchEngine":
    """Build the network that the manifest names, and load its weights.

    Raises:
        EngineError: the bundle has no weights.
        BundleError: architecture and weights do not fit.
    """
    return TorchEngine(bundle, precision, threads)


class TorchEngine:
    """A network in evaluation mode, on a graphics card where there is one."""

    name = "torch"

    def __init__(self, bundle: Bundle, precision: str, threads: int | None) -> None:
        architecture, weights = bundle.manifest.architecture, bundle.weights_path
        if architecture is None or weights is None:
            raise EngineError(
                f"{bundle.path} is a bare ONNX graph; PyTorch can't run it.",
                hint="Use engine openvino or onnxruntime.",
            )
        if threads:
            torch.set_num_threads(threads)
        self.precision = precision
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        network = build(architecture.name, architecture.parameters)
        load_weights(network, weights)
        self._network = network.to(self._device).eval()

    @torch.inference_mode()
    def run(self, mixture: np.ndarray) -> np.ndarray:
        """See `Engine.run`."""
        batch = torch.from_numpy(mixture).to(self._device)  # (B, T)
        with torch.autocast(self._device, torch.bfloat16, enabled=self.precision == "bf16"):
            estimates = self._network(batch)  # (B, S, T)
        return np.asarray(estimates.float().cpu().numpy())

    def expect(self, samples: int) -> None:
        """See `Engine.expect`; it makes no difference here."""

    def close(self) -> None:
        """See `Engine.close`."""
        del self._network
