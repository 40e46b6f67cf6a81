"""The two halves of a TIGER path: selection at several scales, and attention over all of it.

Features lie as (samples, steps, channels), the channels last, with a path's own axis as its steps:
linear layers are then plain matrix products, norms run over contiguous memory, and depthwise
convolutions read the same memory with its axes named in another order. In an exported graph no
tensor is rearranged but for the attention.

References:
    Xu et al. 2024, "TIGER: Time-frequency Interleaved Gain Extraction and Reconstruction for
    Efficient Speech Separation".
    Li et al. 2023, "An efficient encoder-decoder architecture with top-down attention for speech
    separation" (the selection across scales).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

KERNEL = 5  # steps of a depthwise convolution
EPSILON = 1e-8  # of the norms over a whole sample


class Path(nn.Module):
    """Looks along one axis: select across scales, attend across all steps, add what came in.

    Args:
        width: channels of the features.
        hidden: channels inside the selection.
        scales: resolutions of the selection, each half the one before.
        heads: of the attention.
        key_width: channels of a query or key in a head.
    """

    def __init__(self, width: int, hidden: int, scales: int, heads: int, key_width: int) -> None:
        super().__init__()
        self.selection = ScaleSelection(width, hidden, scales)
        self.attention = FullAttention(width, heads, key_width)
        self.norm = nn.LayerNorm(width)

    def forward(self, features: Tensor) -> Tensor:
        """Shape: (batch, others, steps, width), the same out; `others` is the other axis."""
        batch, others, steps, width = features.shape
        selected = self.selection(features.reshape(-1, steps, width))  # (B*O, L, C)
        attended = self.attention(selected.reshape(batch, others, steps, width))
        return features + self.norm(attended)


class ScaleSelection(nn.Module):
    """Multi-scale selective attention: coarse views gate finer ones on the way back up."""

    def __init__(self, width: int, hidden: int, scales: int) -> None:
        super().__init__()
        self.expand = nn.Sequential(nn.Linear(width, hidden), SampleNorm(hidden), nn.PReLU())
        self.down = nn.ModuleList(
            nn.Sequential(Depthwise(hidden, 1 if scale == 0 else 2), SampleNorm(hidden))
            for scale in range(scales)
        )
        self.overview = nn.Sequential(
            nn.Linear(hidden, hidden, bias=False),
            SampleNorm(hidden),
            Depthwise(hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden, bias=False),
            SampleNorm(hidden),
        )
        self.inject = nn.ModuleList(Gate(hidden, 1) for _ in range(scales - 1))
        self.up = nn.ModuleList(Gate(hidden, KERNEL) for _ in range(scales - 1))
        self.contract = nn.Linear(hidden, width)

    def forward(self, features: Tensor) -> Tensor:
        """Shape: (samples, steps, width), the same out."""
        current = self.expand(features)  # (N, L, H)
        levels: list[Tensor] = []
        for down in self.down:
            current = down(current)
            levels.append(current)
        coarsest = levels.pop()
        pooled = coarsest
        for level in levels:
            pooled = pooled + pool(level, coarsest)
        overview = self.overview(pooled)  # (N, L / 2 ** (scales - 1), H)
        fused = [gate(level, overview) for gate, level in zip(self.inject, levels, strict=True)]
        # The coarsest of these is gated by the next finer one, as the published weights were
        # trained; every other by the next coarser.
        current = fused[-2]
        for gate, level in zip(reversed(self.up), reversed(fused), strict=True):
            current = gate(level, current)
        return features + self.contract(current)


class Gate(nn.Module):
    """Scale fine features by the sigmoid of coarse ones, and add coarse ones."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.fine = GateInput(channels, kernel)
        self.scale = GateInput(channels, kernel)
        self.shift = GateInput(channels, kernel)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Shape: (samples, steps, channels) and (samples, other steps, channels) to the first."""
        scale, shift = self.scale(coarse).sigmoid(), self.shift(coarse)
        scale = scale.index_select(1, nearest(scale, fine))
        shift = shift.index_select(1, nearest(shift, fine))
        return self.fine(fine) * scale + shift


class GateInput(nn.Sequential):
    """A depthwise convolution and a norm."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__(Depthwise(channels, kernel=kernel, bias=False), SampleNorm(channels))


class Depthwise(nn.Conv1d):
    """A convolution of each channel along the steps.

    Shape:
        (samples, steps, channels) to (samples, ceil(steps / stride), channels).
    """

    def __init__(
        self, channels: int, stride: int = 1, kernel: int = KERNEL, *, bias: bool = True
    ) -> None:
        super().__init__(
            channels, channels, kernel, stride, kernel // 2, groups=channels, bias=bias
        )

    def forward(self, features: Tensor) -> Tensor:
        """See the class."""
        if self.kernel_size == (1,):
            return features * self.weight.flatten()
        return super().forward(features.transpose(1, 2)).transpose(1, 2)


class SampleNorm(nn.Module):
    """Norm over all steps and channels of a sample, with a weight and a bias for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor) -> Tensor:
        """Shape: (samples, steps, channels), the same out."""
        return standardise(features, EPSILON) * self.weight + self.bias


class FullAttention(nn.Module):
    """Full-frequency-frame attention: steps attend to steps, over the whole other axis at once.

    Queries and keys of a step are those of all the other axis side by side, so there is one
    matrix of attention for a head, not one for each place on the other axis.
    """

    def __init__(self, width: int, heads: int, key_width: int) -> None:
        super().__init__()
        self.heads, self.key_width = heads, key_width
        self.value_width = width // heads
        self.keys = HeadProjection(width, 2 * heads, key_width)  # the queries first
        self.values = HeadProjection(width, heads, self.value_width)
        self.merge = HeadProjection(width, 1, width)

    def forward(self, features: Tensor) -> Tensor:
        """Shape: (batch, others, steps, width), the same out."""
        batch, others, steps, width = features.shape
        keys = self.keys(features).permute(0, 3, 2, 1, 4)  # (B, 2h, L, O, E)
        keys = keys.reshape(batch, 2 * self.heads, steps, -1)  # (B, 2h, L, O*E)
        query, key = keys.chunk(2, dim=1)
        values = self.values(features).permute(0, 3, 2, 1, 4)  # (B, h, L, O, V)
        values = values.reshape(batch, self.heads, steps, -1)  # (B, h, L, O*V)
        scores = query @ (key / (others * self.key_width) ** 0.5).transpose(2, 3)  # (B, h, L, L)
        found = scores.softmax(-1) @ values  # (B, h, L, O*V)
        found = found.reshape(batch, self.heads, steps, others, self.value_width)
        found = found.permute(0, 3, 2, 1, 4).reshape(batch, others, steps, width)
        return features + self.merge(found).flatten(-2)


class HeadProjection(nn.Module):
    """A linear layer to several heads, each with an activation and a norm of its own."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads, self.head_width = heads, head_width
        self.linear = nn.Linear(width, heads * head_width)
        self.slope = nn.Parameter(torch.full((heads, 1), 0.25))  # for negative values
        self.weight = nn.Parameter(torch.ones(heads, head_width))
        self.bias = nn.Parameter(torch.zeros(heads, head_width))

    def forward(self, features: Tensor) -> Tensor:
        """Shape: (..., width) to (..., heads, head_width)."""
        heads = self.linear(features)
        heads = heads.reshape(*features.shape[:-1], self.heads, self.head_width)
        active = heads.relu() - self.slope * (-heads).relu()  # (..., h, E)
        return functional.layer_norm(active, (self.head_width,)) * self.weight + self.bias


def standardise(features: Tensor, epsilon: float) -> Tensor:
    """Bring each sample to mean 0 and variance 1.

    Shape:
        (samples, steps, channels), the same out.
    """
    flat = features.flatten(1).unsqueeze(1)  # (N, 1, L*C)
    return functional.instance_norm(flat, eps=epsilon).reshape(features.shape)


def nearest(features: Tensor, like: Tensor) -> Tensor:
    """For each step of `like`, which step of the features is nearest, at it or before it.

    Shape:
        (_, any, _) and (_, steps, _) to (steps,).
    """
    return count_steps(like) * features.shape[1] // like.shape[1]


def pool(features: Tensor, like: Tensor) -> Tensor:
    """The mean over spans of about equal length, one for each step of others.

    Spans may share their edges.

    Shape:
        (samples, any, channels) and (_, steps, _) to (samples, steps, channels).
    """
    length, steps = features.shape[1], like.shape[1]
    place, span = count_steps(features), count_steps(like).unsqueeze(1)  # (L,), (S, 1)
    inside = (place >= span * length // steps) & (place * steps < (span + 1) * length)
    members = inside.to(features.dtype)  # (S, L)
    return (members / members.sum(1, keepdim=True)) @ features


def count_steps(features: Tensor) -> Tensor:
    """0, 1, 2, ..., one for each step; counted along them, so the exporter knows them to vary."""
    return torch.ones_like(features[0, :, 0], dtype=torch.int64).cumsum(0) - 1
