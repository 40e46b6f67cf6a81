"""Models written by the projects whose checkpoints are converted."""

import sys
import types
import warnings

import pytest

from vsat.convert.checkpoint import Checkpoint


@pytest.fixture(scope="session")
def asteroid():
    """Asteroid's model classes; tests are skipped where it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("asteroid.models")


def written_by(model):
    """What Asteroid's own `serialize` writes, read as a checkpoint."""
    with pytest.MonkeyPatch.context() as patch:
        # It asks only for this package's version, to note it down.
        patch.setitem(sys.modules, "pytorch_lightning", types.SimpleNamespace(__version__="2"))
        document = dict(model.serialize())
    tensors = {name: value.numpy() for name, value in document.pop("state_dict").items()}
    return Checkpoint("model.pth", tensors, document)
