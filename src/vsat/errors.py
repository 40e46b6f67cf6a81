"""Every error that vsat raises on purpose.

    VsatError
    ├── UsageError               what was asked for makes no sense (also a ValueError)
    ├── AudioError               a recording can't be read, written or used
    ├── BundleError              a version's files are not what they must be
    │   └── DamagedError         ... and they once were: the digest no longer fits
    ├── ConversionError          a published model can't be converted
    │   └── UnsafeFileError      ... because it holds more than a model has to
    ├── HubError                 a hub is out of reach or doesn't give what was asked for
    ├── ModelNotFoundError       no such model or version (also a KeyError)
    ├── RegistryError            the registry can't do what was asked
    │   └── InUseError           ... because the version is current
    ├── EngineError              a model can't be loaded or run on this machine
    │   └── SelfTestError        a model runs but gives what it must not
    ├── StorageError             the disk is full, read-only or out of reach (also an OSError)
    ├── MissingExtraError        an optional part of vsat is not installed
    └── Cancelled                the person stopped it

Each carries a `hint`: the one next thing to do.
"""


class VsatError(Exception):
    """Base of all errors of vsat.

    Args:
        message: what happened, a full sentence.
        hint: the one next thing to do, a full sentence, or empty.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class UsageError(VsatError, ValueError):
    """What was asked for makes no sense: a wrong argument, not a wrong state."""


class AudioError(VsatError):
    """A recording can't be read, written or used."""


class BundleError(VsatError):
    """A version's files are not what they must be."""


class DamagedError(BundleError):
    """A registered file no longer has the digest that was recorded for it."""


class ConversionError(VsatError):
    """A published model can't be converted: of no known family, incomplete, or with parts left."""


class UnsafeFileError(ConversionError):
    """A published file holds what a model has no need of: code, bombs, ways out of its folder."""


class HubError(VsatError):
    """A hub is out of reach, or doesn't give what was asked for."""


class ModelNotFoundError(VsatError, KeyError):
    """No model or version of that name is registered."""


class RegistryError(VsatError):
    """The registry can't do what was asked."""


class InUseError(RegistryError):
    """The version can't be deleted because it is the current one."""


class EngineError(VsatError):
    """A model can't be loaded or run on this machine."""


class SelfTestError(EngineError):
    """A model runs, but its output is not finite or not of the declared shape."""


class StorageError(VsatError, OSError):
    """The disk is full, read-only or out of reach."""


class MissingExtraError(VsatError, ImportError):
    """An optional part of vsat is not installed."""


class Cancelled(VsatError):  # noqa: N818 - not a fault
    """The person stopped it."""
