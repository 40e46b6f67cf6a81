"""SuDoRM-RF as it is published, first and improved form; `sudormrf.py` is vsat's own variant.

References:
    Tzinis et al. 2020, "Sudo rm -rf: Efficient networks for universal audio source separation", and
    2022, "Compute and memory efficient universal sound source separation".
"""

from math import lcm

import torch
from torch import Tensor, nn
from torch.nn import functional

from vsat.networks.activations import Masks, activation
from vsat.networks.filterbank import Filterbank
from vsat.networks.normalisation import GlobalNorm


class PublishedSudoRmRf(nn.Module):
    """Masks over a learned filterbank.

    Args:
        sources: voices given out.
        filters: of the filterbank, and features inside a block; even.
        kernel: samples of a filter; the hop is half of it, rounded down.
        width: features between blocks.
        blocks: number of blocks.
        scales: resolutions inside a block, each half the one before.
        improved: whether blocks end without norm, and each source has a matrix of its own.
        encoder_activation: one of `activations.ACTIVATIONS`.
        mask_activation: one of those, or "softmax".
    """

    def __init__(
        self,
        sources: int = 2,
        filters: int = 512,
        kernel: int = 21,
        width: int = 128,
        blocks: int = 16,
        scales: int = 4,
        improved: bool = True,
        encoder_activation: str = "linear",
        mask_activation: str = "relu",
    ) -> None:
        super().__init__()
        hop = kernel // 2
        self.filterbank = Filterbank(filters, kernel, hop, hop, lcm(hop, 2**scales))
        self.encoder_activation = activation(encoder_activation)
        self.norm = GlobalNorm(filters)
        self.bottleneck = nn.Conv2d(filters, width, 1)
        self.blocks = nn.ModuleList(Block(width, filters, scales, improved) for _ in range(blocks))
        self.scores = (Scores if improved else SlidingScores)(width, filters, sources)
        self.masks = Masks(mask_activation)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate a mixture.

        Shape:
            (batch, samples) to (batch, sources, samples).
        """
        encoded = self.encoder_activation(self.filterbank(mixture))  # (B, F, N, 1)
        features = self.bottleneck(self.norm(encoded))  # (B, C, N, 1)
        for block in self.blocks:
            features = block(features)
        masked = self.masks(self.scores(features), encoded)
        signals = [self.filterbank.inverse(one, mixture.shape[-1]) for one in masked]  # (B, T)
        return torch.stack(signals, 1)


class Block(nn.Module):
    """Widen, go down through the resolutions, add them up on the way back, narrow."""

    def __init__(self, width: int, hidden: int, scales: int, improved: bool) -> None:
        super().__init__()
        self.expand = nn.Sequential(
            nn.Conv2d(width, hidden, 1),
            GlobalNorm(hidden),
            nn.PReLU(1 if improved else hidden),
        )
        self.down = nn.ModuleList(
            nn.Sequential(depthwise(hidden, 1 if scale == 0 else 2), GlobalNorm(hidden))
            for scale in range(scales)
        )
        self.fused = nn.Sequential(GlobalNorm(hidden), nn.PReLU(hidden))
        self.contract: nn.Module = nn.Conv2d(hidden, width, 1)
        self.last: nn.Module = nn.Identity()
        if not improved:
            self.contract = nn.Sequential(self.contract, GlobalNorm(width))
            self.last = nn.Sequential(GlobalNorm(width), nn.PReLU(width))

    def forward(self, features: Tensor) -> Tensor:
        """Shape: (batch, width, frames, 1), the same out."""
        levels: list[Tensor] = []
        current = self.expand(features)
        for down in self.down:
            current = down(current)
            levels.append(current)
        fused = levels.pop()
        while levels:
            finer = levels.pop()
            doubled = functional.interpolate(fused, scale_factor=(2.0, 1.0), mode="nearest")
            fused = finer + doubled[:, :, : finer.shape[2]]
        finished: Tensor = self.last(features + self.contract(self.fused(fused)))
        return finished


def depthwise(features: int, stride: int) -> nn.Conv2d:
    """Five taps over frames, a filter for each feature."""
    return nn.Conv2d(
        features, features, (5, 1), stride=(stride, 1), padding=(2, 0), groups=features
    )


class Scores(nn.Module):
    """Scores of each source from a matrix of its own."""

    def __init__(self, width: int, filters: int, sources: int) -> None:
        super().__init__()
        self.activation = nn.PReLU()
        self.matrices = nn.ModuleList(nn.Conv2d(width, filters, 1) for _ in range(sources))

    def forward(self, features: Tensor) -> list[Tensor]:
        """Shape: (batch, width, frames, 1) to one (batch, filters, frames, 1) for each source."""
        active = self.activation(features)
        return [matrix(active) for matrix in self.matrices]


class SlidingScores(nn.Module):
    """Scores of each source from a filter that slides over the features of a frame.

    Sliding over features is a matrix, and so is what comes before it: their product is applied to
    the narrow features, which is four times less work than to slide over the wide ones.
    """

    def __init__(self, width: int, filters: int, sources: int) -> None:
        super().__init__()
        if filters % 2:
            raise ValueError(f"{filters} filters are not an even number")
        self.filters = filters
        self.expand = nn.Conv2d(width, filters, 1) if width != filters else None
        self.taps = nn.Parameter(torch.randn(sources, filters + 1) / filters**0.5)
        self.bias = nn.Parameter(torch.zeros(sources))

    def forward(self, features: Tensor) -> list[Tensor]:
        """Shape: (batch, width, frames, 1) to one (batch, filters, frames, 1) for each source."""
        scores = []
        for taps, bias in zip(self._matrices(), self.bias, strict=True):
            matrix, shift = taps, bias.expand(self.filters)
            if self.expand is not None:
                matrix = taps @ self.expand.weight.flatten(1)  # (F, C)
                shift = taps @ self.expand.bias + bias
            scores.append(functional.conv2d(features, matrix[:, :, None, None], shift))
        return scores

    def _matrices(self) -> Tensor:
        """The sliding filters as matrices, (sources, filters, filters)."""
        half = self.filters // 2
        padded = functional.pad(self.taps, (half - 1, half - 1))  # (S, 2F - 1)
        number = torch.arange(self.filters, device=self.taps.device)
        return padded[:, number - number.unsqueeze(1) + self.filters - 1]
