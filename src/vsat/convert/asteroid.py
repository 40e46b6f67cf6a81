"""Asteroid's models: a dictionary of `model_name`, `model_args` and `state_dict`."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from vsat.bundle import Architecture
from vsat.convert.asteroid_dprnn import dprnn
from vsat.convert.asteroid_sudormrf import sudormrf, sudormrf_improved
from vsat.convert.asteroid_tasnet import conv_tasnet
from vsat.convert.checkpoint import Checkpoint
from vsat.convert.conversion import Conversion, Fact
from vsat.convert.filter_rate import doubt
from vsat.convert.model_args import ModelArgs
from vsat.convert.renaming import Renaming
from vsat.errors import ConversionError

DEFAULT_RATE_HZ = 8_000  # of Asteroid's files from before they stated one
ENCODER = re.compile(r"encoder\.(encoder\.)?filterbank\.")
LICENCE = re.compile(r"creativecommons\.org/licenses/([a-z-]+)/([0-9.]+)")


@dataclass(frozen=True)
class Family:
    """One of Asteroid's classes.

    Attributes:
        name: as people call it.
        mark: a tensor that only this class has.
        convert: takes the arguments and the tensors, and says what network they make.
    """

    name: str
    mark: str
    convert: Callable[[ModelArgs, Renaming], Architecture]


FAMILIES = {
    "ConvTasNet": Family("Asteroid Conv-TasNet", "masker.TCN.0.shared_block.0.weight", conv_tasnet),
    "DPRNNTasNet": Family("Asteroid DPRNN", "masker.net.0.intra_linear.weight", dprnn),
    "SuDORMRFNet": Family("Asteroid SuDoRM-RF", "masker.sm.0.conv_1x1_exp.conv.weight", sudormrf),
    "SuDORMRFImprovedNet": Family(
        "Asteroid SuDoRM-RF improved", "masker.sm.0.res_conv.weight", sudormrf_improved
    ),
}


def recognise(checkpoint: Checkpoint) -> Conversion | None:
    """See `vsat.convert.families`.

    Raises:
        ConversionError: it is one of Asteroid's models, but not whole, or of a kind that is not
            converted.
    """
    if not any(ENCODER.match(name) for name in checkpoint.tensors):
        return None
    family = _family(checkpoint)
    arguments = ModelArgs(checkpoint, family.name)
    rate = _sample_rate(arguments)
    renaming = Renaming(checkpoint, family.name)
    architecture = family.convert(arguments, renaming)
    arguments.finish()
    parameters = architecture.parameters
    return Conversion(
        family=family.name,
        architecture=architecture,
        tensors=renaming.finish(architecture),
        sample_rate=rate,
        sources=Fact(parameters["sources"], "n_src in model_args"),
        licence=_licence(checkpoint),
        warnings=_warnings(architecture, rate.value),
    )


def _family(checkpoint: Checkpoint) -> Family:
    """The class whose tensors are there, whatever `model_name` says."""
    for family in FAMILIES.values():
        if family.mark in checkpoint.tensors:
            return family
    name = checkpoint.values.get("model_name")
    kind = f"Asteroid's {name}" if isinstance(name, str) and name else "a kind of its own"
    raise ConversionError(
        f"{checkpoint.origin} is a model of Asteroid, but {kind[:60]} can't be converted.",
        hint=f"These can: {', '.join(FAMILIES)}.",
    )


def _sample_rate(arguments: ModelArgs) -> Fact:
    stated = arguments.number("sample_rate", 0, least=0)
    if stated:
        return Fact(stated, "sample_rate in model_args")
    return Fact(DEFAULT_RATE_HZ, "Asteroid's default, for model_args state no rate")


def _warnings(architecture: Architecture, rate: int) -> tuple[str, ...]:
    if architecture.name != "conv_tasnet":
        return ()
    return doubt(rate, architecture.parameters["kernel"], architecture.parameters["hop"])


def _licence(checkpoint: Checkpoint) -> Fact | None:
    """The last licence named in `licenses`: the model's, after those of its material."""
    note = checkpoint.values.get("licenses")
    found = LICENCE.findall(note) if isinstance(note, str) else []
    if not found:
        return None
    kind, version = found[-1]
    return Fact(f"CC-{kind.upper()}-{version}", "licenses in the file")
