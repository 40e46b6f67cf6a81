"""A short-time Fourier transform with a Hann window, its frames centred on their times."""

import torch
from torch import Tensor
from torch.nn import functional

from vsat.networks.stft import Stft


class CentredStft(Stft):
    """Analysis with a Hann window, and the least-squares inverse.

    The signal is mirrored at both ends, so that the first frame is centred on the first sample.
    It agrees with `torch.stft` and `torch.istft` as they come, but takes signals of any length,
    and can be exported: then as matrix products.

    References:
        Griffin & Lim 1984, "Signal estimation from modified short-time Fourier transform".
    """

    def __init__(self, window: int, hop: int) -> None:
        super().__init__(window, hop)
        self.register_buffer("shape", torch.hann_window(window), persistent=False)  # (W,)

    def forward(self, signal: Tensor) -> Tensor:
        """Real and imaginary parts.

        Shape:
            (batch, samples) to (batch, 2, samples // hop + 1, bins).
        """
        padded = signal.index_select(1, self._places(signal))  # (B, T + W)
        if self.as_convolution:
            basis = self._basis().unsqueeze(1)  # (2F, 1, W)
            spectrum = functional.conv1d(padded.unsqueeze(1), basis, stride=self.hop)
            real, imaginary = spectrum.transpose(1, 2).split(self.bins, dim=-1)  # (B, N, F)
            return torch.stack([real, imaginary], 1)
        frames = padded.unfold(-1, self.window, self.hop) * self.shape  # (B, N, W)
        return torch.view_as_real(torch.fft.rfft(frames)).movedim(-1, 1)

    def inverse(self, spectrum: Tensor, length: int) -> Tensor:
        """The signal whose transform is nearest to this one, cut to `length`.

        Shape:
            (batch, 2, frames, bins) to (batch, samples).
        """
        if self.as_convolution:
            frames = spectrum.transpose(1, 2).flatten(-2) @ self._inverse_basis()  # (B, N, W)
        else:
            real, imaginary = spectrum.unbind(1)
            complex_frames = torch.complex(real.contiguous(), imaginary.contiguous())
            frames = torch.fft.irfft(complex_frames, n=self.window) * self.shape
        weights = self.shape.square().expand(1, frames.shape[1], -1)  # (1, N, W)
        signal = self._overlap_add(frames) / self._overlap_add(weights).clamp_min(1e-8)
        begin = self.window // 2
        return functional.pad(signal, (0, self.hop))[:, begin : begin + length]

    def _inverse_basis(self) -> Tensor:
        return super()._inverse_basis() * self.overlap

    def _places(self, signal: Tensor) -> Tensor:
        """Which sample stands where once the signal is mirrored at its ends, (samples + window,).

        They are counted along the signal, not from its length: so the exporter knows them to vary.
        """
        half = self.window // 2
        counted = torch.ones_like(functional.pad(signal[0], (half, half)), dtype=torch.int64)
        place = counted.cumsum(0) - 1 - half  # (T + W,)
        span = (signal.shape[1] - 1) + (signal.shape[1] == 1)
        mirrored = span - ((place.abs() % (2 * span)) - span).abs()
        return mirrored.minimum(
            torch.tensor(0) + signal.shape[1] - 1
        )  # a single sample mirrors to itself
