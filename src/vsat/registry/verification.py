"""Reading every file of the store again and comparing it with what was recorded."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from vsat.errors import StorageError
from vsat.files import sha256_of
from vsat.progress import Progress
from vsat.registry.store import Store

Damage = dict[str, object]

_FILES = """SELECT m.model_id, f.version, f.name, f.sha256, f.bytes FROM files f
    JOIN models m ON m.model_key = f.model_key"""


class Verification:
    """One pass over some or all versions.

    Files that are links to one another are read once.

    Args:
        store: the database.
        folder: of the models.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self._digests: dict[tuple[int, int], str] = {}

    def run(
        self, model_id: str | None, version: int | None, progress: Progress | None = None
    ) -> list[Damage]:
        """What is damaged: a dict with model_id, version, file and problem for each.

        Raises:
            RegistryError: the database is damaged.
        """
        conditions, parameters = ["1"], []
        for column, value in (("m.model_id", model_id), ("f.version", version)):
            if value is not None:
                conditions.append(f"{column} = ?")
                parameters.append(value)
        rows = self._store.rows(
            f"{_FILES} WHERE {' AND '.join(conditions)} ORDER BY m.model_id, f.version, f.name",
            parameters,
        )
        total, done = float(sum(row[4] for row in rows)), 0.0
        damage = []
        recorded: dict[tuple[str, int], set[str]] = {}
        for name, number, file, sha256, size in rows:
            recorded.setdefault((name, number), set()).add(file)
            problem = self._problem_with(name, number, file, (sha256, size))
            if problem and self._still_there(name, number):
                damage.append(_damage(name, number, file, problem))
            done += size
            if progress:
                progress(done, total)
        return damage + list(self._extra_files(recorded))

    def _problem_with(
        self, name: str, number: int, file: str, wanted: tuple[str, int]
    ) -> str | None:
        path = self._folder / name / str(number) / file
        try:
            found = path.lstat()
        except OSError as error:
            return "is missing" if isinstance(error, FileNotFoundError) else f"is lost: {error}"
        if not stat.S_ISREG(found.st_mode):
            return "is not a regular file"
        if found.st_size != wanted[1]:
            return f"has {found.st_size} bytes instead of {wanted[1]}"
        key = (found.st_dev, found.st_ino)
        try:
            if key not in self._digests:
                self._digests[key] = sha256_of(path)
        except StorageError as error:
            return f"can't be read: {error.message}"
        return None if self._digests[key] == wanted[0] else "has changed: its digest differs"

    def _still_there(self, name: str, number: int) -> bool:
        """Whether the version was not deleted while it was being read."""
        statement = f"{_FILES} WHERE m.model_id = ? AND f.version = ? LIMIT 1"
        return self._store.row(statement, (name, number)) is not None

    def _extra_files(self, recorded: dict[tuple[str, int], set[str]]) -> Iterator[Damage]:
        for (name, number), files in recorded.items():
            try:
                found = set(os.listdir(self._folder / name / str(number)))
            except OSError:
                continue  # its files were named as missing already
            for file in sorted(found - files):
                yield _damage(name, number, file, "was not put there by vsat")


def _damage(name: str, number: int, file: str, problem: str) -> Damage:
    return {"model_id": name, "version": number, "file": file, "problem": problem}
