"""Asteroid's DPRNNTasNet."""

from typing import Any

import numpy as np

from vsat.bundle import Architecture
from vsat.convert.asteroid_tasnet import (
    ENCODER_ACTIVATIONS,
    MASK_ACTIVATIONS,
    take_activations,
    take_filterbank,
    take_norm,
)
from vsat.convert.model_args import NORMS, ModelArgs
from vsat.convert.renaming import Renaming, as_matrix
from vsat.networks import dprnn as network

CELLS = {spelt: name for name in network.CELLS for spelt in (name, name.upper())}
SUPPORTED_NORMS = {spelt: name for spelt, name in NORMS.items() if name in network.NORMS}
PATHS = {"within": "intra", "across": "inter"}
LAYER_KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def dprnn(arguments: ModelArgs, renaming: Renaming) -> Architecture:
    """What network Asteroid's arguments make, with its tensors renamed.

    Raises:
        ConversionError: the arguments ask for what is not supported.
    """
    segment = arguments.number("chunk_size", 100)
    segment_hop = arguments.number("hop_size", max(1, segment // 2))
    if segment % segment_hop:
        arguments.refuse("hop_size", segment_hop)
    parameters: dict[str, Any] = {
        "sources": arguments.number("n_src", None),
        **arguments.filterbank(kernel=16, hop=8, features=64),
        "width": arguments.number("bn_chan", 128),
        "hidden": arguments.number("hid_size", 128),
        "segment": segment,
        "segment_hop": segment_hop,
        "blocks": arguments.number("n_repeats", 6),
        "cell": arguments.choice("rnn_type", "LSTM", CELLS),
        "layers": arguments.number("num_layers", 1),
        "product": arguments.flag("use_mulcat", False),
        "bidirectional": arguments.flag("bidirectional", True),
        "dropout": arguments.share("dropout", 0.0),
        "norm_name": arguments.choice("norm_type", "gLN", SUPPORTED_NORMS),
        "encoder_activation": arguments.choice("encoder_activation", "linear", ENCODER_ACTIVATIONS),
        "mask_activation": arguments.choice("mask_act", "sigmoid", MASK_ACTIVATIONS),
    }
    take_filterbank(renaming)
    take_norm(renaming, "masker.bottleneck.0", "norm", parameters["norm_name"])
    renaming.take_linear("masker.bottleneck.1", "bottleneck")
    for number in range(parameters["blocks"]):
        for path, theirs in PATHS.items():
            source, target = f"masker.net.{number}.{theirs}", f"blocks.{number}.{path}"
            both = path == "within" or parameters["bidirectional"]
            _take_cells(renaming, f"{source}_RNN", f"{target}.rnn.cells", parameters, both)
            renaming.take_all(f"{source}_linear", f"{target}.contract")
            take_norm(renaming, f"{source}_norm", f"{target}.norm", parameters["norm_name"])
    _take_output(renaming, overlap=segment // segment_hop)
    take_activations(renaming, parameters)
    return Architecture("dprnn", parameters)


def _take_cells(
    renaming: Renaming, source: str, target: str, parameters: dict[str, Any], both: bool
) -> None:
    names = ("rnn1", "rnn2") if parameters["product"] else ("rnn",)
    kept = [
        f"{kind}_l{layer}{direction}"
        for layer in range(parameters["layers"])
        for direction in (("", "_reverse") if both else ("",))
        for kind in LAYER_KINDS
    ]
    for number, name in enumerate(names):
        renaming.take_all(f"{source}.{name}", f"{target}.{number}", kept)


def _take_output(renaming: Renaming, overlap: int) -> None:
    """The layers after the blocks.

    Asteroid adds up segments after the first of them, so each frame gets its bias once for every
    segment that it lies in; our network adds up before it, which is the same and half the work.
    """

    def added_up(bias: np.ndarray) -> np.ndarray:
        return bias * np.float32(overlap)

    renaming.take("masker.first_out.0.weight", "activation.weight")
    renaming.take("masker.first_out.1.weight", "voices.weight", as_matrix)
    renaming.take("masker.first_out.1.bias", "voices.bias", added_up)
    renaming.take_linear("masker.net_out.0", "value")
    renaming.take_linear("masker.net_gate.0", "gate")
    renaming.take("masker.mask_net.weight", "scores.weight", as_matrix)
