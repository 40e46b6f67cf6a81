"""RE-SepFormer: transformers within segments, told of the others by one over their means.

References:
    Della Libera et al. 2024, "Resource-efficient separation transformer".
"""

from torch import Tensor, nn
from torch.nn import functional

from vsat.networks.half_overlap import HalvedFilterbank
from vsat.networks.transformer import GlobalNorm, Transformer

EPS = 2.0**-23  # of the norms: the spacing of float32 at one


class ReSepFormer(nn.Module):
    """Masks over a learned filterbank.

    Args:
        sources: voices given out.
        kernel: samples of a filter, even; the hop is half of it.
        filters: of the filterbank, and features of a frame.
        segment: frames of a segment; segments do not overlap.
        blocks: transformers within segments; one over their means stands between each two.
        layers: of the transformers within and over segments.
        heads: of the attention.
        hidden: features inside a feed-forward.
        positional: whether the transformers within and over segments know where a step is.
    """

    def __init__(
        self,
        sources: int = 2,
        kernel: int = 16,
        filters: int = 128,
        segment: int = 150,
        blocks: int = 2,
        layers: tuple[int, int] = (8, 8),
        heads: int = 8,
        hidden: int = 1024,
        positional: tuple[bool, bool] = (True, True),
    ) -> None:
        super().__init__()
        self.sources, self.segment = sources, segment
        self.filterbank = HalvedFilterbank(filters, kernel)
        self.segments = nn.ModuleList(
            Normalised(Transformer(filters, heads, hidden, layers[0], positional[0]), filters)
            for _ in range(blocks)
        )
        self.memories = nn.ModuleList(
            Normalised(Transformer(filters, heads, hidden, layers[1], positional[1]), filters)
            for _ in range(blocks - 1)
        )
        self.activation = nn.PReLU()
        self.masks = nn.Linear(filters, sources * filters)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate a mixture.

        Shape:
            (batch, samples) to (batch, sources, samples).
        """
        encoded = self.filterbank.analyse(mixture)  # (B, N, F)
        features = self.activation(self.process(encoded))
        masks = functional.relu(self.masks(features))  # (B, N, S*F)
        masks = masks.reshape(*features.shape[:2], self.sources, -1)  # (B, N, S, F)
        return self.filterbank.synthesise(masks * encoded.unsqueeze(2), mixture.shape[1])

    def process(self, features: Tensor) -> Tensor:
        """The part that learns who speaks.

        Shape:
            (batch, frames, filters), the same out.
        """
        batch, frames, filters = features.shape
        spare = self.segment - frames % self.segment  # never none: as the published ones were made
        padded = functional.pad(features, (0, 0, 0, spare))
        segments = padded.reshape(-1, self.segment, filters)  # (B*G, L, F)
        for number, along_segments in enumerate(self.segments):
            segments = along_segments(segments)
            if number < len(self.memories):
                means = segments.mean(1).reshape(batch, -1, filters)  # (B, G, F)
                told = self.memories[number](means)
                segments = segments + told.reshape(-1, 1, filters)  # (B*G, L, F)
        return segments.reshape(batch, -1, filters)[:, :frames]


class Normalised(nn.Module):
    """A transformer and a norm over the whole sequence; added to its input."""

    def __init__(self, transformer: Transformer, width: int) -> None:
        super().__init__()
        self.transformer, self.norm = transformer, GlobalNorm(width, EPS)

    def forward(self, features: Tensor) -> Tensor:
        """Shape: (batch, steps, width), the same out."""
        return features + self.norm(self.transformer(features))
