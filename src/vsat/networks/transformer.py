"""Transformer encoders over sequences of features, features last.

References:
    Vaswani et al. 2017, "Attention is all you need"; Xiong et al. 2020, "On layer normalization in
    the transformer architecture", for norms that stand before what they belong to.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.Module):
    """Every step looks at every other one; added to its input.

    Args:
        width: features of a step; `heads` divides it.
        heads: of the attention.
        eps: of the norm.
    """

    def __init__(self, width: int, heads: int, eps: float = 1e-5) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads do not divide {width} features")
        self.heads = heads
        self.norm = nn.LayerNorm(width, eps=eps)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.contract = nn.Linear(width, width)

    def forward(self, features: Tensor) -> Tensor:
        """Shape: (batch, steps, width), the same out."""
        batch, steps, width = features.shape
        packed = self.query_key_value(self.norm(features))
        packed = packed.reshape(batch, steps, 3, self.heads, width // self.heads)
        query, key, value = packed.permute(2, 0, 3, 1, 4).unbind(0)  # (B, heads, N, C/heads)
        seen = functional.scaled_dot_product_attention(query, key, value)
        return features + self.contract(seen.transpose(1, 2).reshape(batch, steps, width))


class FeedForward(nn.Module):
    """Two linear layers with a ReLU between them, step by step; added to its input."""

    def __init__(self, width: int, hidden: int, eps: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=eps)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)

    def forward(self, features: Tensor) -> Tensor:
        """Shape: (batch, steps, width), the same out."""
        hidden = functional.relu(self.expand(self.norm(features)))
        return features + self.contract(hidden)


class Transformer(nn.Module):
    """Layers of attention and feed-forward, and a norm after the last.

    Args:
        width: features of a step, even.
        heads: of each attention.
        hidden: features inside a feed-forward.
        layers: number of layers.
        positional: whether sinusoids tell the steps where they are.
    """

    EPS = 1e-6  # of the layers' norms
    frequencies: Tensor

    def __init__(
        self, width: int, heads: int, hidden: int, layers: int, positional: bool = True
    ) -> None:
        super().__init__()
        if width % 2:
            raise ValueError(f"{width} features have no half for sines and one for cosines")
        self.positional = positional
        self.layers = nn.ModuleList(
            nn.Sequential(Attention(width, heads, self.EPS), FeedForward(width, hidden, self.EPS))
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width, eps=self.EPS)
        self.register_buffer("frequencies", wave_numbers(width), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Shape: (batch, steps, width), the same out."""
        if self.positional:
            features = features + sinusoids(features.shape[1], self.frequencies)
        for layer in self.layers:
            features = layer(features)
        return self.norm(features)


def wave_numbers(width: int) -> Tensor:
    """Half as many frequencies as features, in radians a step: from 1 down to nearly 1/10,000."""
    return torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))


def sinusoids(steps: int, frequencies: Tensor) -> Tensor:
    """Positional encoding: the sine and the cosine of each frequency, side by side.

    Args:
        steps: positions, counted from 0.
        frequencies: in radians a step.

    Shape:
        (width / 2,) to (steps, width).
    """
    positions = torch.arange(steps, device=frequencies.device, dtype=frequencies.dtype)
    angles = positions.unsqueeze(1) * frequencies  # (N, C/2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)  # (N, C)


class GlobalNorm(nn.Module):
    """Normalises each item of a batch over all that it holds, then scales each feature.

    Args:
        width: features.
        eps: added to the variance.
    """

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, features: Tensor) -> Tensor:
        """Shape: (batch, ..., width), the same out."""
        centred = features - mean_of_items(features)
        variance = mean_of_items(centred * centred)
        return centred * torch.rsqrt(variance + self.eps) * self.weight + self.bias


def mean_of_items(features: Tensor) -> Tensor:
    """The mean of each item of a batch, in two steps.

    In one, as an engine computes `group_norm`, millions of values in float32 are off by -85 dB; an
    engine makes one of two that keep their axes alike.

    Shape:
        (batch, ..., width) to (batch, 1, ..., 1).
    """
    means = features.mean(-1).flatten(1).mean(1, keepdim=True)  # (B, 1)
    return means.reshape(-1, *[1] * (features.ndim - 1))
