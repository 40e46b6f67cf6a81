"""Norms of separation networks, by name from a closed list, over features in an axis of choice.

References:
    Luo & Mesgarani 2019, "Conv-TasNet: Surpassing ideal time-frequency magnitude masking for speech
    separation": global and cumulative layer normalisation.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

EPSILON = 1e-8  # added to the variance, as published models have it


class Norm(nn.Module):
    """Brings features to a mean of 0 and a variance of 1, then scales and shifts each.

    Args:
        features: how many.
        axis: where they are.
    """

    def __init__(self, features: int, axis: int = 1) -> None:
        super().__init__()
        self.axis = axis
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, values: Tensor) -> Tensor:
        """Shape: (batch, ...), the same out."""
        shape = [1] * values.ndim
        shape[self.axis] = -1
        normalised = self.normalised(values)
        return normalised * self.weight.reshape(shape) + self.bias.reshape(shape)

    def normalised(self, values: Tensor) -> Tensor:
        """Mean 0 and variance 1 over `axes`; spelled so that engines see one operation."""
        axes = self.axes(values.ndim)
        centred = values - values.mean(axes, keepdim=True)
        variance = centred.pow(2).mean(axes, keepdim=True)
        return centred / torch.sqrt(variance + EPSILON)

    def axes(self, rank: int) -> tuple[int, ...]:
        """The axes that share a mean and a variance."""
        raise NotImplementedError


class GlobalNorm(Norm):
    """One mean and variance for all features of all frames."""

    def axes(self, rank: int) -> tuple[int, ...]:
        """See `Norm.axes`."""
        return tuple(range(1, rank))


class ChannelNorm(Norm):
    """A mean and variance for each frame."""

    def axes(self, rank: int) -> tuple[int, ...]:
        """See `Norm.axes`."""
        return (self.axis % rank,)


class FeatureNorm(Norm):
    """A mean and variance for each feature."""

    def axes(self, rank: int) -> tuple[int, ...]:
        """See `Norm.axes`."""
        return tuple(axis for axis in range(1, rank) if axis != self.axis % rank)


class CumulativeNorm(Norm):
    """For each frame, the mean and variance of all until then; frames are the axis 2."""

    def normalised(self, values: Tensor) -> Tensor:
        """See `Norm.normalised`."""
        ones = torch.ones_like(values[:, :1])  # (B, 1, N, 1)
        counted = ones.cumsum(2) * values.shape[1]
        mean = values.sum(1, keepdim=True).cumsum(2) / counted
        power = values.pow(2).sum(1, keepdim=True).cumsum(2) / counted
        return (values - mean) / torch.sqrt(power - mean.pow(2) + EPSILON)


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "channel": ChannelNorm,
    "cumulative": CumulativeNorm,
    "feature": FeatureNorm,
    "global": GlobalNorm,
}


def norm(name: str, features: int) -> nn.Module:
    """A norm over (batch, features, frames, 1).

    Raises:
        ValueError: there is none of that name.
    """
    if name not in NORMS:
        raise ValueError(f"there is no norm {name!r}; known: {', '.join(NORMS)}")
    return NORMS[name](features)
