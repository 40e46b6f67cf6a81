"""Windows over a stream, and their estimates joined again into whole voices.

A model sees one window at a time, so memory does not grow with the recording. Two windows share an
overlap: there the sources of the second are put into the order of the first (each window is free to
number them as it likes) and one fades into the other.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import permutations

import numpy as np

MAX_SOURCES_TRIED = 6  # 720 orders; with more sources, order is sought one by one


@dataclass(frozen=True)
class Window:
    """A stretch of a stream.

    Attributes:
        samples: float32 (samples,).
        overlap: how many of its first samples the window before had too.
    """

    samples: np.ndarray
    overlap: int


def windows(blocks: Iterable[np.ndarray], length: int, overlap: int) -> Iterator[Window]:
    """Cut a stream into windows of `length` that share `overlap` samples.

    The last window reaches further back instead of being shorter, so that the model has as much to
    go by as elsewhere. A stream shorter than `length` is one window.

    Shape:
        blocks of (samples,), of any lengths.
    """
    if not 0 <= overlap < length:
        raise ValueError(f"overlap {overlap} does not fit windows of {length}")
    pending = np.zeros(0, np.float32)  # not yet in a window, after `overlap` samples that were
    last: np.ndarray | None = None
    shared = 0
    for block in blocks:
        pending = np.concatenate([pending, block])
        while len(pending) >= length:
            last = pending[:length]
            yield Window(last, shared)
            shared = overlap
            pending = pending[length - overlap :]
    fresh = len(pending) - shared
    if last is None and fresh:
        yield Window(pending, 0)
    elif last is not None and fresh:
        whole = np.concatenate([last[: length - shared], pending])[-length:]
        yield Window(whole, length - fresh)


class Stitcher:
    """Joins the estimates of successive windows, in a stable order of sources."""

    def __init__(self) -> None:
        self._tail: np.ndarray | None = None  # (S, T), given out once the next window is known

    def add(self, estimates: np.ndarray, overlap: int, next_overlap: int) -> np.ndarray:
        """Take the estimates of the next window; return what is settled by now.

        Args:
            estimates: of the window.
            overlap: how many of its first samples the window before had too.
            next_overlap: how many of its last samples to hold back at least.

        Shape:
            (sources, samples) in and out.
        """
        if self._tail is not None and overlap:
            before = self._tail
            if overlap > before.shape[1]:  # the last window reaches back behind what was held
                estimates = estimates[:, overlap - before.shape[1] :]
                overlap = before.shape[1]
            estimates = estimates[best_order(before[:, -overlap:], estimates[:, :overlap])]
            joined = crossfade(before[:, -overlap:], estimates[:, :overlap])
            estimates = np.concatenate(
                [before[:, :-overlap], joined, estimates[:, overlap:]], axis=1
            )
        split = max(0, estimates.shape[1] - next_overlap)
        self._tail = estimates[:, split:]
        return estimates[:, :split]

    def finish(self) -> np.ndarray:
        """The rest, (sources, samples)."""
        rest = self._tail if self._tail is not None else np.zeros((0, 0), np.float32)
        self._tail = None
        return rest


def best_order(before: np.ndarray, after: np.ndarray) -> list[int]:
    """The order of `after`'s sources that agrees best with `before`, by correlation.

    Where both are silent every order is as good, and the present one stays.

    Shape:
        (sources, samples) both.
    """
    pairwise = before @ after.T  # [source before, source after]
    sources = len(pairwise)
    if sources > MAX_SOURCES_TRIED:
        return _greedy_order(pairwise)
    index = np.arange(sources)
    orders = permutations(range(sources))
    return list(max(orders, key=lambda order: float(pairwise[index, list(order)].sum())))


def _greedy_order(pairwise: np.ndarray) -> list[int]:
    left = pairwise.copy()
    order = [0] * len(left)
    for _ in order:
        row, column = np.unravel_index(np.argmax(left), left.shape)
        order[int(row)] = int(column)
        left[row], left[:, column] = -np.inf, -np.inf
    return order


def crossfade(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Fade from one to the other; where both are equal, nothing changes.

    The fade takes the middle half of the overlap: a model knows least at the edge of its window.

    Shape:
        (sources, samples), all three.
    """
    length = before.shape[1]
    ramp = np.clip((np.arange(length) + 0.5) / length * 2 - 0.5, 0, 1).astype(np.float32)  # (T,)
    return np.asarray(before + (after - before) * ramp)
