"""TIGER: bands of a spectrum, looked at along frequency and along time in turn.

The same two paths are run again and again: their weights are stored once.

References:
    Xu et al. 2024, "TIGER: Time-frequency Interleaved Gain Extraction and Reconstruction for
    Efficient Speech Separation".
"""

import torch
from torch import Tensor, nn

from vsat.networks.centred_stft import CentredStft
from vsat.networks.repeat import Repeat
from vsat.networks.tiger_path import Path, standardise

BANDS = ((40, 25.0), (10, 100.0), (8, 250.0), (8, 500.0))  # how many, and of how many Hz each

EPSILON = torch.finfo(torch.float32).eps  # of the norms of bands


class Tiger(nn.Module):
    """Complex masks on bands of the STFT; the estimates add up to the mixture.

    Args:
        sample_rate: Hz; the widths of the bands follow from it.
        sources: voices given out.
        window: samples of a frame, even.
        hop: samples between frames; divides `window`.
        width: features of a band.
        hidden: features inside the selection across scales.
        blocks: how often both paths are run.
        scales: resolutions of the selection, each half the one before.
        heads: of the attention; divides `width`.
        key_width: features of a query or key in a head.
    """

    def __init__(
        self,
        sample_rate: int = 16_000,
        sources: int = 2,
        window: int = 640,
        hop: int = 160,
        width: int = 128,
        hidden: int = 256,
        blocks: int = 8,
        scales: int = 5,
        heads: int = 4,
        key_width: int = 4,
    ) -> None:
        super().__init__()
        self.sources = sources
        groups = band_groups(sample_rate, window // 2 + 1)
        self.stft = CentredStft(window, hop)
        self.split = BandSplit(groups, width)
        frequency, time = (Path(width, hidden, scales, heads, key_width) for _ in range(2))
        self.rounds = Repeat(Round(frequency, time, width), blocks, open_axes=(0, 2))
        self.masks = BandMasks(groups, width, sources)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate a mixture.

        Shape:
            (batch, samples) to (batch, sources, samples).
        """
        batch, samples = mixture.shape
        spectrum = self.stft(mixture)  # (B, 2, N, F)
        bands = self.split(spectrum)  # (B, K, N, C)
        features = self.rounds(bands, bands)  # (B, K, N, C)
        masks = self.masks(features)  # (B, 2, S, N, F)
        masks = masks - masks.mean(2, keepdim=True)  # masks that add up to none
        real, imaginary = masks.unbind(1)  # (B, S, N, F)
        separated = multiply(spectrum, real + 1 / self.sources, imaginary)  # (B, S, 2, N, F)
        signals = self.stft.inverse(separated.flatten(0, 1), samples)  # (B*S, T)
        return signals.reshape(batch, self.sources, samples)


class Round(nn.Module):
    """Along frequency, then along time; before all but the first, the bands are seen again."""

    def __init__(self, frequency: Path, time: Path, width: int) -> None:
        super().__init__()
        self.frequency, self.time = frequency, time
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.activation = nn.PReLU()

    def forward(self, step: Tensor, bands: Tensor, features: Tensor) -> Tensor:
        """Shape: (), then (batch, bands, frames, width) twice, the same out."""
        again = self.activation((bands + features) * self.weight + self.bias)
        entering = torch.where(step > 0, again, bands)  # (B, K, N, C)
        along_frequency = self.frequency(entering.transpose(1, 2))  # (B, N, K, C)
        return self.time(along_frequency.transpose(1, 2))


class BandSplit(nn.Module):
    """Each band, normed over all of the recording, to features by a layer of its own.

    Bands of one width are one batch of matrix products.
    """

    def __init__(self, groups: list[tuple[int, int]], width: int) -> None:
        super().__init__()
        self.groups = groups
        self.weights = nn.ParameterList(
            uniform((count, 2 * bins, width), 2 * bins) for count, bins in groups
        )
        self.biases = nn.ParameterList(
            uniform((count, 1, width), 2 * bins) for count, bins in groups
        )

    def forward(self, spectrum: Tensor) -> Tensor:
        """Shape: (batch, 2, frames, bins) to (batch, bands, frames, width)."""
        parts = spectrum.split([count * bins for count, bins in self.groups], dim=-1)
        layers = zip(parts, self.groups, self.weights, self.biases, strict=True)
        return torch.cat(
            [normed_bands(part, *group) @ weight + bias for part, group, weight, bias in layers], 1
        )


def normed_bands(part: Tensor, count: int, bins: int) -> Tensor:
    """Bands of one width, each brought to mean 0 and variance 1 over all frames.

    Shape:
        (batch, 2, frames, count * bins) to (batch, count, frames, 2 * bins).
    """
    batch, _, frames, _ = part.shape
    bands = part.reshape(batch, 2, frames, count, bins).permute(0, 3, 2, 1, 4)  # (B, K, N, 2, W)
    normed = standardise(bands.reshape(batch * count, frames, 2 * bins), EPSILON)
    return normed.reshape(batch, count, frames, 2 * bins)


class BandMasks(nn.Module):
    """From the features of each band to masks for its bins, by a gated layer of its own."""

    def __init__(self, groups: list[tuple[int, int]], width: int, sources: int) -> None:
        super().__init__()
        self.sources, self.groups = sources, groups
        self.slopes = nn.ParameterList(torch.full((count, 1, 1), 0.25) for count, _ in groups)
        shapes = [(count, width // 2, 2 * sources * bins) for count, bins in groups]
        self.values, self.gates = (
            nn.ParameterList(uniform(shape, width // 2) for shape in shapes) for _ in range(2)
        )
        self.value_biases, self.gate_biases = (
            nn.ParameterList(
                uniform((count, 1, outputs), width // 2) for count, _, outputs in shapes
            )
            for _ in range(2)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Shape: (batch, bands, frames, width) to (batch, 2, sources, frames, bins)."""
        parts = features.split([count for count, _ in self.groups], dim=1)
        return torch.cat([self._group(part, index) for index, part in enumerate(parts)], -1)

    def _group(self, features: Tensor, index: int) -> Tensor:
        active = features.relu() - self.slopes[index] * (-features).relu()  # (B, K, N, C)
        one, other = active.chunk(2, dim=-1)  # (B, K, N, C/2)
        values = one @ self.values[index] + self.value_biases[index]  # (B, K, N, 2*S*W)
        gates = other @ self.gates[index] + self.gate_biases[index]
        batch, _, frames, _ = values.shape
        count, bins = self.groups[index]
        masks = values * gates.sigmoid()
        masks = masks.reshape(batch, count, frames, 2, self.sources, bins)
        return masks.permute(0, 3, 4, 2, 1, 5).flatten(-2)  # (B, 2, S, N, K*W)


def band_groups(sample_rate: int, bins: int) -> list[tuple[int, int]]:
    """How many bands there are of how many bins, from the lowest up.

    Bands are narrow where speech has its harmonics; what is left above is one band.

    Raises:
        ValueError: the transform is too coarse or too short for these bands.
    """
    groups = [(count, int(width_hz / (sample_rate / 2) * bins)) for count, width_hz in BANDS]
    left = bins - sum(count * each for count, each in groups)
    if left < 1 or any(each < 1 for _, each in groups):
        raise ValueError(f"{bins} bins at {sample_rate} Hz do not divide into bands")
    return [*groups, (1, left)]


def multiply(spectrum: Tensor, real: Tensor, imaginary: Tensor) -> Tensor:
    """A complex product.

    Shape:
        spectrum: (batch, 2, frames, bins); real, imaginary: (batch, sources, frames, bins);
        gives (batch, sources, 2, frames, bins).
    """
    one, other = spectrum.unsqueeze(1).unbind(2)  # (B, 1, N, F)
    return torch.stack([one * real - other * imaginary, one * imaginary + other * real], 2)


def uniform(shape: tuple[int, ...], inputs: int) -> nn.Parameter:
    """Random weights, as PyTorch begins a linear layer of so many inputs with."""
    bound = inputs**-0.5
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
