"""What all attacks share: a watch on what Python does, and a canary that a payload would touch."""

import os
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from vsat.convert.reading.forms import read_file
from vsat.convert.reading.sealing import load_codecs
from vsat.errors import ConversionError

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


@pytest.fixture
def canary(tmp_path):
    """A path that payloads write to."""
    return tmp_path / "canary"


@pytest.fixture
def refusal(canary):
    """Read a hostile file; give the error, when nothing happened but reading."""

    def read(path: Path, kind: type[ConversionError] = ConversionError) -> str:
        before = sorted(path.parent.rglob("*"))
        with watching() as seen, pytest.raises(kind) as caught:
            read_file(path)
        assert not seen
        assert not canary.exists()
        assert sorted(path.parent.rglob("*")) == before
        assert caught.value.hint
        assert str(caught.value).isprintable()
        return str(caught.value)

    return read
