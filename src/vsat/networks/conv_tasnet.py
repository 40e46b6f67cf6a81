"""Conv-TasNet: masks over a learned filterbank, from a stack of dilated depthwise convolutions.

References:
    Luo & Mesgarani 2019, "Conv-TasNet: Surpassing ideal time-frequency magnitude masking for speech
    separation".
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from vsat.networks.activations import Masks, activation
from vsat.networks.filterbank import Filterbank
from vsat.networks.normalisation import norm


class ConvTasNet(nn.Module):
    """Masks over a learned filterbank.

    Args:
        sources: voices given out.
        filters: of the filterbank.
        kernel: samples of a filter.
        hop: samples between frames.
        padding: see `Filterbank`.
        multiple: see `Filterbank`.
        width: features between blocks.
        hidden: features inside a block.
        skip: features that a block adds to what the masks are made from; with 0, they are made from
            what the last block gives.
        taps: of a depthwise convolution.
        blocks: in a repeat, each with twice the dilation of the one before.
        repeats: of the blocks.
        norm_name: one of `normalisation.NORMS`.
        causal: whether a frame sees no later ones.
        encoder_activation: one of `activations.ACTIVATIONS`.
        mask_activation: one of those, or "softmax".
    """

    def __init__(
        self,
        sources: int = 2,
        filters: int = 512,
        kernel: int = 16,
        hop: int = 8,
        padding: int = 0,
        multiple: int = 1,
        width: int = 128,
        hidden: int = 512,
        skip: int = 128,
        taps: int = 3,
        blocks: int = 8,
        repeats: int = 3,
        norm_name: str = "global",
        causal: bool = False,
        encoder_activation: str = "linear",
        mask_activation: str = "relu",
    ) -> None:
        super().__init__()
        self.filterbank = Filterbank(filters, kernel, hop, padding, multiple)
        self.encoder_activation = activation(encoder_activation)
        self.norm = norm(norm_name, filters)
        self.bottleneck = nn.Conv2d(filters, width, 1)
        dilations = [2**number for _ in range(repeats) for number in range(blocks)]  # frames
        stack = [Block(width, hidden, skip, taps, one, norm_name, causal) for one in dilations]
        if skip:
            stack[-1].residual = None  # nothing comes after it that would hear it
        self.blocks = nn.ModuleList(stack)
        self.activation = nn.PReLU()
        self.scores = nn.ModuleList(nn.Conv2d(skip or width, filters, 1) for _ in range(sources))
        self.masks = Masks(mask_activation)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate a mixture.

        Shape:
            (batch, samples) to (batch, sources, samples).
        """
        encoded = self.encoder_activation(self.filterbank(mixture))  # (B, F, N, 1)
        features = self.activation(self.features(encoded))  # (B, C, N, 1)
        masked = self.masks([score(features) for score in self.scores], encoded)
        signals = [self.filterbank.inverse(one, mixture.shape[-1]) for one in masked]  # (B, T)
        return torch.stack(signals, 1)

    def features(self, encoded: Tensor) -> Tensor:
        """What the masks are made from.

        Shape:
            (batch, filters, frames, 1) to (batch, skip or width, frames, 1).
        """
        features = self.bottleneck(self.norm(encoded))
        skips: Tensor | None = None
        for block in self.blocks:
            residual, skip = block(features)
            if residual is not None:
                features = features + residual
            if skip is not None:
                skips = skip if skips is None else skips + skip
        return features if skips is None else skips


class Block(nn.Module):
    """Widen, a dilated depthwise convolution, narrow: once to go on with, once for the masks."""

    def __init__(
        self,
        width: int,
        hidden: int,
        skip: int,
        taps: int,
        dilation: int,
        norm_name: str,
        causal: bool,
    ) -> None:
        super().__init__()
        reach = (taps - 1) * dilation  # frames
        self.before = reach if causal else 0
        around = 0 if causal else reach // 2
        self.expand = nn.Sequential(
            nn.Conv2d(width, hidden, 1), nn.PReLU(), norm(norm_name, hidden)
        )
        self.depthwise = nn.Conv2d(
            hidden, hidden, (taps, 1), padding=(around, 0), dilation=(dilation, 1), groups=hidden
        )
        self.activation = nn.PReLU()
        self.norm = norm(norm_name, hidden)
        self.residual: nn.Module | None = nn.Conv2d(hidden, width, 1)
        self.skip: nn.Module | None = nn.Conv2d(hidden, skip, 1) if skip else None

    def forward(self, features: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """What to add to the features, and what to add for the masks.

        Shape:
            (batch, width, frames, 1) to the same and (batch, skip, frames, 1).
        """
        hidden = self.expand(features)
        if self.before:
            hidden = functional.pad(hidden, (0, 0, self.before, 0))
        hidden = self.norm(self.activation(self.depthwise(hidden)))
        residual = None if self.residual is None else self.residual(hidden)
        return residual, None if self.skip is None else self.skip(hidden)
