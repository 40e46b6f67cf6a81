"""A watch on what Python does while a hostile file is read."""

import os
import sys
from contextlib import contextmanager

from vsat.convert.reading.sealing import load_codecs

# What reading a file does of itself; whatever else is seen was wanted by the file.
EXPECTED = {
    "open", "os.listdir", "os.scandir", "object.__getattr__", "object.__setattr__",
    "object.__delattr__", "sys._getframe", "sys.unraisablehook", "builtins.id", "compile", "exec",
    "code.__new__", "gc.get_objects",
}  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_seen = None  # a list while someone watches


def _note(event, arguments):
    if _seen is None:
        return
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
        _seen.append(f"write {arguments[0]}")
    elif event not in EXPECTED:
        _seen.append(event)


load_codecs()
sys.addaudithook(_note)


@contextmanager
def watching():
    """Collect what happens within: writing, and all that reading doesn't do of itself."""
    global _seen
    _seen = seen = []
    try:
        yield seen
    finally:
        _seen = None
