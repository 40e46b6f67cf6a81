"""A part of a network that runs again and again on its own outcome, with the same weights."""

from typing import Any

import torch
from torch import Tensor, nn

DOMAIN = "vsat"  # of the node that stands for a repetition until the graph is put together
NODE = "Repeat"


class Repeat(nn.Module):
    """Runs a body several times.

    In an exported graph it is a loop, so that graph and weights are there once, and are read and
    compiled once.

    Args:
        body: takes the number of the run from 0 (an int64 scalar), what stays the same and what
            changes, both of one shape, and gives what changes.
        times: how often.
        open_axes: axes whose lengths vary from one mixture to the next.

    Attributes:
        as_node: whether to leave a mark for the exporter instead of running.
        example: what came in when it last left a mark.
    """

    def __init__(self, body: nn.Module, times: int, open_axes: tuple[int, ...]) -> None:
        super().__init__()
        self.body, self.times, self.open_axes = body, times, open_axes
        self.as_node = False
        self.example: tuple[Tensor, Tensor] | None = None

    def forward(self, fixed: Tensor, state: Tensor) -> Tensor:
        """Shape: any, twice the same; the same out."""
        if self.as_node:
            self.example = (fixed.detach(), state.detach())
            marked: Tensor = _Mark.apply(fixed, state)
            return marked
        for step in range(self.times):
            state = self.body(torch.tensor(step, device=state.device), fixed, state)
        return state


class _Mark(torch.autograd.Function):
    """Becomes a node of `DOMAIN` in a traced graph."""

    @staticmethod
    def forward(ctx: Any, fixed: Tensor, state: Tensor) -> Tensor:  # noqa: ARG004
        return state.clone()

    @staticmethod
    def symbolic(graph: Any, fixed: Any, state: Any) -> Any:
        return graph.op(f"{DOMAIN}::{NODE}", fixed, state).setType(state.type())
