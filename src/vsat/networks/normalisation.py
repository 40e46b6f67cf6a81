"""Norms of separation networks, by name from a closed list, over features in an axis of choice.

References:
    Luo & Mesgarani 2019, "Conv-TasNet: Surpassing ideal time-frequency magnitude masking for speech
    separation": global and cumulative layer normalisation.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

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
        mean, scale = self.statistics(values)
        weight = self._along_axis(self.weight, values) * scale
        return values * weight + (self._along_axis(self.bias, values) - mean * weight)

    def statistics(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """The mean, and what brings the variance to 1; both broadcast to the values."""
        raise NotImplementedError

    def _along_axis(self, parameter: Tensor, values: Tensor) -> Tensor:
        shape = [1] * values.ndim
        shape[self.axis] = -1
        return parameter.reshape(shape)


class GlobalNorm(Norm):
    """One mean and variance for all features of all frames.

    Both come from sums in two steps, over features and then over the rest. In one step a sum of
    millions would lose four digits, as it did in OpenVINO's own operation for norms.
    """

    def statistics(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """See `Norm.statistics`."""
        rest = tuple(axis for axis in range(1, values.ndim) if axis != self.axis % values.ndim)
        mean = values.mean(self.axis, keepdim=True).mean(rest, keepdim=True)
        norms = torch.linalg.vector_norm(values, dim=self.axis, keepdim=True)
        norm = torch.linalg.vector_norm(norms, dim=rest, keepdim=True)
        power = norm.pow(2) / (values.numel() // values.shape[0])
        return mean, scale_of((power - mean.pow(2)).clamp_min(0))


class LocalNorm(Norm):
    """A mean and variance for each of what is not normalised over."""

    def axes(self, rank: int) -> tuple[int, ...]:
        """The axes that share a mean and a variance."""
        raise NotImplementedError

    def statistics(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """See `Norm.statistics`."""
        axes = self.axes(values.ndim)
        mean = values.mean(axes, keepdim=True)
        return mean, scale_of((values - mean).pow(2).mean(axes, keepdim=True))


class ChannelNorm(LocalNorm):
    """A mean and variance for each frame."""

    def axes(self, rank: int) -> tuple[int, ...]:
        """See `LocalNorm.axes`."""
        return (self.axis % rank,)


class FeatureNorm(LocalNorm):
    """A mean and variance for each feature."""

    def axes(self, rank: int) -> tuple[int, ...]:
        """See `LocalNorm.axes`."""
        return tuple(axis for axis in range(1, rank) if axis != self.axis % rank)


class CumulativeNorm(Norm):
    """For each frame, the mean and variance of all until then; frames are the axis 2."""

    def statistics(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """See `Norm.statistics`."""
        ones = torch.ones_like(values[:, :1])  # (B, 1, N, 1)
        counted = ones.cumsum(2) * values.shape[1]
        mean = values.sum(1, keepdim=True).cumsum(2) / counted
        power = values.pow(2).sum(1, keepdim=True).cumsum(2) / counted
        return mean, scale_of((power - mean.pow(2)).clamp_min(0))


def scale_of(variance: Tensor) -> Tensor:
    """What brings a variance to 1."""
    return 1 / torch.sqrt(variance + EPSILON)


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


class NormedConvolutions(nn.Module):
    """A norm, and convolutions of one tap that all take what it gives.

    A global norm only scales and shifts, so it is done after the product instead: its scale of
    features goes into the matrices, and what is left is a number and a vector, on fewer features.

    Args:
        norm_name: one of `NORMS`.
        features: going in.
        outputs: features coming out, of each convolution by its name.
    """

    def __init__(self, norm_name: str, features: int, outputs: Mapping[str, int]) -> None:
        super().__init__()
        self.norm = norm(norm_name, features)
        self.convolutions = nn.ModuleDict(
            {name: nn.Conv2d(features, count, 1) for name, count in outputs.items()}
        )

    def forward(self, values: Tensor) -> dict[str, Tensor]:
        """Shape: (batch, features, frames, 1) to (batch, outputs, frames, 1) by name."""
        if not isinstance(self.norm, GlobalNorm):
            normed = self.norm(values)
            return {name: layer(normed) for name, layer in self.convolutions.items()}
        mean, scale = self.norm.statistics(values)  # (B, 1, 1, 1)
        found = {}
        for name, layer in self.convolutions.items():
            matrix, bias = folded(self.norm, layer)
            product = functional.conv2d(values, matrix[:, :, None, None])
            offset = bias[:, None, None] - matrix.sum(1)[:, None, None] * (mean * scale)
            found[name] = product * scale + offset
        return found


def folded(norm: Norm, convolution: nn.Module) -> tuple[Tensor, Tensor]:
    """What a convolution of one tap is when a norm's own scale and shift are made part of it.

    Shape:
        (outputs, features) and (outputs,).
    """
    assert isinstance(convolution, nn.Conv2d)
    assert convolution.bias is not None
    matrix = convolution.weight.flatten(1)  # (outputs, features)
    return matrix * norm.weight, matrix @ norm.bias + convolution.bias
