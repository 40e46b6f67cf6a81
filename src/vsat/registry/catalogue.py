"""What the database says of models: the statements that read and change it, and nothing else."""

import json
import os
import sqlite3
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vsat.bundle import FileRecord, Manifest
from vsat.errors import InUseError, RegistryError, UsageError

Connection = sqlite3.Connection

RECORD = """SELECT m.model_id, v.version, v.metadata, v.created_at, v.digest, v.size_bytes, v.task,
    v.sample_rate, v.sources, m.current_version IS v.version, v.main_name, v.origin
    FROM models m JOIN versions v ON v.model_key = m.model_key"""
RECORD_COLUMNS = (
    "model_id", "version", "metadata", "created_at", "digest", "size_bytes", "task", "sample_rate",
    "sources", "is_current", "main_name", "origin",
)  # fmt: skip
CURRENT_MAIN = """SELECT v.version, v.main_name FROM models m JOIN versions v
    ON v.model_key = m.model_key AND v.version = m.current_version WHERE m.model_id = ?"""
LIKE_IT = "SELECT model_key, last_version, model_id FROM models WHERE folded = ?"
LISTED = """SELECT v.version, v.main_name, v.metadata, v.created_at
    FROM models m JOIN versions v ON v.model_key = m.model_key WHERE m.model_id = ?"""
HISTORY = """SELECT h.at, m.model_id, h.action, h.version, h.previous, h.current, h.because, h.by
    FROM history h JOIN models m ON m.model_key = h.model_key"""
HISTORY_KEYS = ("at", "model_id", "action", "version", "previous", "current", "because", "by")


@dataclass(frozen=True)
class VersionRecord:
    """One registered version."""

    model_id: str
    version: int
    path: Path  # the bundle's folder
    metadata: dict[str, Any]
    created_at: str  # ISO 8601, UTC
    digest: str
    size_bytes: int
    task: str
    sample_rate: int | None  # Hz
    sources: int | None
    is_current: bool
    main_name: str
    origin: str  # "file", "package" or "import"

    @property
    def main_path(self) -> Path:
        """The file that an engine opens, or the one opaque file."""
        return self.path / self.main_name


@dataclass(frozen=True)
class Change:
    """Who did what, when and why: what every row of the history says."""

    action: str
    at: str
    by: str
    because: str = ""


def time_text(moment: datetime) -> str:
    """A time as the registry writes it: ISO 8601, UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def record_from(row: tuple[Any, ...], models_folder: Path) -> VersionRecord:
    """A record from a row of `RECORD`."""
    found = dict(zip(RECORD_COLUMNS, row, strict=True))
    found["metadata"] = json.loads(found["metadata"])
    found["is_current"] = bool(found["is_current"])
    path = Path(f"{models_folder}/{found['model_id']}/{found['version']}")
    return VersionRecord(path=path, **found)


def listed_from(row: tuple[Any, ...], model_folder: str) -> dict[str, Any]:
    """What lists give of a version, from a row of `LISTED`."""
    version, main_name, metadata, created_at = row
    return {
        "version": version,
        "path": f"{model_folder}{os.sep}{version}{os.sep}{main_name}",
        "metadata": json.loads(metadata),
        "created_at": created_at,
    }


def folded(model_id: str) -> str:
    """The id as a file system sees it that ignores case and composition."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", model_id).casefold())


def find_or_add_model(connection: sqlite3.Connection, model_id: str, at: str) -> tuple[int, int]:
    """The key of a model and the last number it has given out.

    Raises:
        UsageError: another id differs from it only in case or composition.
    """
    found = connection.execute(LIKE_IT, (folded(model_id),)).fetchall()
    if found:
        check_not_confusable(model_id, found[0])
        return found[0][0], found[0][1]
    added = connection.execute(
        "INSERT INTO models (model_id, folded, created_at) VALUES (?, ?, ?)",
        (model_id, folded(model_id), at),
    )
    return int(added.lastrowid or 0), 0


def check_not_confusable(model_id: str, row: tuple[Any, ...]) -> None:
    """Refuse an id that a file system may take for another, given a row of `LIKE_IT`.

    Raises:
        UsageError: the registered id differs from it only in case or composition.
    """
    existing = row[2]
    if existing != model_id:
        raise UsageError(
            f"{model_id!r} differs from the registered {existing!r} only in how it is written.",
            hint=f"Use {existing!r}, or an id that differs in more.",
        )


def insert_version(
    connection: sqlite3.Connection,
    model_key: int,
    manifest: Manifest,
    files: Mapping[str, FileRecord],
    *,
    created_at: str,
    origin: str,
) -> None:
    """Add a version and its files; the model's counts follow."""
    connection.execute(
        "INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            model_key,
            manifest.version,
            manifest.digest,
            manifest.task,
            manifest.sample_rate,
            manifest.sources,
            sum(record.bytes for record in files.values()),
            manifest.main_name,
            json.dumps(manifest.metadata),
            created_at,
            origin,
        ),
    )
    connection.executemany(
        "INSERT INTO files VALUES (?, ?, ?, ?, ?)",
        [(model_key, manifest.version, n, f.sha256, f.bytes) for n, f in files.items()],
    )
    connection.execute(
        "UPDATE models SET last_version = ?, versions_count = versions_count + 1"
        " WHERE model_key = ?",
        (manifest.version, model_key),
    )


def point_at(connection: sqlite3.Connection, model_key: int, version: int, change: Change) -> None:
    """Make a version current; rolling back leads to the one that was current before."""
    previous, event = _current(connection, model_key)
    _make_current(connection, model_key, version, previous, event, change)


def note(connection: sqlite3.Connection, model_key: int, version: int, change: Change) -> None:
    """Write a row of history that leaves the current version as it is."""
    current, _ = _current(connection, model_key)
    _append(connection, model_key, version, (current, current), None, change)


def version_before(connection: sqlite3.Connection, model_key: int) -> tuple[int, int | None]:
    """What rolling back leads to: the version, and the event before the one that made it current.

    Raises:
        RegistryError: no other version that still exists was current before.
    """
    current, event = _current(connection, model_key)
    event = _before(connection, event)
    while event is not None:
        ((version, before),) = connection.execute(
            "SELECT current, before FROM history WHERE event = ?", (event,)
        ).fetchall()
        if version != current and _exists(connection, model_key, version):
            return version, before
        event = before
    raise RegistryError(
        "No version that still exists was current before this one.",
        hint="Choose one with `vsat use`.",
    )


def step_back(connection: sqlite3.Connection, model_key: int, change: Change) -> int:
    """Make the version current that was so before; the next step leads further back.

    Raises:
        RegistryError: no other version that still exists was current before.
    """
    version, before = version_before(connection, model_key)
    previous, _ = _current(connection, model_key)
    _make_current(connection, model_key, version, previous, before, change)
    return version


def remove_version(
    connection: sqlite3.Connection, model_key: int, version: int, change: Change
) -> None:
    """Remove a version's rows.

    Raises:
        InUseError: it is the current one.
    """
    if _current(connection, model_key)[0] == version:
        raise InUseError(
            "The current version can't be deleted.", hint="Make another one current first."
        )
    connection.execute(
        "DELETE FROM versions WHERE model_key = ? AND version = ?", (model_key, version)
    )
    connection.execute(
        "UPDATE models SET versions_count = versions_count - 1 WHERE model_key = ?", (model_key,)
    )
    note(connection, model_key, version, change)


def current_of(connection: sqlite3.Connection, model_key: int) -> int | None:
    """The current version of a model; None while it has none."""
    return _current(connection, model_key)[0]


def origin_of_current(connection: sqlite3.Connection, model_key: int) -> str | None:
    """Where the current version came from; None while there is none."""
    found = connection.execute(
        "SELECT v.origin FROM models m JOIN versions v ON v.model_key = m.model_key"
        " AND v.version = m.current_version WHERE m.model_key = ?",
        (model_key,),
    ).fetchall()
    return found[0][0] if found else None


def key_of(connection: sqlite3.Connection, model_id: str, version: int | None = None) -> int | None:
    """The key of a model that has this version, or of any model; None where there is none."""
    found = connection.execute(
        "SELECT model_key FROM models WHERE model_id = ?", (model_id,)
    ).fetchall()
    if not found or (version is not None and not _exists(connection, found[0][0], version)):
        return None
    return int(found[0][0])


def has_arrived(connection: sqlite3.Connection, kind: str, digest: str) -> bool:
    """Whether something that comes in by itself has come in before."""
    statement = "SELECT 1 FROM arrivals WHERE kind = ? AND digest = ?"
    return bool(connection.execute(statement, (kind, digest)).fetchall())


def note_arrival(connection: sqlite3.Connection, kind: str, digest: str, at: str) -> None:
    """Remember that something came in by itself."""
    connection.execute("INSERT OR IGNORE INTO arrivals VALUES (?, ?, ?)", (kind, digest, at))


def _exists(connection: sqlite3.Connection, model_key: int, version: int) -> bool:
    statement = "SELECT 1 FROM versions WHERE model_key = ? AND version = ?"
    return bool(connection.execute(statement, (model_key, version)).fetchall())


def _current(connection: sqlite3.Connection, model_key: int) -> tuple[int | None, int | None]:
    statement = "SELECT current_version, current_event FROM models WHERE model_key = ?"
    version, event = connection.execute(statement, (model_key,)).fetchall()[0]
    return version, event


def _before(connection: sqlite3.Connection, event: int | None) -> int | None:
    found = connection.execute("SELECT before FROM history WHERE event = ?", (event,)).fetchall()
    return found[0][0] if found else None


def _make_current(
    connection: sqlite3.Connection,
    model_key: int,
    version: int,
    previous: int | None,
    before: int | None,
    change: Change,
) -> None:
    event = _append(connection, model_key, version, (previous, version), before, change)
    connection.execute(
        "UPDATE models SET current_version = ?, current_event = ? WHERE model_key = ?",
        (version, event, model_key),
    )


def _append(
    connection: sqlite3.Connection,
    model_key: int,
    version: int,
    moved: tuple[int | None, int | None],
    before: int | None,
    change: Change,
) -> int | None:
    return connection.execute(
        "INSERT INTO history (model_key, at, action, version, previous, current, because, by,"
        " before) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            model_key,
            change.at,
            change.action,
            version,
            *moved,
            change.because,
            change.by,
            before,
        ),
    ).lastrowid
