"""The room that versions take, and which of them may go when there is too little of it.

Never the current version of a model, nor the one that rolling back leads to, nor one that another
version was tuned from.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vsat.errors import InUseError, ModelNotFoundError, RegistryError
from vsat.files import map_os_errors
from vsat.registry.records import Change, VersionRecord
from vsat.registry.shelf import Shelf
from vsat.registry.store import Connection

FileKey = tuple[int, int]  # device and inode: the same for all hard links of one file
Rows = Callable[[str, Sequence[object]], list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Usage:
    """The room that a version takes.

    Attributes:
        size_bytes: of all its files.
        alone_bytes: of the files that no other version shares: what deleting it would free.
    """

    model_id: str
    version: int
    size_bytes: int
    alone_bytes: int


class Occupancy:
    """Which versions hold which files on the disk; hard links of one file are one file."""

    def __init__(self, records: Iterable[VersionRecord]) -> None:
        self._files: dict[tuple[str, int], dict[FileKey, int]] = {}
        self._users: Counter[FileKey] = Counter()
        for record in records:
            files = _files_in(record.path)
            self._files[record.model_id, record.version] = files
            self._users.update(files.keys())

    @property
    def total_bytes(self) -> int:
        """Of all versions, each file counted once."""
        once: dict[FileKey, int] = {}
        for files in self._files.values():
            once.update(files)
        return sum(once.values())

    def usages(self) -> list[Usage]:
        """What each version takes."""
        return [
            Usage(*version, sum(files.values()), self._alone(files))
            for version, files in self._files.items()
        ]

    def remove(self, record: VersionRecord) -> int:
        """Count a version as gone; return the bytes that it frees."""
        files = self._files.pop((record.model_id, record.version), {})
        freed = self._alone(files)
        self._users.subtract(files.keys())
        return freed

    def _alone(self, files: dict[FileKey, int]) -> int:
        return sum(size for key, size in files.items() if self._users[key] == 1)


def _files_in(folder: Path) -> dict[FileKey, int]:
    """The files of a version, whatever they are; none if the folder is gone."""
    if not folder.is_dir():
        return {}
    with map_os_errors(f"reading {folder}"):
        found = [path.lstat() for path in folder.iterdir()]
    return {(status.st_dev, status.st_ino): status.st_size for status in found}


def candidates(records: Sequence[VersionRecord], keep: int, rows: Rows) -> list[VersionRecord]:
    """What may go, oldest first, if the newest `keep` sound versions of each model stay.

    Raises:
        RegistryError: it isn't known what a version was tuned from, so its parent can't be spared.
    """
    _check_lineages_known(records)
    bases = {
        base
        for column in ("base", "base_digest")
        for (base,) in rows(f"SELECT {column} FROM versions WHERE {column} IS NOT NULL", ())
    }
    by_model: dict[str, list[VersionRecord]] = defaultdict(list)
    for record in records:
        by_model[record.model_id].append(record)
    found = []
    for model_id, versions in by_model.items():
        previous = previous_of(model_id, rows)
        n_sound = 0
        for record in sorted(versions, key=lambda one: one.version, reverse=True):
            beyond = n_sound >= keep
            n_sound += not record.is_quarantined
            spared = record.is_current or record.version == previous
            spared = spared or named_as_base(record, bases)
            if beyond and not spared:
                found.append(record)
    return sorted(found, key=lambda one: (one.created_at, one.model_id, one.version))


def check_may_go(connection: Connection, record: VersionRecord) -> None:
    """Refuse, under the lock, what has come to be needed since the plan was made.

    Raises:
        InUseError: it is what rolling back leads to, or another version was tuned from it.
    """

    def rows(statement: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        return connection.execute(statement, parameters).fetchall()

    if record.version == previous_of(record.model_id, rows) or is_parent(record, rows):
        raise InUseError(
            f"{record.model_id}@{record.version} is needed: rolling back leads to it, or another "
            "version was tuned from it.",
            hint="Run it again for a new plan.",
        )


def remove(shelf: Shelf, record: VersionRecord, change: Change) -> bool:
    """Remove a version by rule; False if it came to be needed since the plan, or is gone already.

    Raises:
        StorageError: the home can't be written.
    """
    with suppress(InUseError, ModelNotFoundError):
        shelf.remove(record, change, check_may_go)
        return True
    return False


def previous_of(model_id: str, rows: Rows) -> int | None:
    """The version that rolling back leads to; None if there is none."""
    found = rows(
        "SELECT m.current_version, h.before FROM models m JOIN history h"
        " ON h.event = m.current_event WHERE m.model_id = ?",
        (model_id,),
    )
    current, event = found[0] if found else (None, None)
    while event is not None:
        ((version, event, is_sound),) = rows(
            "SELECT h.current, h.before, EXISTS (SELECT 1 FROM versions v WHERE v.model_key ="
            " h.model_key AND v.version = h.current AND v.state = 'sound')"
            " FROM history h WHERE h.event = ?",
            (event,),
        )
        if is_sound and version != current:
            return int(version)
    return None


def is_parent(record: VersionRecord, rows: Rows) -> bool:
    """Whether a registered version was tuned from this one."""
    named = f"{record.model_id}@{record.version}"
    return bool(
        rows("SELECT 1 FROM versions WHERE base = ? LIMIT 1", (named,))
        or rows("SELECT 1 FROM versions WHERE base_digest = ? LIMIT 1", (record.digest,))
    )


def named_as_base(record: VersionRecord, bases: Collection[object]) -> bool:
    """Whether one of these names or digests is that of the version."""
    return f"{record.model_id}@{record.version}" in bases or record.digest in bases


def _check_lineages_known(records: Sequence[VersionRecord]) -> None:
    for record in records:
        if record.particulars is None:
            name = f"{record.model_id}@{record.version}"
            raise RegistryError(
                f"It isn't known what {name} was tuned from, so nothing is removed by rule.",
                hint=f"Run `vsat repair {name}`, or delete it with `vsat rm {name}`.",
            )
