"""Frames of samples and chunks of frames that overlap by half, features last."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class HalvedFilterbank(nn.Module):
    """Learned filters that analyse a mixture, and others that put signals together again.

    Args:
        filters: how many.
        kernel: samples of a filter, even; the hop is half of it.
    """

    def __init__(self, filters: int, kernel: int) -> None:
        super().__init__()
        if kernel % 2:
            raise ValueError(f"a filter of {kernel} samples has no half")
        self.kernel, self.hop = kernel, kernel // 2
        self.encoder = nn.Conv1d(1, filters, kernel, stride=self.hop, bias=False)
        self.decoder = nn.ConvTranspose1d(filters, 1, kernel, stride=self.hop, bias=False)

    def analyse(self, mixture: Tensor) -> Tensor:
        """Whole frames only; a mixture that is shorter than one is made as long with zeros.

        Shape:
            (batch, samples) to (batch, frames, filters).
        """
        samples = mixture.shape[1]
        missing = (self.kernel - samples) * (samples < self.kernel)  # traced, so no condition
        padded = functional.pad(mixture, (0, missing))
        return functional.relu(self.encoder(padded.unsqueeze(1))).transpose(1, 2)

    def synthesise(self, spectra: Tensor, samples: int) -> Tensor:
        """What lies after the last whole frame becomes zeros.

        Shape:
            (batch, frames, sources, filters) to (batch, sources, samples).
        """
        batch, frames, sources, filters = spectra.shape
        stacked = spectra.permute(0, 2, 3, 1).reshape(-1, filters, frames)  # (B*S, F, N)
        signals = functional.pad(self.decoder(stacked), (0, self.hop))[..., :samples]
        return signals.reshape(batch, sources, samples)


def overlapping_chunks(features: Tensor, chunk: int) -> Tensor:
    """Cut into chunks that overlap by half, so that each frame lies in exactly two.

    Half a chunk of zeros goes before, and at least as much after.

    Shape:
        (batch, frames, width) to (batch, chunks, chunk, width).
    """
    batch, frames, width = features.shape
    half = chunk // 2
    spare = chunk - (frames + half) % chunk
    padded = functional.pad(features, (0, 0, half, spare + half))
    halves = padded.reshape(batch, -1, half, width)  # (B, G + 1, L/2, C)
    return torch.cat([halves[:, :-1], halves[:, 1:]], dim=2)


def overlap_add(chunks: Tensor) -> Tensor:
    """Add up chunks that overlap by half; what was put before the first frame is gone.

    Shape:
        (batch, chunks, chunk, width) to (batch, frames, width), with what was put after the last.
    """
    first, second = chunks.chunk(2, dim=2)  # (B, G, L/2, C)
    return (second[:, :-1] + first[:, 1:]).flatten(1, 2)
