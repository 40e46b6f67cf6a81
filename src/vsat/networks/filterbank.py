"""A learned filterbank: samples to features and back, as matrix products over frames.

Features are `(batch, features, frames, 1)`. With the last axis of one, and only convolutions, norms
and activations between, OpenVINO keeps the features of a frame side by side in memory from end to
end; as `(batch, features, frames)` it turned them over before and after every norm, which took a
quarter of Conv-TasNet's time.

References:
    Luo & Mesgarani 2019, "Conv-TasNet: Surpassing ideal time-frequency magnitude masking for speech
    separation".
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Filterbank(nn.Module):
    """Analysis and synthesis filters, both learned and without biases.

    Args:
        filters: number of features.
        kernel: samples of a filter.
        hop: samples between frames.
        padding: zeros before the mixture and after it.
        multiple: the mixture is filled up with zeros to a multiple of so many samples; with 1,
            samples after the last whole frame are not seen, and the estimates end in zeros.
    """

    def __init__(
        self, filters: int, kernel: int, hop: int, padding: int = 0, multiple: int = 1
    ) -> None:
        super().__init__()
        self.kernel, self.hop, self.padding, self.multiple = kernel, hop, padding, multiple
        self.parts = -(-kernel // hop)  # hops that a filter reaches over
        self.analysis = nn.Linear(kernel, filters, bias=False)
        self.synthesis = nn.Linear(filters, kernel, bias=False)

    def forward(self, mixture: Tensor) -> Tensor:
        """Features of each frame; at least one frame.

        Shape:
            (batch, samples) to (batch, filters, frames, 1).
        """
        samples = mixture.shape[-1]
        spare = self.padding + (-samples) % self.multiple
        spare = spare + self.kernel * ((self.kernel - 1) // samples)  # 0 but for the shortest
        count = (self.padding + samples + spare - self.kernel) // self.hop + 1
        blocks = count + self.parts - 1
        padded = functional.pad(mixture, (self.padding, spare + self.parts * self.hop))
        hops = padded[:, : blocks * self.hop].reshape(-1, blocks, self.hop).transpose(1, 2)
        frames = torch.cat([hops[..., k : count + k] for k in range(self.parts)], 1)  # (B, K', N)
        weight = functional.pad(self.analysis.weight, (0, self._surplus))  # (F, K')
        return functional.conv2d(frames.unsqueeze(-1), weight[:, :, None, None])

    def inverse(self, features: Tensor, samples: int) -> Tensor:
        """Add up the filters, weighted by the features.

        Shape:
            (batch, filters, frames, 1) to (batch, samples).
        """
        weight = functional.pad(self.synthesis.weight, (0, 0, 0, self._surplus))  # (K', F)
        frames = functional.conv2d(features, weight[:, :, None, None]).squeeze(-1)  # (B, K', N)
        last = self.parts - 1
        pieces = frames.split(self.hop, 1)  # each (B, H, N)
        blocks = functional.pad(pieces[0], (0, last))  # (B, H, N + last)
        for number, piece in enumerate(pieces[1:], start=1):
            blocks = blocks + functional.pad(piece, (number, last - number))
        signal = blocks.transpose(1, 2).flatten(1)  # (B, T)
        # What comes after the last whole frame is silent.
        signal = functional.pad(signal, (0, self.hop + self.kernel))
        return signal[:, self.padding : self.padding + samples]

    @property
    def _surplus(self) -> int:
        """Zeros that bring a filter to whole hops."""
        return self.parts * self.hop - self.kernel
