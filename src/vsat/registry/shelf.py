"""Versions come and go here: their folders and their records are kept in step.

A folder is in its place before its record is committed, and a record is gone before its folder is.
So a crash can leave a folder without a record, never a record without a folder. A note beside it
tells such a folder from one whose record was lost with an older database that was put back: the
first is removed, the second is kept and its number passed over.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vsat.bundle import SEPARATION, Bundle
from vsat.errors import VsatError
from vsat.files import map_os_errors
from vsat.registry import catalogue, records, staging, timeline
from vsat.registry.intake import Submission
from vsat.registry.records import Change, VersionRecord
from vsat.registry.reference import no_such_version
from vsat.registry.store import Connection, Store

SelfTest = Callable[[Bundle], None]
LINK_CANDIDATES = 4  # equal files that are tried, newest first; one may be damaged or full of links


@dataclass(frozen=True)
class Terms:
    """Under what conditions a version comes in.

    Attributes:
        origin: where it comes from: "file", "package" or "import".
        at_least: the lowest number that it may get.
        arrival: kind and digest of what comes in by itself; once only.
        created_at: the time it was made, if not now.
        replaces: whether it takes the place of the model's current version.
        must_work: whether it must pass the self-test though it doesn't become current.
    """

    origin: str = "file"
    at_least: int = 1
    arrival: tuple[str, str] | None = None
    created_at: str | None = None
    replaces: bool = False
    must_work: bool = False


_USUAL = Terms()


class Shelf:
    """The folder of all models with the database beside it.

    Args:
        store: the database.
        folder: of the models.
        self_test: loads and runs a separation bundle; raises if it doesn't work.
    """

    def __init__(self, store: Store, folder: Path, self_test: SelfTest) -> None:
        self.store = store
        self.folder = folder
        self._self_test = self_test

    def add(self, submission: Submission, change: Change, terms: Terms = _USUAL) -> int:
        """Stage, check, place and record a version; a model's first one becomes current.

        Returns:
            Its number; 0 if it arrives by itself and has done so before.

        Raises:
            UsageError: the id differs from another only in case or composition.
            DamagedError: the submitted bundle's digests don't fit.
            SelfTestError: it would become current and doesn't work.
            StorageError: the disk is full, read-only or out of reach.
        """
        self.store.check_writable()
        name = submission.manifest.id
        found = self.store.row(catalogue.LIKE_IT, (records.folded(name),))
        if found:
            catalogue.check_not_confusable(name, found)
        expected = max((found[1] if found else 0) + 1, terms.at_least)
        staged = staging.stage(submission, expected, self.folder, self.find_equal)
        try:
            if terms.replaces or terms.must_work or not found:
                self.check_works(staged.bundle, change.at)
            return self._publish(staged, change, terms, submission.came_from)
        except BaseException:
            staging.discard(staged.bundle.path)
            raise

    def remove(
        self,
        record: VersionRecord,
        change: Change,
        may_go: Callable[[Connection, VersionRecord], None] = lambda *_: None,
    ) -> None:
        """Remove a version's record, then its folder.

        Args:
            record: of the version.
            change: what the history says of it.
            may_go: called under the lock before; what it raises prevents it.

        Raises:
            InUseError: it is the current one.
            ModelNotFoundError: it is gone already.
            StorageError: the disk is read-only or out of reach.
        """
        with self.store.writing() as connection:
            key = catalogue.key_of(connection, record.model_id, record.version)
            if key is None:
                raise no_such_version(record.model_id, record.version, [])
            may_go(connection, record)
            catalogue.remove_version(connection, key, record.version, change)
        staging.discard(record.path)

    def check_works(self, bundle: Bundle, at: str) -> None:
        """Run the self-test, unless this content has passed it before.

        Raises:
            SelfTestError: it doesn't work.
        """
        manifest = bundle.manifest
        if manifest.task != SEPARATION:
            return
        digest = manifest.digest
        if self.store.row("SELECT 1 FROM self_tests WHERE digest = ?", (digest,)):
            return
        self._self_test(bundle)
        self.note_works(bundle, at)

    def note_works(self, bundle: Bundle, at: str) -> None:
        """Note that this content has passed its self-test."""
        row = (bundle.manifest.digest, at)
        with self.store.writing() as connection:
            connection.execute("INSERT OR IGNORE INTO self_tests VALUES (?, ?)", row)

    def left_over(self) -> list[Path]:
        """Folders that crashed runs left: unfinished, not yet recorded, or no longer."""
        if not self.store.writable:
            return self._find_left_over()
        with self.store.writing():  # so that no version is in its place and not yet recorded
            return self._find_left_over()

    def remove_left_over(self) -> list[Path]:
        """Remove what `left_over` names, and return it."""
        with self.store.writing():
            found = self._find_left_over()
            for path in found:
                staging.drop(path)
        return found

    def _find_left_over(self) -> list[Path]:
        found = [path for path in self._unrecorded() if self._may_go(path)]
        return sorted([*staging.abandoned(self.folder), *found])

    def without_record(self) -> list[Path]:
        """Versions' folders that the database does not know and that no crash explains."""
        return sorted(path for path in self._unrecorded() if not self._may_go(path))

    def _unrecorded(self) -> Iterator[Path]:
        of_model = """SELECT v.version FROM versions v JOIN models m USING (model_key)
            WHERE m.model_id = ?"""
        for folder in self.folder.iterdir() if self.folder.is_dir() else ():
            recorded = {str(number) for (number,) in self.store.rows(of_model, (folder.name,))}
            yield from (path for path in _numbered(folder) if path.name not in recorded)

    def _may_go(self, unrecorded: Path) -> bool:
        """Whether this version was deleted, or its registration was cut short."""
        known = """SELECT 1 FROM history h JOIN models m USING (model_key)
            WHERE m.model_id = ? AND h.version = ? LIMIT 1"""
        about = (unrecorded.parent.name, int(unrecorded.name))
        return self.store.row(known, about) is not None or staging.is_announced(unrecorded)

    def has_versions(self) -> bool:
        """Whether there is any version's folder, recorded or not."""
        with suppress(FileNotFoundError, NotADirectoryError):
            return any(any(_numbered(model)) for model in self.folder.iterdir())
        return False

    def _publish(
        self, staged: staging.Staged, change: Change, terms: Terms, came_from: str | None
    ) -> int:
        name = staged.bundle.manifest.id
        place = left_over = None
        try:
            with map_os_errors(f"adding a version of {name}"), self.store.writing() as connection:
                if terms.arrival and catalogue.has_arrived(connection, *terms.arrival):
                    staging.discard(staged.bundle.path)
                    return 0
                key, last = catalogue.find_or_add_model(connection, name, change.at)
                number = self._free_number(name, max(last + 1, terms.at_least))
                if number != staged.bundle.manifest.version:
                    staged = staging.renumbered(staged, number)
                place = self.folder / name / str(number)
                note = staging.announce(place)
                left_over = staging.move_in(staged.bundle.path, place)
                self._record(connection, key, staged, change, terms, came_from)
        except BaseException:
            if place is not None:
                self._withdraw(name, place)
            raise
        if left_over is not None:
            staging.discard(left_over)
        staging.retract([note] if left_over is None else staging.notes_beside(place))
        return number

    def _free_number(self, name: str, number: int) -> int:
        """The number, or the next one whose place holds nothing that could be somebody's."""
        while os.path.lexists(place := self.folder / name / str(number)):
            if staging.is_announced(place):
                break
            number += 1
        return number

    def _record(
        self,
        connection: Connection,
        key: int,
        staged: staging.Staged,
        change: Change,
        terms: Terms,
        came_from: str | None,
    ) -> None:
        manifest = staged.bundle.manifest
        catalogue.insert_version(
            connection,
            key,
            manifest,
            staged.files,
            created_at=terms.created_at or change.at,
            origin=terms.origin,
            came_from=came_from,
        )
        if terms.replaces or timeline.current_of(connection, key) is None:
            timeline.point_at(connection, key, manifest.version, change)
        else:
            timeline.note(connection, key, manifest.version, change)
        if terms.arrival:
            catalogue.note_arrival(connection, *terms.arrival, change.at)

    def _withdraw(self, name: str, place: Path) -> None:
        """Remove a folder whose record was not committed; keep it where that can't be known."""
        with suppress(VsatError), self.store.writing() as connection:
            if catalogue.key_of(connection, name, int(place.name)) is None:
                staging.drop(place)

    def find_equal(self, size: int, sha256: str | None) -> Iterator[Path]:
        """Files of this size and digest; without a digest one path if there are any of the size."""
        if sha256 is None:
            found = self.store.row("SELECT 1 FROM files WHERE bytes = ? LIMIT 1", (size,))
            yield from [self.folder] if found else []
            return
        statement = """SELECT m.model_id, f.version, f.name FROM files f
            JOIN models m ON m.model_key = f.model_key WHERE f.bytes = ? AND f.sha256 = ?
            ORDER BY f.model_key DESC, f.version DESC LIMIT ?"""
        for name, version, file in self.store.rows(statement, (size, sha256, LINK_CANDIDATES)):
            yield self.folder / name / str(version) / file


def _numbered(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        for path in folder.iterdir():
            if path.name.isascii() and path.name.isdigit():
                yield path
