"""What a process that was killed left unfinished, and whether another one is still at it."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from vsat.errors import InUseError
from vsat.files import STAGING_PREFIX, is_staged_for, remove_tree, staging_name

ABANDONED_AFTER_S = 3600.0  # where a system doesn't say what is open: no write pauses as long
PROCESSES = Path("/proc")


def find_leftovers(home: Path, folders: Iterable[Path] = ()) -> list[Path]:
    """Unfinished files and folders of a registry, and in folders that voices were written to."""
    depths = ("*/*/*/", "*/*/", "*/", "")  # a version, a model, all models, the home
    patterns = [*((home, depth) for depth in depths), *((folder, "") for folder in folders)]
    found = {
        path for folder, depth in patterns for path in folder.glob(f"{depth}{STAGING_PREFIX}*")
    }
    beside = home.parent.glob(f"{STAGING_PREFIX}*")  # a home that was being restored
    found |= {path for path in beside if is_staged_for(path, home)}
    return sorted(found)


def split_by_use(leftovers: Iterable[Path], database: Path) -> tuple[list[Path], list[Path]]:
    """Split leftovers into those that nobody needs and those that may still be in use.

    Where the system tells which files are open, one is in use while it is open itself, or, within
    the registry's folder, while another process has the database open. Elsewhere age decides.
    """
    opened = open_paths()
    idle: list[Path] = []
    used: list[Path] = []
    for path in leftovers:
        (used if _in_use(path, database, opened) else idle).append(path)
    return idle, used


def _in_use(path: Path, database: Path, opened: set[Path] | None) -> bool:
    resolved = path.resolve()
    if opened is None:
        with suppress(FileNotFoundError):
            return time.time() - resolved.lstat().st_mtime < ABANDONED_AFTER_S
        return False
    if database.resolve() in opened and resolved.is_relative_to(database.parent.resolve()):
        return True
    return any(other.is_relative_to(resolved) for other in opened)


def open_paths(processes: Path = PROCESSES) -> set[Path] | None:
    """The files that other processes have open, of those one may look at; None if of none."""
    if not (processes / "self" / "fd").is_dir():
        return None
    opened = set()
    for process in processes.iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            with suppress(OSError):  # it ended, or belongs to somebody else
                for descriptor in (process / "fd").iterdir():
                    with suppress(OSError):
                        opened.add(descriptor.readlink())
    return opened


def check_unused(database: Path) -> None:
    """Refuse to go on while another process has the database open, where that can be seen.

    Raises:
        InUseError: one has.
    """
    if database.exists() and database.resolve() in (open_paths() or set()):
        raise InUseError(
            f"Another process is using {database}.", hint="Run it again when that one is done."
        )


def remove_leftover(path: Path) -> None:
    """Remove something unfinished, even if a writer turns up that nobody saw.

    It is renamed first: either the writer then finds it gone and says so, or it has finished and
    there is nothing to remove. A half-removed version can't come to be.

    Raises:
        OSError: it can't be removed.
    """
    doomed = staging_name(path)
    try:
        path.rename(doomed)
    except FileNotFoundError:
        return
    if doomed.is_dir() and not doomed.is_symlink():
        remove_tree(doomed)
    else:
        doomed.unlink()
