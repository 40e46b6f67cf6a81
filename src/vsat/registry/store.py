"""The database file: connections, transactions, and errors in vsat's words.

Each thread of each process has a connection of its own. Reads are single statements; writes take
the lock at their beginning (`BEGIN IMMEDIATE`), so none fails half-way for want of it. A home that
can't be written is opened for reading only.
"""

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vsat.errors import RegistryError, StorageError, VsatError
from vsat.files import check_free_space, make_folders, map_os_errors, replace_atomically
from vsat.registry.forking import apart_from_forks
from vsat.registry.schema import LATEST, migrate, schema_number

BUSY_TIMEOUT_S = 60.0  # 32 processes that write at once, each with slow disk, wait less
MAX_JOURNAL_BYTES = 1 << 20  # kept between changes; most need a few pages of 4 KiB
Connection = sqlite3.Connection
Row = tuple[Any, ...]

_writing = threading.RLock()  # SQLite would have threads poll for their turn
_inherited: list[sqlite3.Connection] = []  # SQLite forbids a child even to close these


class _Handle:
    """A connection that knows its process."""

    def __init__(self, connection: sqlite3.Connection, *, writable: bool) -> None:
        self.connection = connection
        self.writable = writable
        self.process = os.getpid()

    def close(self) -> None:
        if self.process == os.getpid():
            self.connection.close()
        else:
            _inherited.append(self.connection)

    __del__ = close


class Store:
    """The registry's database at a path; opened when it is first used.

    Args:
        path: of the database; its folder is made when needed.
        now: the time as text.
        before_first: called under the lock before the tables of a new database are made.
        particulars_of: what the folder of a version, by id and number, says beyond the database.
    """

    def __init__(
        self,
        path: Path,
        now: Callable[[], str],
        before_first: Callable[[], None] = lambda: None,
        particulars_of: Callable[[str, int], str | None] = lambda *_: None,
    ) -> None:
        self.path = path
        self._now = now
        self._before_first = before_first
        self._particulars_of = particulars_of
        self._local = threading.local()
        self._handles: weakref.WeakSet[_Handle] = weakref.WeakSet()

    @property
    def writable(self) -> bool:
        """Whether this home can be written to."""
        return self._handle().writable

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """All rows that a statement gives.

        Raises:
            RegistryError: the database is damaged or held by another process.
            StorageError: it can't be read.
        """
        with apart_from_forks:
            try:
                return self._handle().connection.execute(statement, parameters).fetchall()
            except sqlite3.Error as error:
                raise self._explain(error) from error

    def row(self, statement: str, parameters: Sequence[object] = ()) -> Row | None:
        """The first row that a statement gives, or None.

        Raises:
            RegistryError: the database is damaged or held by another process.
            StorageError: it can't be read.
        """
        found = self.rows(statement, parameters)
        return found[0] if found else None

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: committed durably at the end, undone if the body raises.

        Raises:
            RegistryError: the database is damaged or held by another process.
            StorageError: it can't be written.
        """
        self.check_writable()
        connection = self._handle().connection
        try:
            with apart_from_forks, _writing:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise self._explain(error) from error

    def copy_to(self, target: Path) -> None:
        """Write a consistent copy of the database, durably, also while others write.

        Raises:
            RegistryError: the database is damaged.
            StorageError: the copy can't be written.
        """
        check_free_space(target.parent, self.path.stat().st_size)
        try:
            with replace_atomically(target) as staged:
                source = self._connect(self._readable_uri())
                try:
                    _copy(source, staged)
                finally:
                    source.close()
        except sqlite3.Error as error:
            raise self._explain(error) from error

    def check_writable(self) -> None:
        """Refuse to write where it can't work.

        Raises:
            StorageError: the home is read-only.
        """
        if not self._handle().writable:
            raise StorageError(
                f"The registry in {self.path.parent} can't be written to.",
                hint="Choose another folder as VSAT_HOME, or change its permissions.",
            )

    def close(self) -> None:
        """Close this process's connections; the next use opens again."""
        for handle in list(self._handles):
            handle.close()
        self._local = threading.local()
        self._handles.clear()

    def _handle(self) -> _Handle:
        handle: _Handle | None = getattr(self._local, "handle", None)
        if handle is None or handle.process != os.getpid():
            with apart_from_forks:
                handle = self._open()
            self._local.handle = handle
            self._handles.add(handle)
        return handle

    def _open(self) -> _Handle:
        try:
            return self._open_writable() if self._can_write() else self._open_readable()
        except sqlite3.Error as error:
            raise self._explain(error) from error

    def _can_write(self) -> bool:
        folder = self.path.parent
        with map_os_errors(f"opening the registry in {folder}"):
            try:
                make_folders(folder)
            except OSError:
                if folder.exists():
                    raise
                return False
        # In this order: another process may make the database between the two questions.
        can_write_file = not self.path.exists() or os.access(self.path, os.W_OK)
        return can_write_file and os.access(folder, os.W_OK | os.X_OK)

    def _open_writable(self) -> _Handle:
        handle = _Handle(self._connect(self.path.as_uri()), writable=True)
        try:
            _make_durable(handle.connection)
            with _writing:
                migrate(
                    handle.connection,
                    self._now(),
                    before_first=self._before_first,
                    before_upgrade=self._keep_copy,
                    particulars_of=self._particulars_of,
                )
            handle.connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            handle.close()
            raise
        return handle

    def _open_readable(self) -> _Handle:
        if not self.path.exists():
            handle = _Handle(self._connect("file::memory:"), writable=False)
            migrate(handle.connection, self._now())
            return handle
        handle = _Handle(self._connect(self._readable_uri()), writable=False)
        if schema_number(handle.connection) < LATEST:  # it is upgraded in memory, for this process
            copy = _Handle(self._connect("file::memory:"), writable=False)
            handle.connection.backup(copy.connection)
            handle.close()
            migrate(copy.connection, self._now(), particulars_of=self._particulars_of)
            return copy
        return handle

    def _keep_copy(self, number: int) -> None:
        """Keep the database as it is before an upgrade, beside it."""
        self.copy_to(self.path.with_name(f"{self.path.name}.schema-{number}"))

    def _readable_uri(self) -> str:
        uri = self.path.as_uri() + "?mode=ro"
        try:
            connection = self._connect(uri)
            try:
                connection.execute("PRAGMA user_version").fetchall()
            finally:
                connection.close()
        except sqlite3.OperationalError:  # a write-ahead log can't be opened without writing
            if has_changes_beside(self.path):
                raise
            return uri + "&immutable=1"
        return uri

    def _connect(self, uri: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA trusted_schema = OFF")
        return connection

    def _explain(self, error: sqlite3.Error) -> VsatError:
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        place = self.path
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return RegistryError(
                f"The registry's database {place} is damaged ({error}).",
                hint="Make a new one from the folders of the versions: `vsat doctor --rebuild`. "
                "Or get a backup back: `vsat restore`.",
            )
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return RegistryError(
                f"Another process has held the registry {place} for too long.",
                hint="Run it again when that one is done.",
            )
        if code == sqlite3.SQLITE_FULL:
            return StorageError(
                f"The disk is full while writing {place}.", hint="Free some space and run it again."
            )
        if code in (
            sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_IOERR,
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_PERM,
        ):
            return StorageError(
                f"The registry's database {place} can't be used ({error}).",
                hint="Check the folder's permissions and its disk.",
            )
        return RegistryError(f"The registry's database {place} failed ({error}).")


def _copy(source: sqlite3.Connection, target: Path) -> None:
    copy = sqlite3.connect(target, isolation_level=None)
    try:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE").fetchall()  # one file that needs no other
    finally:
        copy.close()


def _make_durable(connection: sqlite3.Connection) -> None:
    # SQLite before 3.51.3 can lose the log of a write-ahead database with several checkpointers.
    # There the journal stays, ended by zeros that SQLite syncs: as durable as deleting it and then
    # syncing the folder, and quicker. (That a new journal's name can't be synced SQLite ignores.)
    safe = sqlite3.sqlite_version_info >= (3, 51, 3)
    _set_journal(connection, "wal" if safe else "persist")
    connection.execute(f"PRAGMA synchronous = {'FULL' if safe else 'EXTRA'}")
    connection.execute(f"PRAGMA journal_size_limit = {MAX_JOURNAL_BYTES}")


def has_changes_beside(database: Path) -> bool:
    """Whether a log or journal may hold changes; one that is empty or begins with zero does not."""
    for end in ("-wal", "-journal"):
        with suppress(FileNotFoundError), open(f"{database}{end}", "rb") as file:
            if file.read(1) not in (b"", b"\0"):
                return True
    return False


def _set_journal(connection: sqlite3.Connection, wanted: str) -> None:
    """Change the kind of journal; SQLite doesn't wait by itself for others that do so too."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while connection.execute("PRAGMA journal_mode").fetchall()[0][0] != wanted:
        try:
            connection.execute(f"PRAGMA journal_mode = {wanted}").fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
