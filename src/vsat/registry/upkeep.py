"""Keeping a home in order over the years: repair, space and quota, copies of it all."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vsat.errors import InUseError, StorageError, UsageError
from vsat.files import sha256_of
from vsat.progress import Progress, silent
from vsat.registry import space
from vsat.registry.intake import Submission
from vsat.registry.listing import Listing
from vsat.registry.records import Change, VersionRecord
from vsat.registry.reference import Reference, parse_reference
from vsat.registry.repair import Repair, repair
from vsat.registry.shelf import Shelf, Terms
from vsat.registry.verification import Verification

if TYPE_CHECKING:
    from vsat.registry.backup import Backup
    from vsat.registry.rebuild import Rebuilt

QUOTA = "quota"  # the setting's name; its value in bytes
BeforeEviction = Callable[[Sequence[VersionRecord]], None]


class Upkeep:
    """What `ModelRegistry.upkeep` gives.

    Args:
        shelf: the versions.
        home: the folder of it all.
        package_folder: where the models that ship with vsat are.
        change: makes what the history says, from an action and a reason.
    """

    def __init__(
        self,
        shelf: Shelf,
        home: Path,
        package_folder: Path,
        change: Callable[[str, str], Change],
    ) -> None:
        self._shelf = shelf
        self._store = shelf.store
        self._home = home
        self._package_folder = package_folder
        self._change = change
        self._listing = Listing(shelf.store, shelf.folder)

    def repair(
        self, model_id: str | None = None, *, because: str = "", progress: Progress | None = None
    ) -> list[Repair]:
        """Find damaged versions, of all models or of the one named, and get them back.

        A file comes from an equal file of another version, from the path that was registered, if it
        still has the digest, or from what ships with vsat.

        Returns:
            What became of each version that was damaged or quarantined, and of the one named.

        Raises:
            ModelNotFoundError: there is no such model or version.
            StorageError: the home can't be written, or the disk is full.
        """
        self._store.check_writable()
        wanted = None if model_id is None else self._existing(model_id)
        name, number = wanted or (None, None)
        found = Verification(self._store, self._shelf.folder).run(name, number, progress)
        damaged = {(entry["model_id"], entry["version"]) for entry in found}
        chosen = [
            record
            for record in self._listing.records(wanted)
            if record.is_quarantined
            or (record.model_id, record.version) in damaged
            or number is not None
        ]
        change = self._change("repair", because)
        return [repair(one, self._shelf, self._package_folder, change) for one in chosen]

    def usages(self) -> tuple[list[space.Usage], int]:
        """What each version takes, and all of them with every file counted once, in bytes."""
        occupancy = space.Occupancy(self._listing.records(None))
        return occupancy.usages(), occupancy.total_bytes

    def prune(
        self,
        keep: int,
        model_id: str | None = None,
        *,
        dry_run: bool = False,
        because: str = "",
    ) -> list[space.Usage]:
        """Delete all but the newest versions of each model, or of the one named.

        Never the current version, the one that rolling back leads to, or one that another version
        was tuned from.

        Args:
            keep: how many sound versions of a model stay at least.
            model_id: of this model only.
            dry_run: only say what would go.
            because: why, for the history.

        Returns:
            What went, oldest first, each with the bytes that it freed as `alone_bytes`.

        Raises:
            UsageError: keep is negative.
            ModelNotFoundError: there is no such model.
            StorageError: the home can't be written.
        """
        if isinstance(keep, bool) or not isinstance(keep, int) or keep < 0:
            raise UsageError(f"{keep!r:.40} versions can't be kept.", hint="Give 0 or more.")
        name = None if model_id is None else self._existing(model_id).model_id
        if not dry_run:
            self._store.check_writable()
        everything = self._listing.records(None)
        occupancy = space.Occupancy(everything)
        going = [
            record
            for record in space.candidates(everything, keep, self._store.rows)
            if name in (None, record.model_id)
        ]
        change = self._change("prune", because or f"keeping {keep}")
        return [
            space.Usage(record.model_id, record.version, record.size_bytes, freed)
            for record, freed in [(one, occupancy.remove(one)) for one in going]
            if dry_run or self._remove(record, change)
        ]

    def quota(self) -> int | None:
        """How many bytes the versions may take; None if that is not limited."""
        row = self._store.row("SELECT value FROM settings WHERE name = ?", (QUOTA,))
        return None if row is None else int(row[0])

    def set_quota(self, n_bytes: int | None) -> None:
        """Limit what the versions may take; nothing goes before the next registration.

        Raises:
            UsageError: it is not a number from 1 on.
            StorageError: the home can't be written.
        """
        if n_bytes is not None and (
            isinstance(n_bytes, bool) or not isinstance(n_bytes, int) or not 0 < n_bytes < 1 << 62
        ):
            raise UsageError(f"{n_bytes!r:.40} can't be a quota.", hint="Give a number of bytes.")
        with self._store.writing() as connection:
            if n_bytes is None:
                connection.execute("DELETE FROM settings WHERE name = ?", (QUOTA,))
            else:
                row = (QUOTA, str(n_bytes), self._change("config", "").at)
                connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?, ?)", row)

    def eviction_plan(
        self, needed_bytes: int = 0, bases: Sequence[object] = ()
    ) -> list[VersionRecord]:
        """What has to go, oldest first, for so many bytes more to be within the quota.

        Args:
            needed_bytes: that come in.
            bases: names or digests that what comes in was tuned from; these stay too.

        Raises:
            StorageError: more has to go than may.
        """
        quota = self.quota()
        if quota is None or self._at_most_bytes() + needed_bytes <= quota:
            return []
        everything = self._listing.records(None)
        occupancy = space.Occupancy(everything)
        excess = occupancy.total_bytes + needed_bytes - quota
        plan = []
        for record in space.candidates(everything, 0, self._store.rows) if excess > 0 else ():
            if excess <= 0:
                break
            if not space.named_as_base(record, bases):
                plan.append(record)
                excess -= occupancy.remove(record)
        if excess > 0:
            raise StorageError(
                f"The quota of {quota / 1e6:.1f} MB is exceeded by {excess / 1e6:.1f} MB even "
                "without all versions that may go; nothing was done.",
                hint="Raise it with `vsat config quota`, or delete versions with `vsat rm`.",
            )
        return plan

    def add_within_quota(
        self,
        submission: Submission,
        change: Change,
        before_eviction: BeforeEviction | None,
        terms: Terms,
    ) -> int:
        """Add a version and then remove what has to go for it; see `eviction_plan`.

        Raises:
            StorageError: the quota has no room and nothing may go.
        """
        lineage = submission.manifest.lineage or {}
        bases = [base for key in ("base", "base_digest") if (base := lineage.get(key))]
        plan = self.eviction_plan(self._new_bytes(submission), bases)
        if plan:
            (before_eviction or _log)(plan)
        number = self._shelf.add(submission, change, terms)
        because = f"the quota; room for {submission.manifest.id}@{number}"
        for record in plan:
            self._remove(record, self._change("evict", because))
        return number

    def backup(self, path: str | Path, *, progress: Progress = silent) -> "Backup":
        """Write the whole home, as it is at one moment, into one new file.

        Raises:
            UsageError: there is something at the path, or it lies within the home.
            RegistryError: the database is damaged.
            StorageError: the file can't be written, or there is too little room.
        """
        from vsat.registry import backup

        self._store.rows("SELECT 1")  # makes or upgrades the database where needed
        return backup.write(self._store, self._home, Path(path), progress)

    def restore(
        self, path: str | Path, *, replace: bool = False, progress: Progress = silent
    ) -> "Backup":
        """Bring the home back from a backup, whole or not at all, each file compared first.

        A home that holds something is replaced only if asked to, and then kept beside the new one.
        No version's number that it had given out is given out again. No other process should use
        the home meanwhile.

        Raises:
            UsageError: the home holds something, or the file is no backup.
            DamagedError: a file of the backup is not what was written into it.
            RegistryError: the database in it is damaged, or of a newer vsat.
            StorageError: there is too little room, or the place can't be written.
        """
        from vsat.registry import backup

        self._store.close()
        return backup.restore(Path(path), self._home, replace=replace, progress=progress)

    def rebuild(self) -> "Rebuilt":
        """Make a new database from the versions' folders where it is damaged or gone.

        The old one is kept beside it; what can still be read of it is taken over. No other process
        should use the home meanwhile.

        Raises:
            RegistryError: the database is whole, of a newer vsat, or another program's.
            StorageError: the home can't be written.
        """
        from vsat.registry import rebuild

        self._store.close()
        change = self._change("rebuild", "")
        return rebuild.rebuild(self._store.path, self._shelf.folder, self._package_folder, change)

    def _remove(self, record: VersionRecord, change: Change) -> bool:
        with suppress(InUseError, KeyError):  # it came to be needed since, or is gone already
            self._shelf.remove(record, change, space.check_may_go)
            return True
        return False

    def _new_bytes(self, submission: Submission) -> int:
        """What a version takes beyond the files that are there already."""
        total = 0
        for path in submission.sources.values():
            size = path.stat().st_size
            known = any(True for _ in self._shelf.find_equal(size, None)) and any(
                True for _ in self._shelf.find_equal(size, sha256_of(path))
            )
            total += 0 if known else size
        return total

    def _at_most_bytes(self) -> int:
        """The room of all versions if they shared nothing."""
        row = self._store.row("SELECT coalesce(sum(size_bytes), 0) FROM versions")
        return int(row[0]) if row else 0

    def _existing(self, model_id: str) -> Reference:
        wanted = parse_reference(model_id)
        self._listing.record(wanted)
        return wanted


def _log(plan: Sequence[VersionRecord]) -> None:
    import logging  # only here: it is rarely needed and takes its time

    going = ", ".join(f"{record.model_id}@{record.version}" for record in plan)
    logging.getLogger("vsat").warning("The quota is reached; these versions go: %s", going)
