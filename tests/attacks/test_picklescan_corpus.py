"""Every file of picklescan's corpus, bare and wrapped as a `.pt` archive: none runs.

`python tests/attacks/fetch_corpus.py` fetches it; without it these tests are skipped.
"""

import pytest
from fetch_corpus import CORPUS
from forging import torch_archive
from watch import watching

from vsat.convert.reading import read_checkpoint
from vsat.convert.reading.forms import read_file
from vsat.errors import ConversionError, UnsafeFileError

FILES = sorted(path for path in CORPUS.rglob("*") if path.is_file())
PICKLES = [path for path in FILES if path.suffix in (".pkl", ".pickle")]
HARMLESS = {"benign0_v0.pkl", "benign0_v3.pkl", "benign0_v4.pkl"}  # lists of numbers
STATE_DICT = "pytorch_model.bin"  # the one good checkpoint among them
REFUSED_BY_NAME = [path for path in PICKLES if path.name not in HARMLESS]

pytestmark = pytest.mark.skipif(not FILES, reason="run tests/attacks/fetch_corpus.py first")


def wrapped(path, tmp_path):
    return torch_archive(tmp_path / "model.pt", path.read_bytes())


def named(path):
    return str(path.relative_to(CORPUS))


@pytest.mark.parametrize("path", FILES, ids=named)
@pytest.mark.parametrize("form", ["bare", "wrapped"])
def test_nothing_of_it_runs(path, form, refusal, tmp_path):
    if path.name == STATE_DICT and form == "bare":
        with watching() as seen:
            assert read_file(path)[0]
        assert not seen
    else:
        refusal(path if form == "bare" else wrapped(path, tmp_path))


@pytest.mark.parametrize("path", REFUSED_BY_NAME, ids=named)
@pytest.mark.parametrize("form", ["bare", "wrapped"])
def test_what_it_wanted_is_named(path, form, refusal, tmp_path):
    message = refusal(path if form == "bare" else wrapped(path, tmp_path), UnsafeFileError)
    assert "wants to run" in message


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=named)
@pytest.mark.parametrize("form", ["bare", "wrapped"])
def test_the_whole_way_leaves_nothing_behind(path, form, tmp_path):
    source = path if form == "bare" else wrapped(path, tmp_path)
    before = sorted([*tmp_path.rglob("*"), *CORPUS.rglob("*")])
    if path.name == STATE_DICT and form == "bare":
        assert read_checkpoint(source, tmp_path).tensors
    else:
        with pytest.raises(ConversionError):
            read_checkpoint(source, tmp_path)
    assert sorted([*tmp_path.rglob("*"), *CORPUS.rglob("*")]) == before
