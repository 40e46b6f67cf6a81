"""All the models in a folder: what is recognised comes in, and what is left is named with why."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vsat.bundle import MANIFEST_NAME
from vsat.convert.importing import (
    ARCHIVE_SUFFIX,
    CHECKPOINT_SUFFIXES,
    GRAPH_SUFFIX,
    Imported,
    import_model,
)
from vsat.errors import VsatError
from vsat.registry import ModelRegistry

SUFFIXES = {GRAPH_SUFFIX, ARCHIVE_SUFFIX, *CHECKPOINT_SUFFIXES}
PARTS_NAMES = {"hyperparams.yaml", "config.json"}  # beside them lie the parts of one model
MAX_DEPTH = 12  # folders within folders; more is a loop, or a whole disk


@dataclass(frozen=True)
class Left:
    """Something that looks like a model and did not come in.

    Attributes:
        path: a file or a folder.
        reason: why, and what could be done.
    """

    path: Path
    reason: str


def import_folder(
    folder: Path, registry: ModelRegistry, seen: Callable[[Imported | Left], None]
) -> tuple[list[Imported], list[Left]]:
    """Register every model below a folder that is recognised.

    What is there already, with the same content under the same id, is not registered again.

    Args:
        folder: with models in it, and in folders within; symbolic links are not followed.
        registry: where they become versions.
        seen: called with each as soon as it is done.

    Returns:
        What came in, and what was left.
    """
    came, left = [], []
    for path in find_models(folder, registry.home):
        try:
            imported = import_model(path, registry)
        except VsatError as error:
            left.append(Left(path, str(error)))
            seen(left[-1])
        else:
            came.append(imported)
            seen(imported)
    return came, left


def find_models(folder: Path, home: Path | None = None) -> Iterator[Path]:
    """Files and folders that may each be one model, by name; a model's folder counts as one.

    Args:
        folder: is looked through; hidden folders in it are not.
        home: of the registry, whose own versions are passed over.
    """
    for place, folders, names in os.walk(folder):
        here = Path(place)
        if home and here.resolve() == home.resolve():
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if len(here.relative_to(folder).parts) >= MAX_DEPTH:
            folders.clear()
        if is_model(here):
            folders.clear()
            yield here
        else:
            yield from (here / name for name in sorted(names) if _may_be_model(name))


def is_model(folder: Path) -> bool:
    """Whether a folder is one model: a bundle, or a hub's with what describes its files."""
    names = {path.name for path in folder.iterdir()}
    described = bool(PARTS_NAMES & names) and any(map(_may_be_model, names))
    return MANIFEST_NAME in names or described


def _may_be_model(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES
