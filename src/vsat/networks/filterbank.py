"""A learned filterbank: samples to features and back, as matrix products over frames.

Features are `(batch, features, frames, 1)`. With the last axis of one and only convolutions and
norms between, engines keep the features of a frame side by side in memory from end to end; as
`(batch, features, frames)` OpenVINO turned them over before and after every norm, which took a
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

    identity: Tensor

    def __init__(
        self, filters: int, kernel: int, hop: int, padding: int = 0, multiple: int = 1
    ) -> None:
        super().__init__()
        self.kernel, self.hop, self.padding, self.multiple = kernel, hop, padding, multiple
        self.analysis = nn.Conv2d(1, filters, (kernel, 1), stride=(hop, 1), bias=False)
        self.synthesis = nn.Conv2d(filters, kernel, 1, bias=False)
        identity = torch.eye(kernel).reshape(kernel, 1, kernel, 1)
        self.register_buffer("identity", identity, persistent=False)

    def forward(self, mixture: Tensor) -> Tensor:
        """Features of each frame; at least one frame.

        Shape:
            (batch, samples) to (batch, filters, frames, 1).
        """
        samples = mixture.shape[-1]
        spare = self.padding + (-samples) % self.multiple
        spare = spare + self.kernel * ((self.kernel - 1) // samples)  # 0 but for the shortest
        padded = functional.pad(mixture, (self.padding, spare))  # (B, T)
        encoded: Tensor = self.analysis(padded.unsqueeze(1).unsqueeze(-1))
        return encoded

    def inverse(self, features: Tensor, samples: int) -> Tensor:
        """Add up the filters, weighted by the features.

        Shape:
            (batch, filters, frames, 1) to (batch, samples).
        """
        frames = self.synthesis(features)  # (B, K, N, 1)
        signal = functional.conv_transpose2d(frames, self.identity, stride=(self.hop, 1))
        # What comes after the last whole frame is silent.
        signal = functional.pad(signal[:, 0, :, 0], (0, self.hop + self.kernel))  # (B, T)
        return signal[:, self.padding : self.padding + samples]
