"""SkiM: LSTMs over segments, whose memories are passed on by LSTMs over the segments.

References:
    Li et al. 2022, "SkiM: Skipping memory LSTM for low-latency real-time continuous speech
    separation".
"""

from torch import Tensor, nn
from torch.nn import functional


class Skim(nn.Module):
    """Masks over a learned filterbank.

    Args:
        sources: voices given out.
        kernel: samples of a filter; the hop is half of it.
        width: filters, and features of a frame.
        hidden: units of an LSTM, each direction.
        segment: frames of a segment.
        layers: segment LSTMs; a memory LSTM stands between each two.
    """

    def __init__(
        self,
        sources: int = 2,
        kernel: int = 64,
        width: int = 96,
        hidden: int = 96,
        segment: int = 125,
        layers: int = 3,
    ) -> None:
        super().__init__()
        self.sources, self.kernel, self.hop, self.segment = sources, kernel, kernel // 2, segment
        self.encoder = nn.Conv1d(1, width, kernel, stride=self.hop, bias=False)
        self.norm = nn.GroupNorm(1, width)
        self.segments = nn.ModuleList(SegmentLstm(width, hidden) for _ in range(layers))
        self.memories = nn.ModuleList(MemoryLstm(hidden) for _ in range(layers - 1))
        self.masks = nn.Linear(width, sources * width)
        self.decoder = nn.ConvTranspose1d(width, 1, kernel, stride=self.hop, bias=False)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate a mixture.

        Shape:
            (batch, samples) to (batch, sources, samples).
        """
        batch, samples = mixture.shape
        level = mixture.square().mean(-1, keepdim=True).sqrt() + 1e-6  # (B, 1)
        chunk = self.segment * self.hop
        spare = (-samples) % chunk + self.kernel - self.hop
        padded = functional.pad((mixture / level).unsqueeze(1), (0, spare))
        encoded = functional.relu(self.encoder(padded))  # (B, C, N)
        count = encoded.shape[-1] // self.segment
        features = self.norm(encoded).transpose(1, 2)  # (B, N, C)
        features = features.reshape(batch * count, self.segment, -1)  # (B*G, L, C)
        state = None
        for number, layer in enumerate(self.segments):
            features, state = layer(features, state)
            if number < len(self.memories):
                state = self.memories[number](state, batch)
        masks = functional.relu(self.masks(features)).reshape(
            batch, -1, self.sources, encoded.shape[1]
        )
        masked = masks.permute(0, 2, 3, 1) * encoded.unsqueeze(1)  # (B, S, C, N)
        signals = self.decoder(masked.flatten(0, 1))[:, 0, :samples]  # (B*S, T)
        return signals.reshape(batch, self.sources, samples) * level.unsqueeze(1)


State = tuple[Tensor, Tensor]


class SegmentLstm(nn.Module):
    """An LSTM within a segment, linear, normalised; added to its input."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, hidden, batch_first=True, bidirectional=True)
        self.contract = nn.Linear(2 * hidden, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, features: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Shape: (batch * segments, frames, width) and states (2, batch * segments, hidden)."""
        hidden, state = self.lstm(features, state)
        return features + self.norm(self.contract(hidden)), state


class MemoryLstm(nn.Module):
    """Passes the last states of segments on along the whole recording."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            nn.LSTM(2 * hidden, hidden, batch_first=True, bidirectional=True) for _ in range(2)
        )
        self.contracts = nn.ModuleList(nn.Linear(2 * hidden, 2 * hidden) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(2 * hidden) for _ in range(2))

    def forward(self, state: State, batch: int) -> State:
        """Shape: two tensors (2, batch * segments, hidden), the same out."""
        passed = []
        for one, path, contract, norm in zip(
            state, self.paths, self.contracts, self.norms, strict=True
        ):
            flat = one.transpose(0, 1).reshape(batch, -1, 2 * one.shape[-1])  # (B, G, 2H)
            flat = flat + norm(contract(path(flat)[0]))
            passed.append(flat.reshape(-1, 2, one.shape[-1]).transpose(0, 1).contiguous())
        return passed[0], passed[1]
