"""Measures of many recordings, several at a time."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from vsat.metrics.measuring import Measured, measure

READ_AHEAD = 2  # recordings in memory for each worker


@dataclass(frozen=True)
class Separation:
    """A separated recording with what it should have been.

    Shape:
        estimates, references: (sources, samples); mixture: (samples,).
    """

    estimates: np.ndarray
    references: np.ndarray
    sample_rate: int
    mixture: np.ndarray | None = None


def measure_all(
    separations: Iterable[Separation],
    *,
    measures: Sequence[str] | None = None,
    leave_out_undefined: bool = False,
    workers: int | None = None,
) -> Iterator[Measured]:
    """Measure many recordings, several at a time, in their order.

    They are taken from the iterable when a worker is about to be free, in the caller's thread: it
    can separate the next one while others are measured, and few are in memory at once. The workers
    are threads; the measures leave the interpreter to one another, except for PESQ.

    Args:
        separations: the recordings.
        measures: as for `measure`.
        leave_out_undefined: as for `measure`.
        workers: as many as there are processors for None.

    Raises:
        UsageError, AudioError, MissingExtraError: as `measure` does, at the recording's turn.
    """
    n_workers = workers or os.cpu_count() or 1
    pending: deque[Future[Measured]] = deque()
    pool = ThreadPoolExecutor(n_workers, thread_name_prefix="measure")
    try:
        for one in separations:
            pending.append(pool.submit(_measure_one, one, measures, leave_out_undefined))
            if len(pending) >= READ_AHEAD * n_workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _measure_one(
    one: Separation, measures: Sequence[str] | None, leave_out_undefined: bool
) -> Measured:
    return measure(
        one.estimates,
        one.references,
        one.sample_rate,
        mixture=one.mixture,
        measures=measures,
        leave_out_undefined=leave_out_undefined,
    )
