"""Dual-path RNN: over the frames of a segment, then over the segments, again and again.

References:
    Luo, Chen & Yoshioka 2020, "Dual-path RNN: efficient long sequence modeling for time-domain
    single-channel speech separation"; Nachmani, Adi & Wolf 2020, "Voice separation with an unknown
    number of multiple speakers" for the product of two RNNs.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from vsat.networks.activations import activation
from vsat.networks.filterbank import Filterbank
from vsat.networks.normalisation import ChannelNorm, FeatureNorm, GlobalNorm, Norm

CELLS: dict[str, Callable[..., nn.RNNBase]] = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn": nn.RNN}
NORMS: dict[str, type[Norm]] = {
    "channel": ChannelNorm,
    "feature": FeatureNorm,
    "global": GlobalNorm,
}
SOFTMAX = "softmax"


class Dprnn(nn.Module):
    """Masks over a learned filterbank.

    Args:
        sources: voices given out.
        filters: of the filterbank.
        kernel: samples of a filter.
        hop: samples between frames.
        width: features between blocks.
        hidden: units of an RNN, each direction.
        segment: frames of a segment.
        segment_hop: frames between segments; divides `segment`.
        blocks: number of pairs of RNNs.
        cell: one of `CELLS`.
        layers: of an RNN.
        product: whether two RNNs are multiplied, and what goes in is put beside what comes out.
        bidirectional: whether the RNNs over segments look ahead, as those within them always do.
        dropout: between the layers of an RNN, while it is trained.
        norm_name: one of `NORMS`.
        encoder_activation: one of `activations.ACTIVATIONS`.
        mask_activation: one of those, or "softmax", here over the features of a source.
    """

    def __init__(
        self,
        sources: int = 2,
        filters: int = 64,
        kernel: int = 16,
        hop: int = 8,
        width: int = 128,
        hidden: int = 128,
        segment: int = 100,
        segment_hop: int = 50,
        blocks: int = 6,
        cell: str = "lstm",
        layers: int = 1,
        product: bool = False,
        bidirectional: bool = True,
        dropout: float = 0.0,
        norm_name: str = "global",
        encoder_activation: str = "linear",
        mask_activation: str = "sigmoid",
    ) -> None:
        super().__init__()
        if segment % segment_hop:
            raise ValueError(f"segments of {segment} frames don't divide into {segment_hop}")
        if norm_name not in NORMS or cell not in CELLS:
            raise ValueError(f"there is no norm {norm_name!r} or no cell {cell!r} of that name")
        self.sources, self.segment, self.segment_hop = sources, segment, segment_hop
        self.filterbank = Filterbank(filters, kernel, hop)
        self.encoder_activation = activation(encoder_activation)
        self.norm = NORMS[norm_name](filters, -1)
        self.bottleneck = nn.Linear(filters, width)

        def path(both: bool) -> Path:
            rnn = Recurrent(CELLS[cell], width, hidden, layers, both, dropout, product)
            return Path(rnn, width, NORMS[norm_name](width, -1))

        self.blocks = nn.ModuleList(Block(path(True), path(bidirectional)) for _ in range(blocks))
        self.activation = nn.PReLU()
        self.voices = nn.Linear(width, sources * width)
        self.value, self.gate = nn.Linear(width, width), nn.Linear(width, width)
        self.scores = nn.Linear(width, filters, bias=False)
        self.masks = nn.Softmax(-1) if mask_activation == SOFTMAX else activation(mask_activation)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate a mixture.

        Shape:
            (batch, samples) to (batch, sources, samples).
        """
        encoded = self.encoder_activation(self.filterbank(mixture))  # (B, F, N, 1)
        frames = encoded.squeeze(-1).transpose(1, 2)  # (B, N, F)
        segments = self._cut(self.bottleneck(self.norm(frames)))  # (B, L, K, C)
        for block in self.blocks:
            segments = block(segments)
        joined = self._join(self.activation(segments), frames.shape[1])  # (B, N, C)
        voices = self.voices(joined).unflatten(-1, (self.sources, -1))  # (B, N, S, C)
        signals = [self._estimate(voice, frames, mixture.shape[-1]) for voice in voices.unbind(2)]
        return torch.stack(signals, 1)

    def _estimate(self, voice: Tensor, frames: Tensor, samples: int) -> Tensor:
        """(batch, frames, width) and (batch, frames, filters) to (batch, samples)."""
        gated = torch.tanh(self.value(voice)) * torch.sigmoid(self.gate(voice))
        masked = self.masks(self.scores(gated)) * frames  # (B, N, F)
        return self.filterbank.inverse(masked.transpose(1, 2).unsqueeze(-1), samples)

    def _cut(self, frames: Tensor) -> Tensor:
        """Overlapping segments, with one of silence before and after, as far as they are whole.

        Shape:
            (batch, frames, width) to (batch, segments, segment, width).
        """
        count, parts = frames.shape[1], self.segment // self.segment_hop
        segments = (count + self.segment) // self.segment_hop + 1
        after = (segments + parts - 1) * self.segment_hop - self.segment - count
        padded = functional.pad(frames, (0, 0, self.segment, after))
        pieces = padded.unflatten(1, (-1, self.segment_hop))  # (B, L + parts - 1, H, C)
        return torch.cat([pieces[:, k : segments + k] for k in range(parts)], 2)

    def _join(self, segments: Tensor, count: int) -> Tensor:
        """Add up the segments where they overlap: each frame lies in as many as have parts.

        Shape:
            (batch, segments, segment, width) to (batch, count, width).
        """
        parts = self.segment // self.segment_hop
        shifted = [
            functional.pad(piece, (0, 0, 0, 0, k, parts - 1 - k))
            for k, piece in enumerate(segments.split(self.segment_hop, 2))
        ]
        whole = shifted[0]  # (B, L + parts - 1, H, C)
        for piece in shifted[1:]:
            whole = whole + piece
        return whole.flatten(1, 2)[:, self.segment : self.segment + count]


class Block(nn.Module):
    """Along the frames of each segment, then along the segments."""

    def __init__(self, within: "Path", across: "Path") -> None:
        super().__init__()
        self.within, self.across = within, across

    def forward(self, segments: Tensor) -> Tensor:
        """Shape: (batch, segments, segment, width), the same out."""
        turned = self.within(segments).transpose(1, 2)  # (B, K, L, C)
        return self.across(turned).transpose(1, 2)


class Path(nn.Module):
    """An RNN along the last axis but one, linear, norm; added to its input."""

    def __init__(self, rnn: "Recurrent", width: int, norm: nn.Module) -> None:
        super().__init__()
        self.rnn, self.norm = rnn, norm
        self.contract = nn.Linear(rnn.outputs, width)

    def forward(self, sequences: Tensor) -> Tensor:
        """Shape: (batch, sequences, steps, width), the same out."""
        _, count, steps, width = sequences.shape
        mixed = self.contract(self.rnn(sequences.reshape(-1, steps, width)))
        normed: Tensor = self.norm(mixed.reshape(-1, count, steps, width))
        return sequences + normed


class Recurrent(nn.Module):
    """An RNN, or the product of two beside what went in."""

    def __init__(
        self,
        cell: Callable[..., nn.RNNBase],
        width: int,
        hidden: int,
        layers: int,
        bidirectional: bool,
        dropout: float,
        product: bool,
    ) -> None:
        super().__init__()
        self.cells = nn.ModuleList(
            cell(
                width,
                hidden,
                num_layers=layers,
                batch_first=True,
                bidirectional=bidirectional,
                dropout=dropout,
            )
            for _ in range(2 if product else 1)
        )
        given = hidden * (2 if bidirectional else 1)
        self.outputs = given + width if product else given

    def forward(self, sequences: Tensor) -> Tensor:
        """Shape: (batch, steps, width) to (batch, steps, outputs)."""
        found: list[Tensor] = [cell(sequences)[0] for cell in self.cells]
        return found[0] if len(found) == 1 else torch.cat([found[0] * found[1], sequences], -1)
