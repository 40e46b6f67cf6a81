"""A learned filterbank whose frames overlap by half, features last."""

from torch import Tensor, nn
from torch.nn import functional


class Filterbank(nn.Module):
    """Filters that analyse a mixture, and others that put signals together again.

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
