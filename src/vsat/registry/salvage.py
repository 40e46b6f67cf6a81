"""What can still be read of a damaged database."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vsat.errors import RegistryError, StorageError, UsageError
from vsat.files import check_name
from vsat.registry.schema import schema_number
from vsat.registry.store import Connection

Event = tuple[int, str, str, str, int, int | None, int | None, str, str, int | None]
_HISTORY = """SELECT h.event, m.model_id, h.at, h.action, h.version, h.previous, h.current,
    h.because, h.by, h.before FROM history h JOIN models m ON m.model_key = h.model_key"""
# Tables that stand for themselves: whether each column holds text (t) or perhaps a number (n).
_PLAIN = {
    "settings": "ttt",
    "arrivals": "ttt",
    "self_tests": "tt",
    "measurements": "tttnt",
    "test_sets": "tttt",
    "scores": "ttttttnt",
    "preferences": "tttttt",
}
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@dataclass
class Salvaged:
    """Facts of the old database; whatever could not be read is missing.

    Attributes:
        last_versions: by model, the last number that was given out.
        current: by model, the current version.
        current_events: by model, the event that made it so.
        history: rows, in their order.
        tables: rows of the tables that stand for themselves, by the table's name.
    """

    last_versions: dict[str, int] = field(default_factory=dict)
    current: dict[str, int] = field(default_factory=dict)
    current_events: dict[str, int] = field(default_factory=dict)
    history: list[Event] = field(default_factory=list)
    tables: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)

    def put_into(self, connection: Connection) -> None:
        """Write history and the plain tables into a new database that has the models."""
        keys = dict(connection.execute("SELECT model_id, model_key FROM models").fetchall())
        events = {row[0] for row in self.history}
        connection.executemany(
            "INSERT INTO history (event, model_key, at, action, version, previous, current,"
            " because, by, before) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (event, keys[model_id], *rest, before if before in events else None)
                for event, model_id, *rest, before in self.history
                if model_id in keys
            ],
        )
        for table, rows in self.tables.items():
            marks = ", ".join("?" * len(_PLAIN[table]))
            connection.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", rows)

    def restore_pointer(self, connection: Connection, key: int, model_id: str) -> None:
        """Let the model's current version be what it was, if that and its event are known."""
        event = self.current_events.get(model_id)
        if any(row[0] == event and row[1] == model_id for row in self.history):
            connection.execute(
                "UPDATE models SET current_version = ?, current_event = ? WHERE model_key = ?",
                (self.current.get(model_id), event, key),
            )


def check_damaged(database: Path) -> None:
    """Refuse to replace a database that is whole, or not ours.

    Raises:
        RegistryError: it is whole, of a newer vsat, or another program's.
        StorageError: it can't be looked at.
    """
    if not database.exists():
        return
    try:
        with closing(_open(database)) as connection:
            if schema_number(connection) == 0:
                return
            found = connection.execute("PRAGMA integrity_check(1)").fetchall()
    except sqlite3.Error as error:
        if (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF in _DAMAGE:
            return
        raise StorageError(
            f"The registry's database {database} can't be looked at ({error}).",
            hint="Check the folder's permissions and its disk.",
        ) from error
    if found == [("ok",)]:
        raise RegistryError(
            f"The registry's database {database} is whole.",
            hint="There is nothing to rebuild; damaged versions are for `vsat repair`.",
        )


def read(database: Path) -> Salvaged:
    """Read whatever can be read, and believe only what makes sense."""
    found = Salvaged()
    if not database.exists():
        return found
    with suppress(sqlite3.Error), closing(_open(database)) as connection:
        statement = "SELECT model_id, last_version, current_version, current_event FROM models"
        for model_id, last, current, event in _rows(connection, statement):
            if _is_id(model_id) and _is_count(last):
                found.last_versions[model_id] = last
                if _is_count(current) and current:
                    found.current[model_id] = current
                    found.current_events[model_id] = event
        for row in _rows(connection, f"{_HISTORY} ORDER BY h.event"):
            texts = (row[2], row[3], row[7], row[8])
            if _is_id(row[1]) and _is_count(row[4]) and all(isinstance(t, str) for t in texts):
                found.history.append(row)
        for table, kinds in _PLAIN.items():
            rows = _rows(connection, f"SELECT * FROM {table}")
            found.tables[table] = [row for row in rows if _is_of(row, kinds)]
    return found


def _open(database: Path) -> sqlite3.Connection:
    # Not read-only: what a crash left in the journal has to be undone before it is looked at.
    return sqlite3.connect(database.absolute().as_uri() + "?mode=rw", uri=True)


def _rows(connection: sqlite3.Connection, statement: str) -> Iterator[tuple[Any, ...]]:
    """The rows up to where the damage begins."""
    with suppress(sqlite3.Error, UnicodeDecodeError, OverflowError):
        yield from connection.execute(statement)


def _is_of(row: tuple[Any, ...], kinds: str) -> bool:
    return len(row) == len(kinds) and all(
        isinstance(cell, str if kind == "t" else float | int | None)
        for cell, kind in zip(row, kinds, strict=True)
    )


def _is_id(value: object) -> bool:
    try:
        return check_name(value) == value
    except UsageError:
        return False


def _is_count(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < 1 << 53
