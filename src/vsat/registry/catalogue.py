"""What the database says of models: the statements that add and remove them, and nothing else."""

import json
from collections.abc import Mapping
from typing import Any

from vsat.bundle import FileRecord, Manifest
from vsat.errors import InUseError, UsageError
from vsat.registry import timeline
from vsat.registry.records import SOUND, Change, folded, particulars_of
from vsat.registry.store import Connection

CURRENT_MAIN = """SELECT v.version, v.main_name FROM models m JOIN versions v
    ON v.model_key = m.model_key AND v.version = m.current_version AND v.state = 'sound'
    WHERE m.model_id = ?"""
LIKE_IT = "SELECT model_key, last_version, model_id FROM models WHERE folded = ?"


def find_or_add_model(connection: Connection, model_id: str, at: str) -> tuple[int, int]:
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
    connection: Connection,
    model_key: int,
    manifest: Manifest,
    files: Mapping[str, FileRecord],
    *,
    created_at: str,
    origin: str,
    came_from: str | None = None,
    state: str = SOUND,
) -> None:
    """Add a version and its files; the model's counts follow."""
    lineage = manifest.lineage or {}
    size_bytes = sum(record.bytes for record in files.values())
    connection.execute(
        "INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            model_key,
            manifest.version,
            manifest.digest,
            manifest.task,
            manifest.sample_rate,
            manifest.sources,
            size_bytes,
            manifest.main_name,
            json.dumps(manifest.metadata),
            created_at,
            origin,
            state,
            came_from,
            particulars_of(manifest),
            lineage.get("base"),
            lineage.get("base_digest"),
        ),
    )
    connection.executemany(
        "INSERT INTO files VALUES (?, ?, ?, ?, ?)",
        [(model_key, manifest.version, n, f.sha256, f.bytes) for n, f in files.items()],
    )
    connection.execute(
        "UPDATE models SET last_version = max(last_version, ?),"
        " versions_count = versions_count + 1, size_bytes = size_bytes + ? WHERE model_key = ?",
        (manifest.version, size_bytes, model_key),
    )


def remove_version(connection: Connection, model_key: int, version: int, change: Change) -> None:
    """Remove a version's rows.

    Raises:
        InUseError: it is the current one.
    """
    if timeline.current_of(connection, model_key) == version:
        raise InUseError(
            "The current version can't be deleted.", hint="Make another one current first."
        )
    connection.execute(
        "UPDATE models SET versions_count = versions_count - 1, size_bytes = size_bytes -"
        " (SELECT v.size_bytes FROM versions v WHERE v.model_key = models.model_key"
        " AND v.version = ?) WHERE model_key = ?",
        (version, model_key),
    )
    connection.execute(
        "DELETE FROM versions WHERE model_key = ? AND version = ?", (model_key, version)
    )
    timeline.note(connection, model_key, version, change)


def origin_of_current(connection: Connection, model_key: int) -> str | None:
    """Where the current version came from; None while there is none."""
    found = connection.execute(
        "SELECT v.origin FROM models m JOIN versions v ON v.model_key = m.model_key"
        " AND v.version = m.current_version WHERE m.model_key = ?",
        (model_key,),
    ).fetchall()
    return found[0][0] if found else None


def key_of(connection: Connection, model_id: str, version: int | None = None) -> int | None:
    """The key of a model that has this version, or of any model; None where there is none."""
    found = connection.execute(
        "SELECT model_key FROM models WHERE model_id = ?", (model_id,)
    ).fetchall()
    if not found or (version is not None and not timeline.exists(connection, found[0][0], version)):
        return None
    return int(found[0][0])


def has_arrived(connection: Connection, kind: str, digest: str) -> bool:
    """Whether something that comes in by itself has come in before."""
    statement = "SELECT 1 FROM arrivals WHERE kind = ? AND digest = ?"
    return bool(connection.execute(statement, (kind, digest)).fetchall())


def note_arrival(connection: Connection, kind: str, digest: str, at: str) -> None:
    """Remember that something came in by itself."""
    connection.execute("INSERT OR IGNORE INTO arrivals VALUES (?, ?, ?)", (kind, digest, at))
