"""torchaudio's Conv-TasNet: a flat dictionary of tensors and nothing else."""

from typing import Any, NoReturn

from vsat.bundle import Architecture
from vsat.convert.checkpoint import Checkpoint
from vsat.convert.conversion import Conversion, Fact
from vsat.convert.filter_rate import USUAL_HZ
from vsat.convert.renaming import Renaming, as_image, as_synthesis
from vsat.errors import ConversionError

FAMILY = "torchaudio Conv-TasNet"
LAYER = "mask_generator.conv_layers"
REPEATS = 3  # of the blocks, in the published form; no tensor tells
MARKS = ("mask_generator.input_norm.weight", "encoder.weight")


def recognise(checkpoint: Checkpoint) -> Conversion | None:
    """See `vsat.convert.families`.

    Raises:
        ConversionError: it is of this family, but not whole.
    """
    if not all(name in checkpoint.tensors for name in MARKS):
        return None
    parameters = _parameters(checkpoint)
    architecture = Architecture("conv_tasnet", parameters)
    sizes = (parameters["kernel"], parameters["hop"])
    return Conversion(
        family=FAMILY,
        architecture=architecture,
        tensors=_renamed(checkpoint, parameters).finish(architecture),
        sample_rate=Fact(USUAL_HZ.get(sizes), f"its filters of {sizes[0]} samples"),
        sources=Fact(parameters["sources"], "the shape of mask_generator.output_conv"),
        warnings=(
            "The file does not say how masks are made from scores, nor how often dilations begin "
            "again; ReLU and three times were taken, as in torchaudio's published model.",
        ),
    )


def _parameters(checkpoint: Checkpoint) -> dict[str, Any]:
    """Sizes, from the shapes of the first layers and the number of blocks.

    Raises:
        ConversionError: a layer is missing or misshapen, or filters have an odd length.
    """
    shapes = {name: value.shape for name, value in checkpoint.tensors.items()}
    try:
        filters, _, kernel = shapes["encoder.weight"]
        width = shapes["mask_generator.input_conv.weight"][0]
        hidden, _, taps = shapes[f"{LAYER}.0.conv_layers.3.weight"]
        skip = shapes[f"{LAYER}.0.skip_out.weight"][0]
        outputs = shapes["mask_generator.output_conv.weight"][0]
        layers = [name for name in shapes if name.startswith(f"{LAYER}.")]
        total = 1 + max(int(name.split(".")[2]) for name in layers)
    except (KeyError, ValueError, IndexError) as error:
        _refuse(checkpoint, f"this is missing or misshapen: {error}", cause=error)
    if kernel % 2 or kernel == 0:
        _refuse(checkpoint, f"its filters of {kernel} samples can't overlap by half")
    repeats = REPEATS if total % REPEATS == 0 else 1
    return {
        "sources": max(1, outputs // max(1, filters)),
        "filters": filters,
        "kernel": kernel,
        "hop": kernel // 2,
        "padding": kernel // 2,
        "multiple": kernel // 2,
        "width": width,
        "hidden": hidden,
        "skip": skip,
        "taps": taps,
        "blocks": total // repeats,
        "repeats": repeats,
        "norm_name": "global",
        "causal": False,
        "encoder_activation": "linear",
        "mask_activation": "relu",
    }


def _refuse(checkpoint: Checkpoint, problem: str, cause: Exception | None = None) -> NoReturn:
    raise ConversionError(
        f"{checkpoint.origin} is not a whole {FAMILY}: {problem}.",
        hint="Get the file again from where it came, whole.",
    ) from cause


def _renamed(checkpoint: Checkpoint, parameters: dict[str, Any]) -> Renaming:
    renaming = Renaming(checkpoint, FAMILY)
    renaming.take("encoder.weight", "filterbank.analysis.weight", as_image)
    renaming.take("decoder.weight", "filterbank.synthesis.weight", as_synthesis)
    renaming.take_all("mask_generator.input_norm", "norm")
    renaming.take_convolution("mask_generator.input_conv", "bottleneck")
    total = parameters["blocks"] * parameters["repeats"]
    for number in range(total):
        _take_block(renaming, f"{LAYER}.{number}", f"blocks.{number}", last=number == total - 1)
    renaming.take("mask_generator.output_prelu.weight", "activation.weight")
    renaming.split_convolution("mask_generator.output_conv", "scores", parameters["sources"])
    return renaming


def _take_block(renaming: Renaming, source: str, target: str, *, last: bool) -> None:
    renaming.take_convolution(f"{source}.conv_layers.0", f"{target}.expand.0")
    renaming.take(f"{source}.conv_layers.1.weight", f"{target}.expand.1.weight")
    renaming.take_all(f"{source}.conv_layers.2", f"{target}.expand.2")
    renaming.take_convolution(f"{source}.conv_layers.3", f"{target}.depthwise")
    renaming.take(f"{source}.conv_layers.4.weight", f"{target}.activation.weight")
    renaming.take_all(f"{source}.conv_layers.5", f"{target}.norm")
    if not last:
        renaming.take_convolution(f"{source}.res_out", f"{target}.residual")
    renaming.take_convolution(f"{source}.skip_out", f"{target}.skip")
