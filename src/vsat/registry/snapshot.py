"""A copy of the database that nobody else uses: what it says, and small changes to it."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from vsat.bundle import FileRecord
from vsat.errors import RegistryError
from vsat.registry.records import QUARANTINED
from vsat.registry.schema import schema_number


def n_bytes_of(database: Path) -> int:
    """What all the files of its versions take, equal ones counted once."""
    statement = "SELECT coalesce(sum(bytes), 0) FROM (SELECT DISTINCT bytes, sha256 FROM files)"
    with _opened(database) as connection:
        return int(connection.execute(statement).fetchall()[0][0])


def files_of(database: Path) -> Iterator[tuple[str, int, str, FileRecord]]:
    """Id, version, name and record of every file."""
    with _opened(database) as connection:
        rows = connection.execute(
            "SELECT m.model_id, f.version, f.name, f.sha256, f.bytes FROM files f"
            " JOIN models m ON m.model_key = f.model_key ORDER BY m.model_id, f.version, f.name"
        ).fetchall()
    for model_id, version, name, sha256, size in rows:
        yield model_id, version, name, FileRecord(sha256, size)


def quarantine(database: Path, model_id: str, version: int) -> None:
    """Mark a version as damaged."""
    with _opened(database) as connection:
        connection.execute(
            "UPDATE versions SET state = ? WHERE version = ? AND model_key ="
            " (SELECT model_key FROM models WHERE model_id = ?)",
            (QUARANTINED, version, model_id),
        )


def check(database: Path) -> None:
    """Refuse what is no sound registry that this vsat can read.

    Raises:
        RegistryError: it is damaged, newer, or another program's.
    """
    try:
        with _opened(database) as connection:
            schema_number(connection)
            found = connection.execute("PRAGMA integrity_check(1)").fetchall()
    except sqlite3.Error as error:
        raise RegistryError(
            f"The database in the backup is damaged ({error}).", hint="Use another backup."
        ) from error
    if found != [("ok",)]:
        raise RegistryError(
            f"The database in the backup is damaged ({found[0][0]}).", hint="Use another backup."
        )


def last_numbers(database: Path) -> dict[str, int]:
    """The last number that each model has given out; empty where the database can't be read."""
    if not database.is_file():
        return {}
    try:
        with _opened(database, read_only=True) as connection:
            return dict(connection.execute("SELECT model_id, last_version FROM models").fetchall())
    except sqlite3.Error:
        return {}


def keep_numbers(database: Path, highest: Mapping[str, int]) -> None:
    """Let no model give out a number up to these again."""
    with _opened(database) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "UPDATE models SET last_version = max(last_version, ?) WHERE model_id = ?",
            [(number, model_id) for model_id, number in highest.items()],
        )
        connection.execute("COMMIT")


@contextmanager
def _opened(database: Path, *, read_only: bool = False) -> Iterator[sqlite3.Connection]:
    uri = database.absolute().as_uri() + ("?mode=ro" if read_only else "")
    connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        yield connection
    finally:
        connection.close()
