"""Keeping a fork apart from other threads' statements.

SQLite keeps the locks that a process holds in memory, and a child gets a copy of that memory but
not the locks. A child that is born in the middle of another thread's statement would wait for ever
for a lock that it believes to hold itself. So a fork waits until no other thread runs a statement.
"""

import os
import threading
import time

_POLL_S = 0.0005  # between two looks at whether the statements have ended; most take less

_entrance = threading.RLock()  # held while forking
_busy: dict[int, int] = {}  # how deep each thread is in statements; no entry if not at all


class _ApartFromForks:
    """Runs a body while no other thread of this process forks; may be nested.

    A class because entering it is a good part of the time that a read takes.
    """

    def __enter__(self) -> None:
        thread = threading.get_ident()
        if thread in _busy:  # a fork may be waiting for this thread, so it must not wait in turn
            _busy[thread] += 1
            return
        with _entrance:
            _busy[thread] = 1

    def __exit__(self, *_: object) -> None:
        thread = threading.get_ident()
        if _busy[thread] == 1:
            del _busy[thread]
        else:
            _busy[thread] -= 1


apart_from_forks = _ApartFromForks()


def _wait() -> None:
    _entrance.acquire()
    while _busy.keys() - {threading.get_ident()}:
        time.sleep(_POLL_S)


def _go_on_in_child() -> None:
    for thread in _busy.keys() - {threading.get_ident()}:
        del _busy[thread]
    _entrance.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_wait, after_in_parent=_entrance.release, after_in_child=_go_on_in_child
    )
