"""What a converter makes of a checkpoint: the network, its weights, and what is known of it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from vsat.bundle import Architecture


@dataclass(frozen=True)
class Fact:
    """A value with where it was found, to be said aloud: "16000 Hz, from model_args"."""

    value: Any
    found_in: str


@dataclass(frozen=True)
class Conversion:
    """A recognised model, ready to be built from our own networks.

    Attributes:
        family: as people call it, for example "Asteroid Conv-TasNet".
        architecture: a name of `vsat.networks.ARCHITECTURES`, and the arguments that build it.
        tensors: weights under the names of our network, all that it needs and no other.
        sample_rate: Hz; its value is None where nothing says.
        sources: how many voices it gives.
        licence: None where nothing says.
        warnings: what the person should know, full sentences: a rate that does not fit the filters.
    """

    family: str
    architecture: Architecture
    tensors: dict[str, np.ndarray]
    sample_rate: Fact
    sources: Fact
    licence: Fact | None = None
    warnings: tuple[str, ...] = ()
