"""The database's tables, as numbered migrations.

A migration is never edited once released: what changes becomes the next number. Each is applied in
one transaction together with its record, so a database is always wholly of one schema. Whoever
opens an older database gets a say before its first step: that is when it is copied.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from vsat.errors import RegistryError

APPLICATION_ID = 0x76736174  # "vsat" in ASCII, in the header of the file


@dataclass(frozen=True)
class Migration:
    """One step of the schema."""

    number: int
    name: str
    statements: tuple[str, ...]


_FIRST = (
    """CREATE TABLE migrations (
        number INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        applied_at TEXT NOT NULL
    )""",
    # `folded` is the id as a file system that ignores case sees it. Counts and the current version
    # are kept here so that no list has to count the versions.
    """CREATE TABLE models (
        model_key INTEGER PRIMARY KEY,
        model_id TEXT NOT NULL UNIQUE,
        folded TEXT NOT NULL UNIQUE,
        created_at TEXT NOT NULL,
        last_version INTEGER NOT NULL DEFAULT 0,
        versions_count INTEGER NOT NULL DEFAULT 0,
        current_version INTEGER,
        current_event INTEGER
    )""",
    """CREATE TABLE versions (
        model_key INTEGER NOT NULL REFERENCES models,
        version INTEGER NOT NULL,
        digest TEXT NOT NULL,
        task TEXT NOT NULL,
        sample_rate INTEGER,
        sources INTEGER,
        size_bytes INTEGER NOT NULL,
        main_name TEXT NOT NULL,
        metadata TEXT NOT NULL,
        created_at TEXT NOT NULL,
        origin TEXT NOT NULL,
        PRIMARY KEY (model_key, version)
    ) WITHOUT ROWID""",
    "CREATE INDEX versions_by_digest ON versions (digest)",
    """CREATE TABLE files (
        model_key INTEGER NOT NULL,
        version INTEGER NOT NULL,
        name TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        PRIMARY KEY (model_key, version, name),
        FOREIGN KEY (model_key, version) REFERENCES versions ON DELETE CASCADE
    ) WITHOUT ROWID""",
    "CREATE INDEX files_by_content ON files (bytes, sha256)",
    # `before` is the event that rolling back leads to: the one that made the version before this
    # one current. It makes the history a list of what to undo as well as of what was done.
    """CREATE TABLE history (
        event INTEGER PRIMARY KEY AUTOINCREMENT,
        model_key INTEGER NOT NULL REFERENCES models,
        at TEXT NOT NULL,
        action TEXT NOT NULL,
        version INTEGER NOT NULL,
        previous INTEGER,
        current INTEGER,
        because TEXT NOT NULL,
        by TEXT NOT NULL,
        before INTEGER
    )""",
    "CREATE INDEX history_by_model ON history (model_key, event)",
    """CREATE TRIGGER history_is_not_changed BEFORE UPDATE ON history
        BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END""",
    """CREATE TRIGGER history_is_not_deleted BEFORE DELETE ON history
        BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END""",
    """CREATE TABLE self_tests (
        digest TEXT PRIMARY KEY,
        passed_at TEXT NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE measurements (
        digest TEXT NOT NULL,
        machine TEXT NOT NULL,
        key TEXT NOT NULL,
        value REAL NOT NULL,
        at TEXT NOT NULL,
        PRIMARY KEY (digest, machine, key)
    ) WITHOUT ROWID""",
    # What came in by itself, the package's model or an old registry, and must not come in again.
    """CREATE TABLE arrivals (
        kind TEXT NOT NULL,
        digest TEXT NOT NULL,
        at TEXT NOT NULL,
        PRIMARY KEY (kind, digest)
    ) WITHOUT ROWID""",
)

# `particulars` is what model.json says and no other column does: from it a lost manifest is written
# again. `particulars_of` reads it from the folders of an older registry.
_SECOND = (
    "ALTER TABLE versions ADD COLUMN state TEXT NOT NULL DEFAULT 'sound'",
    "ALTER TABLE versions ADD COLUMN came_from TEXT",
    "ALTER TABLE versions ADD COLUMN particulars TEXT",
    "ALTER TABLE versions ADD COLUMN base TEXT",  # id@version that it was tuned from
    "ALTER TABLE versions ADD COLUMN base_digest TEXT",
    """UPDATE versions SET particulars = particulars_of(
        (SELECT model_id FROM models m WHERE m.model_key = versions.model_key), version)""",
    """UPDATE versions SET base = json_extract(particulars, '$.lineage.base'),
        base_digest = json_extract(particulars, '$.lineage.base_digest')""",
    "CREATE INDEX versions_unsound ON versions (state) WHERE state <> 'sound'",
    "CREATE INDEX versions_by_base ON versions (base) WHERE base IS NOT NULL",
    "CREATE INDEX versions_by_base_digest ON versions (base_digest) WHERE base_digest IS NOT NULL",
    "CREATE INDEX history_by_version ON history (model_key, version, event)",
    "CREATE INDEX history_by_time ON history (at, event)",
    # Of what was current when: a model may have many events of which few changed that.
    """CREATE INDEX history_of_switches ON history (model_key, event)
        WHERE current IS NOT previous""",
    "ALTER TABLE models ADD COLUMN size_bytes INTEGER NOT NULL DEFAULT 0",  # of all its versions
    """UPDATE models SET size_bytes = (SELECT coalesce(sum(v.size_bytes), 0) FROM versions v
        WHERE v.model_key = models.model_key)""",
    """CREATE TABLE settings (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL,
        at TEXT NOT NULL
    ) WITHOUT ROWID""",
)

# Scores belong to contents, not to names: of a version by its digest, of a recording with its
# references by theirs. What is measured once holds wherever the same two meet again.
_THIRD = (
    """CREATE TABLE test_sets (
        name TEXT PRIMARY KEY,
        folded TEXT NOT NULL UNIQUE,
        document TEXT NOT NULL,
        created_at TEXT NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE scores (
        digest TEXT NOT NULL,
        example TEXT NOT NULL,
        machine TEXT NOT NULL,
        engine TEXT NOT NULL,
        precision TEXT NOT NULL,
        measure TEXT NOT NULL,
        value REAL,
        at TEXT NOT NULL,
        PRIMARY KEY (digest, example, machine, engine, precision, measure)
    ) WITHOUT ROWID""",
    "CREATE INDEX scores_by_example ON scores (example, measure)",
    """CREATE TABLE preferences (
        test_set TEXT NOT NULL,
        file TEXT NOT NULL,
        one TEXT NOT NULL,
        other TEXT NOT NULL,
        preferred TEXT NOT NULL,
        at TEXT NOT NULL
    )""",
    "CREATE INDEX preferences_by_pair ON preferences (one, other)",
)

MIGRATIONS = (
    Migration(1, "models, versions, files, history", _FIRST),
    Migration(2, "damage, where versions came from, settings", _SECOND),
    Migration(3, "test sets, scores, preferences", _THIRD),
)
LATEST = MIGRATIONS[-1].number


def schema_number(connection: sqlite3.Connection) -> int:
    """The schema of a database; 0 for an empty one.

    Raises:
        RegistryError: it is newer than this vsat, or the file is not a registry.
    """
    number, n_tables, application = _header(connection)
    if number > LATEST:
        raise RegistryError(
            f"The registry was written by a newer vsat (schema {number}, this one reads {LATEST}).",
            hint="Upgrade vsat.",
        )
    if (n_tables > 0) if number == 0 else (application != APPLICATION_ID):
        raise RegistryError(
            "The file registry.db belongs to another program.",
            hint="Choose another folder as VSAT_HOME.",
        )
    return number


def _header(connection: sqlite3.Connection) -> list[int]:
    """Schema, number of tables and program: all of one moment, as others may be migrating."""
    alone = not connection.in_transaction
    if alone:
        connection.execute("BEGIN")
    try:
        return [
            int(connection.execute(statement).fetchall()[0][0])
            for statement in (
                "PRAGMA user_version",
                "SELECT count(*) FROM sqlite_master",
                "PRAGMA application_id",
            )
        ]
    finally:
        if alone and connection.in_transaction:
            connection.execute("COMMIT")


def migrate(
    connection: sqlite3.Connection,
    at: str,
    *,
    before_first: Callable[[], None] = lambda: None,
    before_upgrade: Callable[[int], None] = lambda _: None,
    particulars_of: Callable[[str, int], str | None] = lambda *_: None,
) -> None:
    """Bring a database to the latest schema: a new one at once, an older one step by step.

    Args:
        connection: in autocommit mode.
        at: the time, for the records of the steps.
        before_first: called under the lock before the tables are made; what it raises prevents it.
        before_upgrade: likewise before an older database is changed; given its schema.
        particulars_of: what the folder of a version, by id and number, says beyond the database.

    Raises:
        RegistryError: the database is newer than this vsat, or is no registry.
    """
    connection.create_function("particulars_of", 2, particulars_of)
    asked = False
    while schema_number(connection) < LATEST:
        connection.execute("BEGIN IMMEDIATE")
        try:
            number = schema_number(connection)  # again: another process may have done it
            if number == 0:
                before_first()
            elif number < LATEST and not asked:
                before_upgrade(number)
                asked = True
            for step in MIGRATIONS[number : None if number == 0 else number + 1]:
                _apply(connection, step, at)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _apply(connection: sqlite3.Connection, step: Migration, at: str) -> None:
    for statement in step.statements:
        connection.execute(statement)
    connection.execute("INSERT INTO migrations VALUES (?, ?, ?)", (step.number, step.name, at))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {step.number}")
