"""Band-split dual-path GRU: along time within a band, then along bands within a frame.

References:
    Luo & Yu 2023, "Music source separation with band-split RNN", with GRUs and one width.
"""

import torch
from torch import Tensor, nn

from vsat.networks.frame_mask import apply_masks, spectral_features
from vsat.networks.stft import Stft


class BandSplitGru(nn.Module):
    """Complex masks from GRUs over time and over bands.

    Args:
        sources: voices given out.
        window: samples in an STFT frame.
        hop: samples between frames.
        band_widths: bins of each band; together all `window // 2 + 1`.
        width: features of a band.
        hidden: units of a GRU, each direction.
        layers: pairs of GRUs, one over time and one over bands.
    """

    def __init__(
        self,
        sources: int = 2,
        window: int = 512,
        hop: int = 256,
        band_widths: tuple[int, ...] = (4,) * 16 + (8,) * 12 + (13,) * 7 + (6,),
        width: int = 48,
        hidden: int = 64,
        layers: int = 4,
    ) -> None:
        super().__init__()
        self.sources = sources
        self.stft = Stft(window, hop)
        if sum(band_widths) != self.stft.bins:
            raise ValueError(f"the bands hold {sum(band_widths)} bins, not {self.stft.bins}")
        self.band_widths = tuple(band_widths)
        self.encoders = nn.ModuleList(nn.Linear(3 * bins, width) for bins in band_widths)
        self.layers = nn.ModuleList(DualPath(width, hidden) for _ in range(layers))
        self.masks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * sources * bins))
            for bins in band_widths
        )

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate a mixture; scaling it scales the estimates alike.

        Shape:
            (batch, samples) to (batch, sources, samples).
        """
        level = mixture.square().mean(-1, keepdim=True).sqrt() + 1e-6  # (B, 1)
        spectrum = self.stft(mixture / level)  # (B, 2F, N)
        batch, _, frames = spectrum.shape
        parts = spectral_features(spectrum).reshape(batch, 3, -1, frames)  # (B, 3, F, N)
        bands = [
            encoder(part.flatten(1, 2).transpose(1, 2))  # (B, N, C)
            for encoder, part in zip(
                self.encoders, parts.split(self.band_widths, dim=2), strict=True
            )
        ]
        features = torch.stack(bands, dim=1)  # (B, K, N, C)
        for layer in self.layers:
            features = layer(features)
        masks = [
            head(band).reshape(batch, frames, 2 * self.sources, -1)  # (B, N, S*2, bins)
            for head, band in zip(self.masks, features.unbind(1), strict=True)
        ]
        joined = torch.cat(masks, dim=-1).flatten(2).transpose(1, 2)  # (B, S*2F, N)
        estimates = apply_masks(joined, spectrum, self.sources)  # (B*S, 2F, N)
        signals = self.stft.inverse(estimates, mixture.shape[-1])  # (B*S, T)
        return signals.reshape(batch, self.sources, -1) * level.unsqueeze(1)


class DualPath(nn.Module):
    """A GRU over time and a GRU over bands, each added to its input."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.time, self.band = Recurrent(width, hidden), Recurrent(width, hidden)

    def forward(self, features: Tensor) -> Tensor:
        """Shape: (batch, bands, frames, width), the same out."""
        batch, bands, frames, width = features.shape
        by_time = self.time(features.reshape(batch * bands, frames, width))
        by_band = by_time.reshape(batch, bands, frames, width).transpose(1, 2)
        by_band = self.band(by_band.reshape(batch * frames, bands, width))
        return by_band.reshape(batch, frames, bands, width).transpose(1, 2)


class Recurrent(nn.Module):
    """LayerNorm, a GRU in both directions, linear; added to its input."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.gru = nn.GRU(width, hidden, batch_first=True, bidirectional=True)
        self.contract = nn.Linear(2 * hidden, width)

    def forward(self, sequence: Tensor) -> Tensor:
        """Shape: (batch, steps, width), the same out."""
        return sequence + self.contract(self.gru(self.norm(sequence))[0])
