"""Asteroid's ConvTasNet, and the names that all of its families share."""

from typing import Any

from vsat.bundle import Architecture
from vsat.convert.model_args import NORMS, ModelArgs
from vsat.convert.renaming import Renaming, as_image, as_synthesis
from vsat.networks.activations import ACTIVATIONS, SOFTMAX

ENCODER_ACTIVATIONS = {name: name for name in ACTIVATIONS}
MASK_ACTIVATIONS = ENCODER_ACTIVATIONS | {SOFTMAX: SOFTMAX}
BATCH_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def conv_tasnet(arguments: ModelArgs, renaming: Renaming) -> Architecture:
    """What network Asteroid's arguments make, with its tensors renamed.

    Raises:
        ConversionError: the arguments ask for what is not supported.
    """
    causal = arguments.flag("causal", False)
    norm = arguments.choice("norm_type", "gLN", NORMS)
    if causal and norm not in ("channel", "cumulative"):
        norm = "channel"  # as Asteroid does it, with a warning
    parameters: dict[str, Any] = {
        "sources": arguments.number("n_src", None),
        **arguments.filterbank(kernel=16, hop=8, features=512),
        "padding": 0,
        "multiple": 1,
        "width": arguments.number("bn_chan", 128),
        "hidden": arguments.number("hid_chan", 512),
        "skip": arguments.optional_number("skip_chan", 128),
        "taps": arguments.number("conv_kernel_size", 3),
        "blocks": arguments.number("n_blocks", 8),
        "repeats": arguments.number("n_repeats", 3),
        "norm_name": norm,
        "causal": causal,
        "encoder_activation": arguments.choice("encoder_activation", "linear", ENCODER_ACTIVATIONS),
        "mask_activation": arguments.choice("mask_act", "sigmoid", MASK_ACTIVATIONS),
    }
    take_filterbank(renaming)
    take_norm(renaming, "masker.bottleneck.0", "norm", norm)
    renaming.take_convolution("masker.bottleneck.1", "bottleneck")
    total = parameters["blocks"] * parameters["repeats"]
    for number in range(total):
        _take_block(renaming, number, parameters, last=number == total - 1)
    renaming.take("masker.mask_net.0.weight", "activation.weight")
    renaming.split_convolution("masker.mask_net.1", "scores", parameters["sources"])
    take_activations(renaming, parameters)
    return Architecture("conv_tasnet", parameters)


def _take_block(renaming: Renaming, number: int, parameters: dict[str, Any], *, last: bool) -> None:
    source, target = f"masker.TCN.{number}", f"blocks.{number}"
    norm = parameters["norm_name"]
    depthwise = f"{source}.shared_block.3" + (".0" if parameters["causal"] else "")
    renaming.take_convolution(f"{source}.shared_block.0", f"{target}.expand.0")
    renaming.take(f"{source}.shared_block.1.weight", f"{target}.expand.1.weight")
    take_norm(renaming, f"{source}.shared_block.2", f"{target}.expand.2", norm)
    renaming.take_convolution(depthwise, f"{target}.depthwise")
    renaming.take(f"{source}.shared_block.4.weight", f"{target}.activation.weight")
    take_norm(renaming, f"{source}.shared_block.5", f"{target}.norm", norm)
    if not parameters["skip"]:
        renaming.take_convolution(f"{source}.res_conv", f"{target}.residual")
        return
    renaming.take_convolution(f"{source}.skip_conv", f"{target}.skip")
    if last:  # computed there, but nothing comes after it that would hear it
        renaming.drop(f"{source}.res_conv.weight")
        renaming.drop(f"{source}.res_conv.bias")
    else:
        renaming.take_convolution(f"{source}.res_conv", f"{target}.residual")


def take_filterbank(renaming: Renaming) -> None:
    """Analysis and synthesis filters."""
    renaming.take("encoder.filterbank._filters", "filterbank.analysis.weight", as_image)
    renaming.take("decoder.filterbank._filters", "filterbank.synthesis.weight", as_synthesis)


def take_norm(renaming: Renaming, source: str, target: str, norm: str = "global") -> None:
    """Scale and shift, by whichever names, and what a batch norm keeps besides."""
    if norm == "batch":
        renaming.take_all(source, target, BATCH_NORM)
    elif f"{source}.weight" in renaming:
        renaming.take_all(source, target)
    else:
        renaming.take(f"{source}.gamma", f"{target}.weight")
        renaming.take(f"{source}.beta", f"{target}.bias")


def take_activations(renaming: Renaming, parameters: dict[str, Any]) -> None:
    """The slopes of those activations that have one."""
    if parameters["encoder_activation"] == "prelu":
        renaming.take("enc_activation.weight", "encoder_activation.weight")
    if parameters["mask_activation"] == "prelu":
        renaming.take("masker.output_act.weight", "masks.activation.weight")
