"""What a published file holds: tensors and plain values, nothing that could run."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Checkpoint:
    """What was read from a published model, before its family is known.

    Attributes:
        origin: the file or folder as the person knows it.
        tensors: arrays by their full names. Where the file nests dictionaries of tensors, the names
            are joined by dots, without the name of the dictionary that holds all of them (such as
            Asteroid's `state_dict`); where a folder has a file for each part, the file's stem comes
            first (such as SpeechBrain's `masknet.`).
        values: everything else, as JSON would have it: the entries of the pickled dictionary
            (`model_name`, `model_args`, ...), of `config.json`, or of `hyperparams.yaml`.
        card: the text of the model card beside it, or empty.
    """

    origin: str
    tensors: dict[str, np.ndarray]
    values: dict[str, Any] = field(default_factory=dict)
    card: str = ""
