"""Weights in safetensors, plain or in 8 bits.

A matrix may be kept as int8 `NAME` with a float32 `NAME.scale`, one for each row: the value is
their product. It takes a quarter of the room; the network then computes in float32 as ever.
"""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vsat.errors import BundleError

SCALE_SUFFIX = ".scale"
MIN_QUANTISED = 4096  # elements; smaller tensors are not worth the loss


def load_weights(network: nn.Module, path: Path) -> None:
    """Fill a network from a file; every tensor must find its place and none be left.

    Raises:
        BundleError: the file can't be read or does not fit the network.
    """
    try:
        stored = load_file(path)
        network.load_state_dict(_dequantised(stored))
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise BundleError(f"{path} does not fit the network: {error}") from error


def save_weights(network: nn.Module, path: Path) -> None:
    """Write a network's weights as they are."""
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, path)


def save_quantised(network: nn.Module, path: Path) -> None:
    """Write a network's weights with matrices in 8 bits, and round the network's own alike.

    After it, `network` computes exactly what the file will give back.
    """
    stored: dict[str, Tensor] = {}
    for name, value in network.state_dict().items():
        if value.ndim >= 2 and value.numel() >= MIN_QUANTISED:
            stored[name], stored[name + SCALE_SUFFIX] = quantise_rows(value)
        else:
            stored[name] = value.contiguous()
    save_file(stored, path)
    network.load_state_dict(_dequantised(stored))


def quantise_rows(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Symmetric 8-bit values and a scale for each row; the largest of a row becomes ±127.

    Shape:
        (rows, ...) to (rows, ...) int8 and (rows, 1, ...) float32.
    """
    largest = matrix.abs().amax(dim=tuple(range(1, matrix.ndim)), keepdim=True)
    scale = (largest / 127).clamp_min(1e-12)
    return (matrix / scale).round().clamp(-127, 127).to(torch.int8), scale


def _dequantised(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: value.float() * stored[name + SCALE_SUFFIX] if value.dtype == torch.int8 else value
        for name, value in stored.items()
        if not name.endswith(SCALE_SUFFIX)
    }
