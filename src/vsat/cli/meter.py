"""The progress bar: on a terminal only, on stderr, gone when the work is done."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from vsat.progress import Progress, silent


@contextmanager
def meter(label: str) -> Iterator[Progress]:
    """Show how far the work in the body is, and how long it will still take.

    Args:
        label: what is being done.

    Yields:
        What the work reports to; it reports to nobody where stderr is not a terminal.
    """
    if not sys.stderr.isatty():
        yield silent
        return
    from rich import progress as bars  # here: takes longer to load than most commands to run
    from rich.console import Console

    columns = (
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.TaskProgressColumn(),
        bars.TextColumn("left:"),
        bars.TimeRemainingColumn(compact=True),
    )
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(label, total=None)

        def show(done: float, total: float) -> None:
            shown.update(task, completed=done, total=total or None)

        yield show
