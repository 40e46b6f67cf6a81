"""Activations by name, from a closed list, and masks over a filterbank's features."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
    "linear": nn.Identity,
    "prelu": nn.PReLU,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "swish": nn.SiLU,
    "tanh": nn.Tanh,
}
SOFTMAX = "softmax"  # over the sources: of masks only


def activation(name: str) -> nn.Module:
    """An activation of one value.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"there is no activation {name!r}; known: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()


class Masks(nn.Module):
    """Turns the scores of all sources into masks, and applies them.

    Args:
        name: one of `ACTIVATIONS`, or "softmax" for shares that add up to one.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.shares = name == SOFTMAX
        self.activation = activation("linear" if self.shares else name)

    def forward(self, scores: Iterable[Tensor], features: Tensor) -> list[Tensor]:
        """Masked features, source by source.

        Shape:
            scores: each that of features; features: any. Returns one such for each source.
        """
        if self.shares:
            masks = torch.stack(list(scores), 1).softmax(1).unbind(1)
        else:
            masks = tuple(self.activation(score) for score in scores)
        return [mask * features for mask in masks]
