"""Losses for separation: scale-invariant SDR with a floor, under the best permutation.

References:
    SI-SDR: Le Roux et al. 2019, "SDR - half-baked or well done?".
    Permutation-invariant training: Kolbæk et al. 2017.
    The floor (soft threshold): Wisdom et al. 2020, "MixIT", equation 2.
"""

from itertools import permutations

import torch
from torch import Tensor
from torch.nn import functional

FLOOR = 1e-3  # an error 30 dB below the reference counts as none: easy examples stop pulling
SILENT_POWER = 1e-8  # mean square below which a reference is silence, -80 dBFS
SNR_SHARE = 0.3  # of the loss; keeps the level of the estimates true, which SI-SDR leaves free


def pairwise_loss(estimates: Tensor, references: Tensor, mixture: Tensor) -> Tensor:
    """Loss of every estimate against every reference, in dB, lower is better.

    For an active reference, minus the SI-SDR (and a share of minus the SNR) with `FLOOR`. For a
    silent one, the power of the estimate over that of the mixture, with the same floor.

    Shape:
        estimates, references: (batch, sources, samples); mixture: (batch, samples).
        Returns (batch, estimates, references).
    """
    target = references.unsqueeze(1)  # (B, 1, R, T)
    estimate = estimates.unsqueeze(2)  # (B, E, 1, T)
    target_power = target.square().mean(-1)  # (B, 1, R)
    estimate_power = estimate.square().mean(-1)  # (B, E, 1)
    mixture_power = mixture.square().mean(-1)[:, None, None] + 1e-12  # (B, 1, 1)
    product = estimates @ references.transpose(1, 2) / references.shape[-1]  # (B, E, R)
    tiny = 1e-10
    projected = product.square() / (target_power + tiny)  # power of the scaled target
    residual = (estimate_power - projected).clamp_min(0)
    si_sdr = 10 * torch.log10((projected + tiny) / (residual + FLOOR * projected + tiny))
    error = (estimate_power - 2 * product + target_power).clamp_min(0)
    snr = 10 * torch.log10((target_power + tiny) / (error + FLOOR * target_power + tiny))
    active = -(1 - SNR_SHARE) * si_sdr - SNR_SHARE * snr
    silent = 10 * torch.log10(estimate_power / mixture_power + FLOOR).expand_as(product)
    return torch.where(target_power < SILENT_POWER, silent, active)


def permutation_invariant(pairwise: Tensor) -> Tensor:
    """Mean loss of the best assignment of estimates to references.

    Shape:
        pairwise: (batch, estimates, references), square. Returns (batch,).
    """
    sources = pairwise.shape[-1]
    index = torch.arange(sources, device=pairwise.device)
    costs = [pairwise[:, list(order), index].mean(-1) for order in permutations(range(sources))]
    return torch.stack(costs, -1).amin(-1)


def separation_loss(estimates: Tensor, references: Tensor, mixture: Tensor) -> Tensor:
    """The training loss: a scalar, in dB.

    Shape:
        estimates, references: (batch, sources, samples); mixture: (batch, samples).
    """
    return permutation_invariant(pairwise_loss(estimates, references, mixture)).mean()


def clustering_loss(embeddings: Tensor, dominance: Tensor, weights: Tensor) -> Tensor:
    """Deep clustering: cells of the same voice together, of different voices apart.

    An auxiliary loss; with it a network learns sooner who is who, since it need not first find out
    which output is whose (Hershey et al. 2016, with Wang et al. 2018, "Alternative objective
    functions", for training it beside masks).

    Shape:
        embeddings: (batch, cells, dimension); dominance: (batch, cells, sources), one-hot;
        weights: (batch, cells). Returns a scalar in [0, 2].
    """
    root = weights.sqrt().unsqueeze(-1)
    v = functional.normalize(embeddings, dim=-1) * root  # (B, M, D)
    y = dominance * root  # (B, M, S)
    distance = (
        (v.transpose(1, 2) @ v).square().sum((1, 2))
        - 2 * (v.transpose(1, 2) @ y).square().sum((1, 2))
        + (y.transpose(1, 2) @ y).square().sum((1, 2))
    )
    return (distance / weights.sum(1).square().clamp_min(1e-9)).mean()
