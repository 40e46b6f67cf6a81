"""From a checkpoint's tensors to those of our network, name by name, so that none is left over."""

from collections.abc import Callable, Iterable
from typing import NoReturn

import numpy as np
import torch

from vsat.bundle import Architecture
from vsat.convert.checkpoint import Checkpoint
from vsat.errors import BundleError, ConversionError
from vsat.networks import build

MAX_NAMED = 5  # of the tensors that are missing or too many, in a message
HINT = "Get the file again from where it came, whole."


class Renaming:
    """Takes the tensors of a checkpoint one after another.

    Args:
        checkpoint: stays as it is.
        family: for messages.
    """

    def __init__(self, checkpoint: Checkpoint, family: str) -> None:
        self._origin, self._family = checkpoint.origin, family
        self._left = dict(checkpoint.tensors)
        self._missing: list[str] = []
        self._taken: dict[str, np.ndarray] = {}

    def __contains__(self, source: str) -> bool:
        return source in self._left

    def take(
        self, source: str, target: str, change: Callable[[np.ndarray], np.ndarray] | None = None
    ) -> None:
        """Move one tensor; where it is not there, `finish` says so.

        Args:
            source: its name in the checkpoint.
            target: its name in our network.
            change: what is done to it on the way.
        """
        value = self._left.pop(source, None)
        if value is None:
            self._missing.append(source)
        else:
            self._taken[target] = value if change is None else change(value)

    def take_all(
        self,
        source: str,
        target: str,
        names: Iterable[str] = ("weight", "bias"),
        change: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        """Move the tensors of a layer, which have the same names in both."""
        for name in names:
            self.take(f"{source}.{name}", f"{target}.{name}", change)

    def take_convolution(self, source: str, target: str) -> None:
        """Move a convolution over frames, weight and bias, to one over `(frames, 1)`."""
        self.take(f"{source}.weight", f"{target}.weight", as_image)
        self.take(f"{source}.bias", f"{target}.bias")

    def take_linear(self, source: str, target: str) -> None:
        """Move a convolution of one tap, weight and bias, to a linear layer."""
        self.take(f"{source}.weight", f"{target}.weight", as_matrix)
        self.take(f"{source}.bias", f"{target}.bias")

    def split_convolution(self, source: str, target: str, parts: int) -> None:
        """The same for a convolution whose outputs belong to several, one after another."""
        for kind in ("weight", "bias"):
            value = self._left.pop(f"{source}.{kind}", None)
            if value is None:
                self._missing.append(f"{source}.{kind}")
                continue
            if len(value) % parts:
                self._refuse(f"{source}.{kind} can't be divided among {parts} sources.")
            for number, part in enumerate(np.split(value, parts)):
                change = as_image(part) if kind == "weight" else part
                self._taken[f"{target}.{number}.{kind}"] = change

    def drop(self, source: str) -> None:
        """Leave out a tensor that no output depends on; it must be there all the same."""
        if self._left.pop(source, None) is None:
            self._missing.append(source)

    def same(self, one: str, other: str) -> None:
        """Leave out a tensor that is stored a second time, as `other`.

        Raises:
            ConversionError: the two differ.
        """
        copy = self._left.pop(one, None)
        if copy is None:
            self._missing.append(one)
        elif other in self._left and not np.array_equal(copy, self._left[other]):
            self._refuse(f"{one} and {other} differ; they must be equal.")

    def finish(self, architecture: Architecture) -> dict[str, np.ndarray]:
        """All that was taken, once it is known to be whole and to fit.

        Raises:
            ConversionError: tensors are missing or left over, or don't fit the network.
        """
        if self._missing:
            self._refuse(f"{len(self._missing)} tensors are missing: {_some(self._missing)}.")
        if self._left:
            self._refuse(
                f"{len(self._left)} tensors have no place in that network: {_some(self._left)}."
            )
        self._check_shapes(architecture)
        return self._taken

    def _check_shapes(self, architecture: Architecture) -> None:
        try:
            with torch.device("meta"):  # shapes alone
                wanted = build(architecture.name, architecture.parameters).state_dict()
        except BundleError as error:
            self._refuse(error.message, cause=error)
        if wanted.keys() != self._taken.keys():
            self._refuse(f"These don't fit: {_some(wanted.keys() ^ self._taken.keys())}.")
        for name, tensor in wanted.items():
            found = self._taken[name].shape
            if found != tuple(tensor.shape):
                self._refuse(f"{name} has the shape {found}, not {tuple(tensor.shape)}.")

    def _refuse(self, problem: str, cause: BaseException | None = None) -> NoReturn:
        raise ConversionError(
            f"{self._origin} is not a whole {self._family}. {problem}", hint=HINT
        ) from cause


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    shown = ", ".join(name[:80] for name in listed[:MAX_NAMED])
    return shown if len(listed) <= MAX_NAMED else f"{shown}, ..."


def as_image(weight: np.ndarray) -> np.ndarray:
    """A filter over frames as one over `(frames, 1)`.

    Shape:
        (..., taps) to (..., taps, 1).
    """
    return weight[..., np.newaxis]


def as_synthesis(weight: np.ndarray) -> np.ndarray:
    """The filters of a transposed convolution as a matrix from features to samples.

    Shape:
        (filters, 1, kernel) to (kernel, filters, 1, 1).
    """
    return np.ascontiguousarray(weight.transpose(2, 0, 1))[..., np.newaxis]


def as_matrix(weight: np.ndarray) -> np.ndarray:
    """A convolution of one tap as a matrix.

    Shape:
        (outputs, inputs, ...) to (outputs, inputs); the shape stays where there is more in it.
    """
    matrix = weight.shape[:2]
    return weight.reshape(matrix) if weight.size == np.prod(matrix) else weight
