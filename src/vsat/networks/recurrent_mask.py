"""LSTMs over the frames of an STFT, a layer after another, each added to its input.

Nearly all of its work is in the matrix products of a few LSTMs at about thirty frames a second,
which a processor trains and runs close to its peak; and a memory over the whole stretch is what
tells which voice is whose.

References:
    Kolbæk et al. 2017, "Multitalker speech separation with utterance-level permutation invariant
    training of deep recurrent neural networks".
"""

import torch
from torch import Tensor, nn

from vsat.networks.frame_mask import apply_shares
from vsat.networks.stft import Stft


class RecurrentMask(nn.Module):
    """Shares of each cell of the spectrum, from bidirectional LSTMs.

    Args:
        sources: voices given out.
        window: samples in an STFT frame.
        hop: samples between frames.
        width: features of a frame between layers.
        hidden: units of an LSTM, each direction.
        layers: number of LSTMs.
    """

    def __init__(
        self,
        sources: int = 2,
        window: int = 1024,
        hop: int = 512,
        width: int = 192,
        hidden: int = 192,
        layers: int = 3,
    ) -> None:
        super().__init__()
        self.sources = sources
        self.stft = Stft(window, hop)
        self.encoder = nn.Linear(self.stft.bins, width)
        self.layers = nn.ModuleList(Layer(width, hidden) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.masks = nn.Linear(width, sources * self.stft.bins)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate a mixture; scaling it scales the estimates alike, and they add up to it.

        Shape:
            (batch, samples) to (batch, sources, samples).
        """
        level = mixture.square().mean(-1, keepdim=True).sqrt() + 1e-6  # (B, 1)
        spectrum = self.stft(mixture / level)  # (B, 2F, N)
        real, imaginary = spectrum.chunk(2, dim=1)  # (B, F, N)
        power = real * real + imaginary * imaginary + 1e-3
        hidden = self.encoder(0.25 * torch.log(power).transpose(1, 2))  # (B, N, C)
        for layer in self.layers:
            hidden = layer(hidden)
        masks = self.masks(self.norm(hidden)).transpose(1, 2)  # (B, S*F, N)
        estimates = apply_shares(masks, spectrum, self.sources)  # (B*S, 2F, N)
        signals = self.stft.inverse(estimates, mixture.shape[-1])  # (B*S, T)
        return signals.reshape(-1, self.sources, mixture.shape[-1]) * level.unsqueeze(1)


class Layer(nn.Module):
    """LayerNorm, an LSTM in both directions, linear; added to its input."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.lstm = nn.LSTM(width, hidden, batch_first=True, bidirectional=True)
        self.contract = nn.Linear(2 * hidden, width)

    def forward(self, features: Tensor) -> Tensor:
        """Shape: (batch, frames, width), the same out."""
        mixed: Tensor = self.contract(self.lstm(self.norm(features))[0])
        return features + mixed
