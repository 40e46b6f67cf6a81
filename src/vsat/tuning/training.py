"""The training loop: resumable from one small file, on a CPU or one GPU.

A checkpoint holds the weights in float32 and their running average in float16: six bytes a
parameter, small enough to carry a run to another machine. The moments of the optimiser are left
behind; they are found again while the rate warms up.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

from vsat.files import replace_atomically
from vsat.networks import build
from vsat.tuning.losses import clustering_loss, separation_loss
from vsat.tuning.mixing import Mixer

Batch = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class TrainingConfig:
    """What is trained, and how.

    Attributes:
        architecture: a name of `networks.ARCHITECTURES`.
        parameters: of the architecture.
        batch_size: mixtures a step.
        learning_rate: after warm-up.
        warm_up_steps: over which the rate rises from nothing.
        averaging: of the weights' running average, per step, once it has warmed up.
        clip_norm: of the gradient.
        weight_decay: of AdamW.
        clustering: weight of the auxiliary clustering loss, 0 for none; the network must be one
            that has an `stft` and a last `norm` over (batch, frames, width).
    """

    architecture: str
    parameters: dict[str, Any] = field(default_factory=dict)
    batch_size: int = 8
    learning_rate: float = 1e-3
    warm_up_steps: int = 300
    averaging: float = 0.999
    clip_norm: float = 1.0
    weight_decay: float = 1e-2
    clustering: float = 0.0


class Training:
    """One run: network, its running average, optimiser, and how far it has come.

    Args:
        config: what is trained, and how.
        device: of the network.
    """

    def __init__(self, config: TrainingConfig, device: str = "cpu", seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.config, self.device = config, device
        self.network = build(config.architecture, config.parameters).to(device)
        self.average = {k: v.detach().clone() for k, v in self.network.named_parameters()}
        self.clustering = Clustering(self.network) if config.clustering else None
        self.optimiser = torch.optim.AdamW(
            self._parameters(),
            lr=config.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.step = 0
        self._since_start = 0
        self.audio_s = 0.0
        self.train_s = 0.0
        self._run: Callable[[Tensor], Tensor] = self.network

    def _parameters(self) -> list[nn.Parameter]:
        return [value for _, value in self._named()]

    def _named(self) -> list[tuple[str, nn.Parameter]]:
        """All that is trained; the clustering head is, but it is no part of the network."""
        named = list(self.network.named_parameters())
        if self.clustering is not None:
            named += self.clustering.head.named_parameters("clustering")
        return named

    def compile(self) -> None:
        """Let PyTorch fuse the network's small operations; the first step takes a minute.

        Transforms stay as they are where the network keeps them apart from what learns.
        """
        network: Any = self.network
        if hasattr(network, "estimate_masks"):
            network.estimate_masks = torch.compile(network.estimate_masks)
        else:
            self._run = torch.compile(network)

    def take_step(self, batch: Batch, sample_rate: int, rate_factor: float = 1.0) -> float:
        """One step of the optimiser.

        Returns:
            The loss in dB before the step.
        """
        begin = time.perf_counter()
        mixture, references = (torch.from_numpy(one).to(self.device) for one in batch)
        rate = self.config.learning_rate * rate_factor
        for group in self.optimiser.param_groups:
            group["lr"] = rate * min(1.0, (self._since_start + 1) / self.config.warm_up_steps)
        loss = separation_loss(self._run(mixture), references, mixture)
        total = loss
        if self.clustering is not None:
            total = loss + self.config.clustering * self.clustering.loss(mixture, references)
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        norm = nn.utils.clip_grad_norm_(self._parameters(), self.config.clip_norm)
        if math.isfinite(float(norm)):
            self.optimiser.step()
            self._update_average()
        self.step += 1
        self._since_start += 1
        processes = distributed.get_world_size() if distributed.is_initialized() else 1
        self.audio_s += processes * mixture.numel() / sample_rate
        self.train_s += time.perf_counter() - begin
        return float(loss.detach())

    @torch.no_grad()
    def share(self) -> None:
        """Average the weights with the other processes of a distributed run.

        Each process takes some steps by itself before that; on processors without fast links this
        keeps them busy where sharing every gradient would not (Stich 2019, "Local SGD").
        """
        if not distributed.is_initialized():
            return
        tensors = [*self._parameters(), *self.average.values()]
        flat = torch.cat([one.detach().flatten() for one in tensors])
        distributed.all_reduce(flat)
        flat /= distributed.get_world_size()
        for one, mean in zip(tensors, flat.split([one.numel() for one in tensors]), strict=True):
            one.copy_(mean.view_as(one))

    @torch.no_grad()
    def _update_average(self) -> None:
        keep = min(self.config.averaging, (self.step + 1) / (self.step + 10))
        for name, value in self.network.named_parameters():
            self.average[name].lerp_(value, 1 - keep)

    def averaged_network(self) -> nn.Module:
        """A copy of the network with the running average as its weights, for evaluation."""
        network = build(self.config.architecture, self.config.parameters)
        network.load_state_dict({k: v.cpu() for k, v in self.average.items()}, strict=False)
        return network.eval()

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        content = {
            "config": json.dumps(asdict(self.config)),
            "weights": dict(self._named()),
            "average": {k: v.half() for k, v in self.average.items()},
            "step": self.step,
            "audio_s": self.audio_s,
            "train_s": self.train_s,
        }
        with replace_atomically(path) as staged:
            torch.save(content, staged)

    @classmethod
    def resume(cls, path: Path, device: str = "cpu", **changes: Any) -> "Training":
        """Continue from a checkpoint, with `changes` to its configuration."""
        content = torch.load(path, map_location=device, weights_only=True)
        config = TrainingConfig(**{**json.loads(content["config"]), **changes})
        training = cls(config, device)
        with torch.no_grad():
            for name, value in training._named():
                value.copy_(content["weights"][name])
        training.average = {k: v.float() for k, v in content["average"].items()}
        training.step = content["step"]
        training.audio_s, training.train_s = content["audio_s"], content["train_s"]
        return training


class Clustering:
    """An auxiliary head on the network's last features, trained with them and then dropped.

    Args:
        network: with an `stft` and a last `norm` over (batch, frames, width).
    """

    DIMENSION = 16  # of an embedding
    GROUP = 2  # neighbouring bins that share an embedding
    HIGHEST_HZ = 4_000  # above it, cells say little of who speaks

    def __init__(self, network: Any) -> None:
        self._stft = network.stft
        self.n_groups = round(network.stft.bins * self.HIGHEST_HZ / 8_000) // self.GROUP
        width = network.norm.normalized_shape[0]
        self.head = nn.Linear(width, self.n_groups * self.DIMENSION)
        self._features: Tensor | None = None
        network.norm.register_forward_hook(self._keep)

    def _keep(self, _module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self._features = output

    def loss(self, mixture: Tensor, references: Tensor) -> Tensor:
        """Shape: (batch, samples) and (batch, sources, samples); a scalar out."""
        if self._features is None:
            raise RuntimeError("the network has not run")
        batch, sources, _ = references.shape
        with torch.no_grad():
            power = self._power(references.flatten(0, 1)).unflatten(0, (batch, sources))
            dominance = functional.one_hot(power.argmax(1), sources).float()  # (B, M, S)
            total = self._power(mixture)  # (B, M)
            weights = total**0.25  # the square root of the magnitude
            weights = weights * (total > 1e-4 * total.amax(1, keepdim=True))
        embeddings = self.head(self._features).reshape(batch, -1, self.DIMENSION)  # (B, M, D)
        return clustering_loss(embeddings, dominance, weights)

    def _power(self, signals: Tensor) -> Tensor:
        """Power of groups of bins: (batch, samples) to (batch, frames * groups)."""
        real, imaginary = self._stft(signals).chunk(2, dim=1)  # (B, F, N)
        power = (real.square() + imaginary.square())[:, : self.n_groups * self.GROUP]
        grouped = power.unflatten(1, (self.n_groups, self.GROUP)).sum(2)  # (B, G, N)
        return grouped.transpose(1, 2).flatten(1)


class Prefetched:
    """Draws the next batch while the present one is in use."""

    def __init__(self, mixer: Mixer, size: int) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self._mixer, self._size = mixer, size
        self._pool = ThreadPoolExecutor(1)
        self._next = self._pool.submit(mixer.batch, size)

    def __next__(self) -> Batch:
        batch = self._next.result()
        self._next = self._pool.submit(self._mixer.batch, self._size)
        return batch

    def close(self) -> None:
        """Stop drawing."""
        self._pool.shutdown(cancel_futures=True)
