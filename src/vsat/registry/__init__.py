"""A person's models, their versions, and which one is current."""

from vsat.registry.evaluations import Evaluations, KeptTestSet, Setting
from vsat.registry.packaged import DEFAULT_MODEL_ID
from vsat.registry.records import VersionRecord
from vsat.registry.registry import ModelRegistry

__all__ = [
    "DEFAULT_MODEL_ID",
    "Evaluations",
    "KeptTestSet",
    "ModelRegistry",
    "Setting",
    "VersionRecord",
]
