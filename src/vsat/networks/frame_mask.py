"""A network that works frame by frame on the STFT, with dilated filters over time.

Quick on a CPU: nearly all of its work is in matrix products over the whole width of a frame.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from vsat.networks.stft import Stft
from vsat.networks.transformer import Attention


class FrameMask(nn.Module):
    """Complex masks from a stack of gated, dilated blocks.

    Args:
        sources: voices given out.
        window: samples in an STFT frame.
        hop: samples between frames.
        width: features of a frame between blocks.
        hidden: features inside a block.
        dilations: distance in frames of the filter's taps, a block each.
        attention: after which blocks (counted from 0) frames look at all others.
        heads: of the attention.
        complex_masks: whether masks turn phases too; else they are shares that add up to one.
    """

    def __init__(
        self,
        sources: int = 2,
        window: int = 512,
        hop: int = 256,
        width: int = 320,
        hidden: int = 320,
        dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 1),
        attention: tuple[int, ...] = (),
        heads: int = 4,
        complex_masks: bool = True,
    ) -> None:
        super().__init__()
        self.sources, self.complex_masks = sources, complex_masks
        self.stft = Stft(window, hop)
        bins = self.stft.bins
        self.encoder = nn.Linear(3 * bins, width)
        self.blocks = nn.ModuleList()
        for number, dilation in enumerate(dilations):
            self.blocks.append(GatedBlock(width, hidden, dilation))
            if number in attention:
                self.blocks.append(Attention(width, heads))
        self.norm = nn.LayerNorm(width)
        self.masks = nn.Linear(width, (2 if complex_masks else 1) * sources * bins)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate a mixture; scaling it scales the estimates alike.

        Shape:
            (batch, samples) to (batch, sources, samples).
        """
        level = mixture.square().mean(-1, keepdim=True).sqrt() + 1e-6  # (B, 1)
        spectrum = self.stft(mixture / level)  # (B, 2F, N)
        masks = self.estimate_masks(spectral_features(spectrum))  # (B, S*F, N), or twice as many
        if self.complex_masks:
            estimates = apply_masks(masks, spectrum, self.sources)  # (B*S, 2F, N)
        else:
            estimates = apply_shares(masks, spectrum, self.sources)  # (B*S, 2F, N)
        signals = self.stft.inverse(estimates, mixture.shape[-1])  # (B*S, T)
        return signals.reshape(-1, self.sources, mixture.shape[-1]) * level.unsqueeze(1)

    def estimate_masks(self, features: Tensor) -> Tensor:
        """The part that learns.

        Shape:
            (batch, 3 * bins, frames) to (batch, masks, frames).
        """
        hidden = self.encoder(features.transpose(1, 2))  # (B, N, C)
        for block in self.blocks:
            hidden = block(hidden)
        masks: Tensor = self.masks(self.norm(hidden)).transpose(1, 2)
        return masks


def spectral_features(spectrum: Tensor) -> Tensor:
    """Compressed real and imaginary parts and log magnitude.

    Shape:
        (batch, 2 * bins, frames) to (batch, 3 * bins, frames).
    """
    real, imaginary = spectrum.chunk(2, dim=1)
    power = real * real + imaginary * imaginary + 1e-4
    compressed = power**-0.35  # magnitude to the power of 0.3, the phase kept
    logarithm = 0.25 * torch.log(power)
    return torch.cat([real * compressed, imaginary * compressed, logarithm], dim=1)


def apply_masks(masks: Tensor, spectrum: Tensor, sources: int) -> Tensor:
    """Multiply a spectrum by complex masks.

    Shape:
        masks: (batch, sources * 2 * bins, frames); spectrum: (batch, 2 * bins, frames).
        Returns (batch * sources, 2 * bins, frames).
    """
    bins, frames = spectrum.shape[1] // 2, spectrum.shape[2]
    masks = masks.reshape(-1, sources, 2, bins, frames)  # (B, S, 2, F, N)
    real, imaginary = spectrum.reshape(-1, 1, 2, bins, frames).unbind(2)  # (B, 1, F, N)
    mask_real, mask_imaginary = masks.unbind(2)  # (B, S, F, N)
    product = torch.stack(
        [
            mask_real * real - mask_imaginary * imaginary,
            mask_real * imaginary + mask_imaginary * real,
        ],
        dim=2,
    )
    return product.reshape(-1, 2 * bins, frames)


def apply_shares(masks: Tensor, spectrum: Tensor, sources: int) -> Tensor:
    """Divide a spectrum among the sources, so that the estimates add up to it.

    Shape:
        masks: (batch, sources * bins, frames), before the softmax; spectrum: (batch, 2 * bins,
        frames). Returns (batch * sources, 2 * bins, frames).
    """
    bins, frames = spectrum.shape[1] // 2, spectrum.shape[2]
    shares = masks.reshape(-1, sources, 1, bins, frames).softmax(1)  # (B, S, 1, F, N)
    product = shares * spectrum.reshape(-1, 1, 2, bins, frames)  # (B, S, 2, F, N)
    return product.reshape(-1, 2 * bins, frames)


class GatedBlock(nn.Module):
    """LayerNorm, linear, gate, a three-tap dilated filter over time, linear; added to its input."""

    def __init__(self, width: int, hidden: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 2 * hidden)
        self.taps = nn.Parameter(torch.tensor([0.3, 0.4, 0.3]).repeat(hidden, 1).T.contiguous())
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.contract = nn.Linear(hidden, width)

    def forward(self, features: Tensor) -> Tensor:
        """Shape: (batch, frames, width), the same out."""
        value, gate = self.expand(self.norm(features)).chunk(2, dim=-1)
        hidden = value * torch.sigmoid(gate)  # (B, N, H)
        reach, frames = self.dilation, hidden.shape[1]
        padded = functional.pad(hidden, (0, 0, reach, reach))
        filtered = (
            padded[:, :frames] * self.taps[0]
            + hidden * self.taps[1]
            + padded[:, 2 * reach :] * self.taps[2]
            + self.bias
        )
        return features + self.contract(functional.silu(filtered))
