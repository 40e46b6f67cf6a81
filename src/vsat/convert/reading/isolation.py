"""Reads a file in a process of its own, and takes back only what it wrote into one folder.

What comes back is checked as strictly as the file was: a fault of the reading, or of a library that
it uses, gains an attacker a process without network that may write one folder.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vsat.bundle import strict_json
from vsat.errors import ConversionError, MissingExtraError, UnsafeFileError, VsatError
from vsat.files import map_os_errors, open_regular, remove_tree

WORKER = "vsat.convert.reading.worker"
DEADLINE_S = 180.0  # the largest separators take 5
OUTCOME_NAME = "outcome.json"
MAX_OUTCOME_BYTES = 8 << 20
_ERRORS: dict[str, type[VsatError]] = {
    kind.__name__: kind for kind in (ConversionError, MissingExtraError, UnsafeFileError)
}
_HINT = "Don't use the file unless you trust who made it; tell us if you do."


@contextmanager
def isolated(
    task: str, source: Path, staging: Path | None, *, deadline_s: float = DEADLINE_S
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Let a process of its own do a task; give the folder that it wrote into, and its answer.

    The folder is removed at the end, whatever happens.

    Args:
        task: a name of `worker.TASKS`.
        source: the file or folder that is read.
        staging: where the folder is made; None for the system's place for temporary files.
        deadline_s: after so many seconds it is stopped.

    Raises:
        UnsafeFileError: the file is refused, or the process was stopped or died.
        ConversionError: the file is no checkpoint.
        StorageError: the folder can't be made.
    """
    with map_os_errors(f"making a folder in {staging or tempfile.gettempdir()}"):
        folder = Path(tempfile.mkdtemp(prefix=".reading-", dir=staging)).absolute()
    try:
        _run(task, _without_dots(source), folder, deadline_s)
        yield folder, _answer(folder, source)
    finally:
        remove_tree(folder)


def _without_dots(path: Path) -> Path:
    """The absolute path; a link keeps its name, which may say what the file is."""
    return path.resolve() if path.is_dir() else path.parent.resolve() / path.name


def _run(task: str, source: Path, folder: Path, deadline_s: float) -> None:
    command = [sys.executable, "-P", "-m", WORKER, task, str(source), str(folder)]
    quiet = subprocess.DEVNULL
    try:
        done = subprocess.run(
            command,
            stdin=quiet,
            stdout=quiet,
            stderr=quiet,
            cwd=folder,
            timeout=deadline_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnsafeFileError(
            f"Reading {source} was stopped after {deadline_s:.0f} s.", hint=_HINT
        ) from error
    if done.returncode != 0:
        raise UnsafeFileError(
            f"Reading {source} ended the process that read it (status {done.returncode}).",
            hint=_HINT,
        )


def _answer(folder: Path, source: Path) -> dict[str, Any]:
    """What the process said; its errors are raised here.

    Raises:
        ConversionError: it refused the file.
        UnsafeFileError: it gave no clear answer.
    """
    try:
        with open_regular(folder / OUTCOME_NAME, follow_links=False) as file:
            answer = strict_json(file.read(MAX_OUTCOME_BYTES))  # cut off, it is no JSON
    except (OSError, ValueError, VsatError) as error:
        raise UnsafeFileError(f"Reading {source} gave no clear answer.", hint=_HINT) from error
    match answer:
        case {"error": str(kind), "message": str(message), "hint": str(hint)} if kind in _ERRORS:
            raise _ERRORS[kind](message, hint=hint)
        case {"answer": dict() as found}:
            return found
    raise UnsafeFileError(f"Reading {source} gave no clear answer.", hint=_HINT)
