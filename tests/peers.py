"""Checkpoints written by the projects whose models are converted."""

import sys
import types

import pytest

from vsat.convert.checkpoint import Checkpoint


def written_by(model):
    """What Asteroid's own `serialize` writes, read as a checkpoint."""
    with pytest.MonkeyPatch.context() as patch:
        # It asks only for this package's version, to note it down.
        patch.setitem(sys.modules, "pytorch_lightning", types.SimpleNamespace(__version__="2"))
        document = dict(model.serialize())
    tensors = {name: value.numpy() for name, value in document.pop("state_dict").items()}
    return Checkpoint("model.pth", tensors, document)
