"""The models that ship inside the package come into the registry at their first use."""

from dataclasses import replace
from pathlib import Path

from vsat.bundle import MANIFEST_NAME, parse_manifest
from vsat.errors import BundleError, EngineError
from vsat.files import map_os_errors
from vsat.registry.intake import read_submission
from vsat.registry.records import Change
from vsat.registry.shelf import Shelf, Terms

DEFAULT_MODEL_ID = "voice_separator_default"
FOLDER = Path(__file__).absolute().parent.parent / "packaged"
ORIGIN = "package"


def admit(folder: Path, shelf: Shelf, change: Change) -> None:
    """Register a packaged bundle if this content of it has never been registered.

    It becomes current if the model is new, or if the current version came from the package too: a
    version that a person chose stays current. Where the home can't be written, or a newer packaged
    model is damaged or doesn't work here, what is registered already goes on being used.

    Args:
        folder: the bundle; its name is the model's id. Nothing happens if it is not there.
        shelf: where it goes.
        change: what the history says of it.

    Raises:
        BundleError: the packaged bundle is not whole.
        SelfTestError: it doesn't work, and no other version is registered.
        StorageError: the home can't be written, and no version is registered.
    """
    name = folder.name
    if not folder.is_dir():
        return
    origin = _origin_of_current(shelf, name)
    if origin is not None and not shelf.store.writable:
        return
    try:
        _admit_new_content(folder, shelf, change, replaces=origin == ORIGIN)
    except (BundleError, EngineError):
        if origin is None:
            raise


def _admit_new_content(folder: Path, shelf: Shelf, change: Change, *, replaces: bool) -> None:
    with map_os_errors(f"reading {folder}"):
        digest = parse_manifest((folder / MANIFEST_NAME).read_bytes()).digest
    if shelf.store.row("SELECT 1 FROM arrivals WHERE kind = ? AND digest = ?", (ORIGIN, digest)):
        return
    submission = read_submission(folder.name, folder, None)
    terms = Terms(origin=ORIGIN, arrival=(ORIGIN, digest), replaces=replaces)
    shelf.add(submission, replace(change, because="shipped with vsat"), terms)


def _origin_of_current(shelf: Shelf, name: str) -> str | None:
    row = shelf.store.row(
        "SELECT v.origin FROM models m JOIN versions v ON v.model_key = m.model_key"
        " AND v.version = m.current_version WHERE m.model_id = ?",
        (name,),
    )
    return None if row is None else str(row[0])
