"""Checkpoints written by the projects whose models are converted."""

import sys
import types

import pytest

from vsat.convert.checkpoint import Checkpoint


def serialised(model):
    """What Asteroid's own `serialize` gives, and `torch.save` writes."""
    with pytest.MonkeyPatch.context() as patch:
        # It asks only for this package's version, to note it down.
        patch.setitem(sys.modules, "pytorch_lightning", types.SimpleNamespace(__version__="2"))
        return dict(model.serialize())


def written_by(model):
    """What Asteroid writes, read as a checkpoint."""
    document = serialised(model)
    tensors = {name: value.numpy() for name, value in document.pop("state_dict").items()}
    return Checkpoint("model.pth", tensors, document)
