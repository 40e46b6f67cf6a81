"""vsat: voice-separation models on your own machine, versioned, run fast, judged by your audio.

The public names load when they are first used: `import vsat` is quick and brings in neither an
engine nor PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vsat.errors import (
    AudioError,
    BundleError,
    Cancelled,
    ConversionError,
    DamagedError,
    EngineError,
    HubError,
    InUseError,
    MissingExtraError,
    ModelNotFoundError,
    RegistryError,
    SelfTestError,
    StorageError,
    UnsafeFileError,
    UsageError,
    VsatError,
)

if TYPE_CHECKING:
    from vsat.evaluation import ModelEvaluator
    from vsat.registry import ModelRegistry
    from vsat.separator import SeparationResult, VoiceSeparator

__version__ = "0.1.0"

_HOMES = {
    "ModelEvaluator": "vsat.evaluation",
    "ModelRegistry": "vsat.registry",
    "SeparationResult": "vsat.separator",
    "VoiceSeparator": "vsat.separator",
}

__all__ = [
    "AudioError",
    "BundleError",
    "Cancelled",
    "ConversionError",
    "DamagedError",
    "EngineError",
    "HubError",
    "InUseError",
    "MissingExtraError",
    "ModelEvaluator",
    "ModelNotFoundError",
    "ModelRegistry",
    "RegistryError",
    "SelfTestError",
    "SeparationResult",
    "StorageError",
    "UnsafeFileError",
    "UsageError",
    "VoiceSeparator",
    "VsatError",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vsat' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
