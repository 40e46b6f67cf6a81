"""The process that reads a hostile file: `python -m vsat.convert.reading.worker TASK FILE FOLDER`.

It imports what it needs, seals itself, reads, and leaves `outcome.json` and perhaps tensors in the
folder.
"""

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vsat.convert.reading.isolation import OUTCOME_NAME
from vsat.convert.reading.sealing import seal
from vsat.errors import MissingExtraError, UnsafeFileError, VsatError

# Each module has a function `read(source, folder)`, whose result is the answer.
TASKS = {
    "checkpoint": "vsat.convert.reading.forms",
    "graph": "vsat.convert.reading.graph_file",
}


def main(task: str, source: Path, folder: Path) -> None:
    """Do the task, and write down what came of it."""
    try:
        read = importlib.import_module(TASKS[task]).read
    except ModuleNotFoundError as error:
        hint = "Run: pip install 'vsat[convert]'"
        outcome = _refusal(MissingExtraError(f"This needs {error.name}.", hint=hint))
    else:
        seal(source, folder)
        outcome = _outcome(read, source, folder)
    (folder / OUTCOME_NAME).write_bytes(json.dumps(outcome, allow_nan=False).encode("ascii"))


def _outcome(
    read: Callable[[Path, Path], dict[str, Any]], source: Path, folder: Path
) -> dict[str, Any]:
    try:
        return {"answer": read(source, folder)}
    except VsatError as error:
        return _refusal(error)
    except MemoryError:
        problem = f"{source} needs more memory than any model does."
    except OSError as error:
        problem = f"{source} can't be read: {error.strerror}."
    except Exception as error:  # whatever it is, it must not look like success
        problem = f"{source} can't be read: {type(error).__name__}."
    hint = "Check the file; get it again from its publisher if it is not what you expect."
    return _refusal(UnsafeFileError(problem, hint=hint))


def _refusal(error: VsatError) -> dict[str, str]:
    return {"error": type(error).__name__, "message": error.message, "hint": error.hint}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
