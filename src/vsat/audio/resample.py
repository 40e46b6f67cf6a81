"""Resampling of arrays and of streams, by soxr."""

from collections.abc import Iterable, Iterator

import numpy as np
import soxr


def resample(samples: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """Resample a recording that is in memory; nothing is done where the rates are equal.

    Shape:
        (samples,) or (samples, channels); the same out.
    """
    if from_rate == to_rate:
        return samples
    resampled: np.ndarray = soxr.resample(samples, from_rate, to_rate)
    return resampled


def resample_stream(
    blocks: Iterable[np.ndarray], from_rate: int, to_rate: int
) -> Iterator[np.ndarray]:
    """Resample a stream of blocks; nothing is done where the rates are equal.

    Shape:
        blocks of (samples, channels) or (samples,), float32; the same out.
    """
    if from_rate == to_rate:
        yield from blocks
        return
    resampler: soxr.ResampleStream | None = None
    for block in blocks:
        if resampler is None:
            channels = 1 if block.ndim == 1 else block.shape[1]
            resampler = soxr.ResampleStream(from_rate, to_rate, channels, dtype="float32")
            empty = block[:0]
        yield resampler.resample_chunk(block)
    if resampler is not None:
        yield resampler.resample_chunk(empty, last=True)


def exactly(blocks: Iterable[np.ndarray], length: int) -> Iterator[np.ndarray]:
    """Cut a stream to `length`, or lengthen it with silence: resampling rounds its end.

    Shape:
        blocks of (samples, channels); the same out.
    """
    left = length
    block = np.zeros((0, 1), np.float32)
    for block in blocks:
        if left and len(block):
            yield block[:left]
        left -= min(left, len(block))
    if left:
        yield np.zeros((left, block.shape[1]), np.float32)
