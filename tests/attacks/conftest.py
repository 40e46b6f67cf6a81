"""What all attacks share: a canary that a payload would touch, and how a file is refused."""

from pathlib import Path

import pytest
from watch import watching

from vsat.convert.reading.forms import read_file
from vsat.errors import ConversionError


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
