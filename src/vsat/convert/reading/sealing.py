"""How a process that is to read a hostile file gives up all that it doesn't need for that.

`seal` can't be undone. Three layers, each enough for most attacks: limits of the system on memory,
processor time and file size; no network, where the system lets a process leave it; and a hook that
Python asks before whatever reaches outside (PEP 578), which lets through a closed list.
"""

import codecs
import ctypes
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from vsat.errors import UnsafeFileError

MEMORY_LIMIT_BYTES = 8 << 30  # of addresses; three copies of the largest file
CPU_LIMIT_S = 300
WRITE_LIMIT_BYTES = 4 << 30  # of one file
OPEN_FILES_LIMIT = 64

_NEW_NETWORK, _NEW_USERS = 0x40000000, 0x10000000  # of unshare(2)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# What reading needs: opening files is looked at below, the others reach nothing outside.
_HARMLESS = {
    "object.__getattr__", "object.__setattr__", "object.__delattr__", "sys._getframe",
    "os.listdir", "os.scandir", "array.__new__", "cpython.run_stdin", "builtins.id",
    "sys.excepthook", "sys.unraisablehook",
}  # fmt: skip


def seal(readable: Path, writable: Path) -> None:
    """Let this process do nothing from now on but read one place and write another.

    Whatever has to be imported must be imported before.

    Args:
        readable: a file, whose neighbours can be read too, or a folder.
        writable: a folder, which can be read as well.
    """
    load_codecs()
    _limit_resources()
    _leave_network()
    folder = readable if readable.is_dir() else readable.parent
    sys.addaudithook(_guard(str(folder.absolute()), str(writable.absolute())))


def load_codecs() -> None:
    """Load what Python itself would import when it first meets text in some encoding."""
    for name in ("ascii", "latin-1", "cp437", "utf-8", "raw-unicode-escape", "unicode-escape"):
        codecs.lookup(name)


def _guard(readable: str, writable: str) -> Callable[[str, tuple[Any, ...]], None]:
    def is_within(path: str, folder: str) -> bool:
        path = os.path.abspath(path)  # noqa: PTH100 - links must not be followed here
        return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)

    def check_open(path: object, flags: object) -> None:
        if isinstance(path, int):  # a file that is open already
            return
        name = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        writes = not isinstance(flags, int) or flags & _WRITING
        allowed = [writable] if writes else [readable, writable]
        if not any(is_within(name, folder) for folder in allowed):
            raise UnsafeFileError(f"Reading the file tried to open {name!a:.200}.")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            check_open(arguments[0], arguments[2])
        elif event not in _HARMLESS:
            raise UnsafeFileError(f"Reading the file tried to do more than read: {event}.")

    return hook


def _limit_resources() -> None:
    try:
        import resource
    except ImportError:  # not on Windows; there the deadline and the hook remain
        return
    for name, limit in (
        ("RLIMIT_AS", MEMORY_LIMIT_BYTES),
        ("RLIMIT_CPU", CPU_LIMIT_S),
        ("RLIMIT_FSIZE", WRITE_LIMIT_BYTES),
        ("RLIMIT_NOFILE", OPEN_FILES_LIMIT),
        ("RLIMIT_CORE", 0),
    ):
        with suppress(ValueError, OSError, AttributeError):  # not every system has every limit
            _, hard = resource.getrlimit(getattr(resource, name))
            lowest = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
            resource.setrlimit(getattr(resource, name), (lowest, lowest))


def _leave_network() -> None:
    """Move to a network of its own, which leads nowhere, where the system permits that."""
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None, use_errno=True)
        if library.unshare(_NEW_NETWORK) != 0:
            library.unshare(_NEW_USERS | _NEW_NETWORK)
