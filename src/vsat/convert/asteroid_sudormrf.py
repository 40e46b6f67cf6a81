"""Asteroid's SuDORMRFNet and SuDORMRFImprovedNet."""

from typing import Any

import numpy as np

from vsat.bundle import Architecture
from vsat.convert.asteroid_tasnet import (
    MASK_ACTIVATIONS,
    take_activations,
    take_filterbank,
    take_norm,
)
from vsat.convert.model_args import ModelArgs
from vsat.convert.renaming import Renaming

RELU, LINEAR = {"relu": "relu"}, {"linear": "linear"}


def sudormrf(arguments: ModelArgs, renaming: Renaming) -> Architecture:
    """What network the arguments of the first form make, with its tensors renamed.

    Raises:
        ConversionError: the arguments ask for what is not supported.
    """
    parameters = _parameters(arguments, improved=False)
    _take_filterbank(renaming)
    take_norm(renaming, "masker.ln", "norm")
    renaming.take_convolution("masker.l1", "bottleneck")
    for number in range(parameters["blocks"]):
        source, target = f"masker.sm.{number}", f"blocks.{number}"
        _take_block(renaming, source, target, parameters["scales"])
        renaming.take_convolution(f"{source}.conv_1x1_exp.conv", f"{target}.contract.0")
        take_norm(renaming, f"{source}.conv_1x1_exp.norm", f"{target}.contract.1")
        take_norm(renaming, f"{source}.module_act.norm", f"{target}.last.0")
        renaming.take(f"{source}.module_act.act.weight", f"{target}.last.1.weight")
    if parameters["width"] != parameters["filters"]:
        renaming.take_convolution("masker.reshape_before_masks", "scores.expand")
    renaming.take("masker.m.weight", "scores.taps", _as_taps)
    renaming.take("masker.m.bias", "scores.bias")
    take_activations(renaming, parameters)
    return Architecture("sudormrf", parameters)


def sudormrf_improved(arguments: ModelArgs, renaming: Renaming) -> Architecture:
    """The same for the improved form.

    Raises:
        ConversionError: the arguments ask for what is not supported.
    """
    parameters = _parameters(arguments, improved=True)
    _take_filterbank(renaming)
    take_norm(renaming, "masker.ln", "norm")
    renaming.take_convolution("masker.bottleneck", "bottleneck")
    for number in range(parameters["blocks"]):
        source, target = f"masker.sm.{number}", f"blocks.{number}"
        _take_block(renaming, source, target, parameters["scales"])
        renaming.take_convolution(f"{source}.res_conv", f"{target}.contract")
    renaming.take("masker.mask_net.0.weight", "scores.activation.weight")
    renaming.split_convolution("masker.mask_net.1", "scores.matrices", parameters["sources"])
    take_activations(renaming, parameters)
    return Architecture("sudormrf", parameters)


def _parameters(arguments: ModelArgs, *, improved: bool) -> dict[str, Any]:
    filterbank = arguments.filterbank(kernel=21, hop=None, features=512)
    hop = filterbank.pop("hop")
    if filterbank["kernel"] < 2 or hop != filterbank["kernel"] // 2:
        arguments.refuse("stride", hop)
    if not improved and filterbank["filters"] % 2:
        arguments.refuse("n_filters", filterbank["filters"])
    activations = (LINEAR, "linear") if improved else (RELU, "relu")
    return {
        "sources": arguments.number("n_src", None),
        **filterbank,
        "width": arguments.number("bn_chan", 128),
        "blocks": arguments.number("num_blocks", 16),
        "scales": arguments.number("upsampling_depth", 4),
        "improved": improved,
        "encoder_activation": arguments.choice(
            "encoder_activation", activations[1], activations[0]
        ),
        "mask_activation": arguments.choice(
            "mask_act", "relu" if improved else "softmax", MASK_ACTIVATIONS
        ),
    }


def _take_filterbank(renaming: Renaming) -> None:
    """Analysis and synthesis filters; Asteroid stores the first under two names."""
    renaming.same("encoder.encoder.filterbank._filters", "encoder.filterbank._filters")
    take_filterbank(renaming)


def _take_block(renaming: Renaming, source: str, target: str, scales: int) -> None:
    """What the blocks of both forms have."""
    renaming.take_convolution(f"{source}.proj_1x1.conv", f"{target}.expand.0")
    take_norm(renaming, f"{source}.proj_1x1.norm", f"{target}.expand.1")
    renaming.take(f"{source}.proj_1x1.act.weight", f"{target}.expand.2.weight")
    for scale in range(scales):
        renaming.take_convolution(f"{source}.spp_dw.{scale}.conv", f"{target}.down.{scale}.0")
        take_norm(renaming, f"{source}.spp_dw.{scale}.norm", f"{target}.down.{scale}.1")
    take_norm(renaming, f"{source}.final_norm.norm", f"{target}.fused.0")
    renaming.take(f"{source}.final_norm.act.weight", f"{target}.fused.1.weight")


def _as_taps(weight: np.ndarray) -> np.ndarray:
    """(sources, 1, filters + 1, 1) to (sources, filters + 1)."""
    return weight.reshape(len(weight), -1)
