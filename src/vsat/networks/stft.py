"""Short-time Fourier transform and its inverse, by FFT or as convolutions.

By FFT they are quick to train with; as convolutions they can live in an exported graph.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class Stft(nn.Module):
    """Analysis and synthesis with the square root of a Hann window; they invert one another.

    Args:
        window: samples in a frame, even.
        hop: samples between frames; divides `window`.

    Attributes:
        as_convolution: whether to compute by convolution instead of by FFT; set it to export.
    """

    shape: Tensor
    cosines: Tensor
    sines: Tensor
    time: Tensor

    def __init__(self, window: int, hop: int) -> None:
        super().__init__()
        self.window, self.hop = window, hop
        self.bins = window // 2 + 1
        self.overlap = window / hop / 2  # what squared windows add up to
        self.as_convolution = False
        angle = 2 * math.pi * torch.arange(window, dtype=torch.float64) / window  # (W,)
        for name, value in {
            "shape": torch.hann_window(window, dtype=torch.float64).sqrt(),
            "cosines": angle.cos(),
            "sines": -angle.sin(),
        }.items():
            self.register_buffer(name, value.float(), persistent=False)  # (W,)
        self.register_buffer("time", torch.arange(window), persistent=False)  # (W,)

    def _basis(self) -> Tensor:
        """The transform as a matrix, (2 * bins, window).

        It is made from one period of each function, here and in an exported graph, which would
        otherwise hold a matrix larger than the whole network.
        """
        phase = (self.time[: self.bins].unsqueeze(1) * self.time) % self.window  # (F, W)
        return torch.cat([self.cosines[phase], self.sines[phase]]) * self.shape

    def _inverse_basis(self) -> Tensor:
        edges = (self.time[: self.bins] % (self.bins - 1) == 0).float()  # without mirror images
        counted = (2 - edges).unsqueeze(1) / (self.window * self.overlap)  # (F, 1)
        return self._basis() * torch.cat([counted, counted])

    def forward(self, signal: Tensor) -> Tensor:
        """Real and imaginary parts.

        Shape:
            (batch, samples) to (batch, 2 * bins, frames), the real parts first.
        """
        padded = functional.pad(signal, (self.window, self.window + self.hop))  # (B, T)
        if self.as_convolution:
            return functional.conv1d(
                padded.unsqueeze(1), self._basis().unsqueeze(1), stride=self.hop
            )
        frames = padded.unfold(-1, self.window, self.hop) * self.shape  # (B, N, W)
        spectrum = torch.fft.rfft(frames)  # (B, N, F)
        return torch.cat([spectrum.real, spectrum.imag], -1).transpose(1, 2)

    def inverse(self, spectrum: Tensor, length: int) -> Tensor:
        """The signal that `forward` came from, cut to `length`.

        Shape:
            (batch, 2 * bins, frames) to (batch, samples).
        """
        if self.as_convolution:
            basis = self._inverse_basis().unsqueeze(1)  # (2F, 1, W)
            signal = functional.conv_transpose1d(spectrum, basis, stride=self.hop)[:, 0]
        else:
            real, imaginary = spectrum.transpose(1, 2).chunk(2, dim=-1)  # (B, N, F)
            frames = torch.fft.irfft(torch.complex(real, imaginary), n=self.window)
            signal = self._overlap_add(frames * (self.shape / self.overlap))
        return signal[:, self.window : self.window + length]

    def _overlap_add(self, frames: Tensor) -> Tensor:
        """(batch, frames, window) to (batch, samples)."""
        batch, count, _ = frames.shape
        parts = frames.reshape(batch, count, self.window // self.hop, self.hop).unbind(2)
        last = len(parts) - 1
        shifted = [functional.pad(one, (0, 0, k, last - k)) for k, one in enumerate(parts)]
        return torch.stack(shifted).sum(0).reshape(batch, -1)  # (B, (N + last) * H)
