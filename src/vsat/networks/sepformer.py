"""SepFormer: transformers within overlapping chunks and across them, in turn.

References:
    Subakan et al. 2021, "Attention is all you need in speech separation"; the chunks are those of
    Luo et al. 2020, "Dual-path RNN".
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from vsat.networks.half_overlap import HalvedFilterbank, overlap_add, overlapping_chunks
from vsat.networks.transformer import GlobalNorm, Transformer

EPS = 1e-8  # of the norms over a whole recording


class SepFormer(nn.Module):
    """Masks over a learned filterbank.

    Args:
        sources: voices given out.
        kernel: samples of a filter, even; the hop is half of it.
        filters: of the filterbank.
        width: features of a frame.
        chunk: frames of a chunk, even; chunks overlap by half.
        blocks: pairs of a transformer within chunks and one across them.
        layers: of the transformers within and across chunks.
        heads: of the attention.
        hidden: features inside a feed-forward.
        positional: whether the transformers within and across chunks know where a step is.
    """

    def __init__(
        self,
        sources: int = 2,
        kernel: int = 16,
        filters: int = 256,
        width: int = 256,
        chunk: int = 250,
        blocks: int = 2,
        layers: tuple[int, int] = (8, 8),
        heads: int = 8,
        hidden: int = 1024,
        positional: tuple[bool, bool] = (True, True),
    ) -> None:
        super().__init__()
        if chunk % 2:
            raise ValueError(f"a chunk of {chunk} frames has no half")
        self.sources, self.width, self.chunk = sources, width, chunk
        self.filterbank = HalvedFilterbank(filters, kernel)
        self.norm = GlobalNorm(filters, EPS)
        self.bottleneck = nn.Linear(filters, width, bias=False)
        self.blocks = nn.ModuleList(
            DualPath(
                Transformer(width, heads, hidden, layers[0], positional[0]),
                Transformer(width, heads, hidden, layers[1], positional[1]),
                width,
            )
            for _ in range(blocks)
        )
        self.activation = nn.PReLU()
        self.split = nn.Linear(width, sources * width)
        self.value = nn.Linear(width, width)
        self.gate = nn.Linear(width, width)
        self.masks = nn.Linear(width, filters, bias=False)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate a mixture; scaling it scales the estimates alike.

        Shape:
            (batch, samples) to (batch, sources, samples).
        """
        encoded = self.filterbank.analyse(mixture)  # (B, N, F)
        masks = self.estimate_masks(self.bottleneck(self.norm(encoded)))  # (B, N, S, F)
        return self.filterbank.synthesise(masks * encoded.unsqueeze(2), mixture.shape[1])

    def estimate_masks(self, features: Tensor) -> Tensor:
        """The part that learns who speaks.

        Shape:
            (batch, frames, width) to (batch, frames, sources, filters).
        """
        frames = features.shape[1]
        chunks = overlapping_chunks(features, self.chunk)  # (B, G, L, C)
        for block in self.blocks:
            chunks = block(chunks)
        merged = overlap_add(self.activation(chunks))[:, :frames]  # (B, N, C)
        shared = self.split(merged).unflatten(2, (self.sources, -1))
        gated = torch.tanh(self.value(shared)) * torch.sigmoid(self.gate(shared))  # (B, N, S, C)
        return functional.relu(self.masks(gated))


class DualPath(nn.Module):
    """A transformer along each chunk, then one along the same place of all chunks."""

    def __init__(self, within: Transformer, across: Transformer, width: int) -> None:
        super().__init__()
        self.within, self.within_norm = within, GlobalNorm(width, EPS)
        self.across, self.across_norm = across, GlobalNorm(width, EPS)

    def forward(self, chunks: Tensor) -> Tensor:
        """Shape: (batch, chunks, chunk, width), the same out."""
        chunks = chunks + self.within_norm(along_last_steps(self.within, chunks))
        turned = chunks.transpose(1, 2)  # (B, L, G, C)
        turned = turned + self.across_norm(along_last_steps(self.across, turned))
        return turned.transpose(1, 2)


def along_last_steps(transformer: Transformer, features: Tensor) -> Tensor:
    """Apply a transformer to each of several sequences.

    Shape:
        (batch, sequences, steps, width), the same out.
    """
    return transformer(features.flatten(0, 1)).reshape(features.shape)
