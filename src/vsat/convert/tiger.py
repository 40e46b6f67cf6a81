"""TIGER as its authors publish it: `config.json` beside `model.safetensors`.

Its bands and its heads have a layer each; ours are stacked, so that equal ones are one product.
The norm before a band's layer is folded into that layer.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from vsat.bundle import Architecture
from vsat.convert.checkpoint import Checkpoint
from vsat.convert.conversion import Conversion, Fact
from vsat.errors import ConversionError
from vsat.networks.tiger import band_groups

MARKS = ("BN.0.1.weight", "separator.freq_path.0.proj_1x1.conv.weight", "mask.0.1.weight")
ARGUMENTS = {  # of their constructor, with ours
    "sample_rate": "sample_rate",
    "num_sources": "sources",
    "win": "window",
    "stride": "hop",
    "out_channels": "width",
    "in_channels": "hidden",
    "num_blocks": "blocks",
    "upsampling_depth": "scales",
    "att_n_head": "heads",
    "att_hid_chan": "key_width",
}
GATES = {"local_embedding": "fine", "global_act": "scale", "global_embedding": "shift"}
ROUND = "rounds.body"
PATHS = {"freq_path": f"{ROUND}.frequency", "frame_path": f"{ROUND}.time"}
Tensors = dict[str, np.ndarray]


def recognise(checkpoint: Checkpoint) -> Conversion | None:
    """See `vsat.convert.families`.

    Another network circulates under the same name; it has none of these tensors.

    Raises:
        ConversionError: it is a TIGER whose configuration or tensors are not whole.
    """
    if not all(mark in checkpoint.tensors for mark in MARKS):
        return None
    parameters = _parameters(checkpoint)
    left = _Left(checkpoint)
    try:
        converted = _converted(left, parameters)
    except ValueError as error:  # of shapes that do not stack, or bands that can't be
        raise ConversionError(
            f"The tensors of {checkpoint.origin} do not fit its configuration: {error}.",
            hint="Put the config.json that was published with it beside the weights.",
        ) from error
    left.refuse()
    return Conversion(
        family="TIGER",
        architecture=Architecture("tiger", parameters),
        tensors=converted,
        sample_rate=Fact(parameters["sample_rate"], "sample_rate in the configuration"),
        sources=Fact(parameters["sources"], "num_sources in the configuration"),
    )


def _parameters(checkpoint: Checkpoint) -> dict[str, Any]:
    values = checkpoint.values
    wrong = [name for name in ARGUMENTS if type(values.get(name)) is not int or values[name] < 1]
    if wrong:
        raise ConversionError(
            f"{checkpoint.origin} is a TIGER, but its configuration gives no whole number for "
            f"{', '.join(wrong)}.",
            hint="Put the config.json that was published with it beside the weights.",
        )
    return {ours: values[theirs] for theirs, ours in ARGUMENTS.items()}


class _Left:
    """The tensors of a checkpoint that have not been taken yet."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._origin = checkpoint.origin
        self._tensors = dict(checkpoint.tensors)

    def take(self, name: str) -> np.ndarray:
        """Give a tensor, once.

        Raises:
            ConversionError: there is none of that name.
        """
        if name not in self._tensors:
            raise ConversionError(
                f"{self._origin} is a TIGER without the tensor {name}.",
                hint="Fetch it again: it may be half a file, or have another configuration.",
            )
        return self._tensors.pop(name)

    def both(self, theirs: str, ours: str, *, kernel: bool = True) -> Iterator[tuple[str, Any]]:
        """Weight and bias of a layer; `kernel` false leaves out the axes of a kernel of one."""
        weight = self.take(f"{theirs}.weight")
        yield f"{ours}.weight", weight if kernel else weight.reshape(weight.shape[:2])
        yield f"{ours}.bias", self.take(f"{theirs}.bias")

    def refuse(self) -> None:
        """Refuse what nobody took.

        Raises:
            ConversionError: something is left.
        """
        if self._tensors:
            some = ", ".join(sorted(self._tensors)[:3])
            raise ConversionError(
                f"{self._origin} is a TIGER with {len(self._tensors)} tensors too many: {some}.",
                hint="Put the config.json that was published with it beside the weights.",
            )


def _converted(left: _Left, parameters: dict[str, Any]) -> Tensors:
    groups = band_groups(parameters["sample_rate"], parameters["window"] // 2 + 1)
    converted: Tensors = {}
    first = 0
    for group, (count, _) in enumerate(groups):
        bands = range(first, first + count)
        converted.update(_split(left, group, bands))
        converted.update(_masks(left, group, bands))
        first += count
    for theirs, ours in PATHS.items():
        path = _path(left, f"separator.{theirs}", parameters)
        converted.update({f"{ours}.{name}": value for name, value in path.items()})
    again = "separator.concat_block"
    converted[f"{ROUND}.weight"] = left.take(f"{again}.0.weight").reshape(-1)
    converted[f"{ROUND}.bias"] = left.take(f"{again}.0.bias")
    converted[f"{ROUND}.activation.weight"] = left.take(f"{again}.1.weight")
    return converted


def _split(left: _Left, group: int, bands: range) -> Tensors:
    """The layers of bands of one width, each with the norm before it."""
    weights, biases = [], []
    for band in bands:
        scale, shift = left.take(f"BN.{band}.0.weight"), left.take(f"BN.{band}.0.bias")  # (2W,)
        matrix = left.take(f"BN.{band}.1.weight")[..., 0]  # (C, 2W)
        weights.append((matrix * scale).T)
        biases.append((left.take(f"BN.{band}.1.bias") + matrix @ shift)[None])
    return {f"split.weights.{group}": np.stack(weights), f"split.biases.{group}": np.stack(biases)}


def _masks(left: _Left, group: int, bands: range) -> Tensors:
    """The layers of bands of one width: the first half of each gives values, the other gates."""
    slopes = [left.take(f"mask.{band}.0.weight").reshape(1, 1) for band in bands]
    matrices = [np.split(left.take(f"mask.{band}.1.weight")[..., 0], 2) for band in bands]
    biases = [np.split(left.take(f"mask.{band}.1.bias")[None], 2, axis=1) for band in bands]
    values, gates = zip(*matrices, strict=True)
    value_biases, gate_biases = zip(*biases, strict=True)
    return {
        f"masks.slopes.{group}": np.stack(slopes),
        f"masks.values.{group}": np.stack(values).swapaxes(1, 2),
        f"masks.gates.{group}": np.stack(gates).swapaxes(1, 2),
        f"masks.value_biases.{group}": np.stack(value_biases),
        f"masks.gate_biases.{group}": np.stack(gate_biases),
    }


def _path(left: _Left, path: str, parameters: dict[str, Any]) -> Tensors:
    heads = parameters["heads"]
    converted = _selection(left, f"{path}.0", parameters["scales"])
    attention = f"{path}.1"
    queries = [f"{attention}.Queries.{head}" for head in range(heads)]
    keys = [f"{attention}.Keys.{head}" for head in range(heads)]
    values = [f"{attention}.Values.{head}" for head in range(heads)]
    for ours, theirs in {
        "keys": queries + keys,
        "values": values,
        "merge": [f"{attention}.attn_concat_proj"],
    }.items():
        converted.update(_heads(left, theirs, f"attention.{ours}"))
    converted["norm.weight"] = left.take(f"{path}.2.gamma").reshape(-1)
    converted["norm.bias"] = left.take(f"{path}.2.beta").reshape(-1)
    return converted


def _heads(left: _Left, theirs: list[str], ours: str) -> Tensors:
    """Projections to one head each, as one."""

    def taken(name: str) -> list[np.ndarray]:
        return [left.take(f"{head}.{name}") for head in theirs]

    return {
        f"{ours}.linear.weight": np.concatenate(taken("conv.weight"))[..., 0, 0],
        f"{ours}.linear.bias": np.concatenate(taken("conv.bias")),
        f"{ours}.slope": np.stack(taken("act.weight")),
        f"{ours}.weight": np.stack([gamma.reshape(-1) for gamma in taken("norm.gamma")]),
        f"{ours}.bias": np.stack([beta.reshape(-1) for beta in taken("norm.beta")]),
    }


def _selection(left: _Left, theirs: str, scales: int) -> Tensors:
    found = dict(left.both(f"{theirs}.proj_1x1.conv", "expand.0", kernel=False))
    found.update(left.both(f"{theirs}.proj_1x1.norm", "expand.1"))
    found["expand.2.weight"] = left.take(f"{theirs}.proj_1x1.act.weight")
    for scale in range(scales):
        found.update(left.both(f"{theirs}.spp_dw.{scale}.conv", f"down.{scale}.0"))
        found.update(left.both(f"{theirs}.spp_dw.{scale}.norm", f"down.{scale}.1"))
    overview = f"{theirs}.globalatt"
    for layer, first in {"fc1": 0, "fc2": 4}.items():
        found[f"overview.{first}.weight"] = left.take(f"{overview}.{layer}.conv.weight")[..., 0]
        found.update(left.both(f"{overview}.{layer}.norm", f"overview.{first + 1}"))
    found.update(left.both(f"{overview}.dwconv", "overview.2"))
    for scale in range(scales - 1):
        found.update(_gate(left, f"{theirs}.loc_glo_fus.{scale}", f"inject.{scale}"))
        found.update(_gate(left, f"{theirs}.last_layer.{scale}", f"up.{scale}"))
    # Published with the rest, but no output depends on it: nothing reads the coarsest fusion.
    _gate(left, f"{theirs}.loc_glo_fus.{scales - 1}", "")
    found.update(left.both(f"{theirs}.res_conv", "contract", kernel=False))
    return {f"selection.{name}": value for name, value in found.items()}


def _gate(left: _Left, theirs: str, ours: str) -> Tensors:
    found: Tensors = {}
    for name, part in GATES.items():
        found[f"{ours}.{part}.0.weight"] = left.take(f"{theirs}.{name}.conv.weight")
        found.update(left.both(f"{theirs}.{name}.norm", f"{ours}.{part}.1"))
    return found
