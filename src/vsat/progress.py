"""How long work reports where it is, and how it is asked to stop.

Whoever does long work takes a `Progress` and calls it now and then; whoever shows it decides how.
Nothing here draws: the command line has its own bar, the windows have theirs.
"""

import threading
from collections.abc import Callable

from vsat.errors import Cancelled

Progress = Callable[[float, float], None]
"""Called with (done, total) in one unit, such as seconds of audio; total is 0 while unknown."""


def silent(done: float, total: float) -> None:
    """Report to nobody."""


class Cancel:
    """A request to stop that one thread makes and another one heeds."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    @property
    def asked(self) -> bool:
        """Whether somebody asked to stop."""
        return self._asked.is_set()

    def ask(self) -> None:
        """Ask the work to stop at its next step."""
        self._asked.set()

    def check(self) -> None:
        """Stop here if somebody asked to.

        Raises:
            Cancelled: somebody asked to stop.
        """
        if self.asked:
            raise Cancelled("Stopped on request.", hint="Nothing half-written was left behind.")


def stoppable(progress: Progress, cancel: Cancel) -> Progress:
    """Return a progress that stops the work, at its next report, once `cancel` was asked for."""

    def report(done: float, total: float) -> None:
        cancel.check()
        progress(done, total)

    return report


def part_of(progress: Progress, begin: float, end: float) -> Progress:
    """Return a progress for one part of a longer work, reported in fractions of the whole.

    Args:
        progress: gets (fraction, 1.0).
        begin: fraction of the whole that is done when the part begins.
        end: fraction of the whole that is done when the part ends.

    >>> part_of(lambda done, total: print(done, total), 0.5, 1.0)(30, 60)
    0.75 1.0
    """

    def report(done: float, total: float) -> None:
        fraction = min(1.0, max(0.0, done / total)) if total > 0 else 0.0
        progress(begin + (end - begin) * fraction, 1.0)

    return report


def duration_text(seconds: float) -> str:
    """Say a duration as a person would.

    >>> duration_text(9.96), duration_text(75), duration_text(3725)
    ('10.0 s', '1 min 15 s', '1 h 02 min')
    """
    if seconds < 59.95:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"
