"""SuDoRM-RF improved: U-shaped blocks of depthwise convolutions at successive resolutions.

References:
    Tzinis et al. 2020, "Sudo rm -rf: Efficient networks for universal audio source separation", and
    2022, "Compute and memory efficient universal sound source separation".
"""

from torch import Tensor, nn
from torch.nn import functional


class SudoRmRf(nn.Module):
    """Masks over a learned filterbank.

    Args:
        sources: voices given out.
        kernel: samples of a filter, odd; the hop is half of it, rounded down.
        filters: of the filterbank.
        width: features between blocks.
        hidden: features inside a block.
        blocks: number of blocks.
        scales: resolutions inside a block, each half the one before.
    """

    def __init__(
        self,
        sources: int = 2,
        kernel: int = 41,
        filters: int = 256,
        width: int = 128,
        hidden: int = 256,
        blocks: int = 6,
        scales: int = 5,
    ) -> None:
        super().__init__()
        self.sources, self.kernel, self.hop, self.scales = sources, kernel, kernel // 2, scales
        self.encoder = nn.Conv1d(1, filters, kernel, stride=self.hop, bias=False)
        self.norm = nn.GroupNorm(1, filters)
        self.bottleneck = nn.Conv1d(filters, width, 1)
        self.blocks = nn.ModuleList(UBlock(width, hidden, scales) for _ in range(blocks))
        self.masks = nn.Sequential(nn.PReLU(), nn.Conv1d(width, sources * filters, 1))
        self.decoder = nn.ConvTranspose1d(filters, 1, kernel, stride=self.hop, bias=False)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate a mixture.

        Shape:
            (batch, samples) to (batch, sources, samples).
        """
        batch, samples = mixture.shape
        level = mixture.square().mean(-1, keepdim=True).sqrt() + 1e-6  # (B, 1)
        multiple = self.hop * 2 ** (self.scales - 1)
        spare = (-samples) % multiple + self.kernel - self.hop
        padded = functional.pad((mixture / level).unsqueeze(1), (0, spare))
        encoded = functional.relu(self.encoder(padded))  # (B, F, N)
        features = self.bottleneck(self.norm(encoded))  # (B, C, N)
        for block in self.blocks:
            features = block(features)
        masks = functional.relu(self.masks(features))  # (B, S*F, N)
        masks = masks.reshape(batch, self.sources, *encoded.shape[1:])  # (B, S, F, N)
        signals = self.decoder((masks * encoded.unsqueeze(1)).flatten(0, 1))  # (B*S, 1, T')
        return signals[:, 0, :samples].reshape(batch, self.sources, samples) * level.unsqueeze(1)


class UBlock(nn.Module):
    """Widen, go down through the resolutions, add them up on the way back, narrow."""

    def __init__(self, width: int, hidden: int, scales: int) -> None:
        super().__init__()
        self.expand = nn.Sequential(
            nn.Conv1d(width, hidden, 1), nn.GroupNorm(1, hidden), nn.PReLU()
        )
        self.down = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(hidden, hidden, 5, 1 if scale == 0 else 2, padding=2, groups=hidden),
                nn.GroupNorm(1, hidden),
            )
            for scale in range(scales)
        )
        self.contract = nn.Sequential(
            nn.GroupNorm(1, hidden), nn.PReLU(), nn.Conv1d(hidden, width, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Shape: (batch, width, frames), the same out; frames divide by 2 ** (scales - 1)."""
        levels: list[Tensor] = []
        current = self.expand(features)
        for down in self.down:
            current = down(current)
            levels.append(current)
        fused = levels.pop()
        while levels:
            fused = levels.pop() + functional.interpolate(fused, scale_factor=2.0, mode="nearest")
        return features + self.contract(fused)
