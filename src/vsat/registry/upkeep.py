"""Keeping a home in order over the years: repair, space and quota, copies of it all."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vsat.errors import UsageError
from vsat.progress import Progress, silent
from vsat.registry import space
from vsat.registry.listing import Listing
from vsat.registry.quota import Quota
from vsat.registry.records import Change
from vsat.registry.reference import Reference, parse_reference
from vsat.registry.repair import Repair, repair
from vsat.registry.shelf import Shelf
from vsat.registry.verification import Verification

if TYPE_CHECKING:
    from vsat.registry.backup import Backup
    from vsat.registry.rebuild import Rebuilt


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
            if dry_run or space.remove(self._shelf, record, change)
        ]

    @property
    def quota(self) -> Quota:
        """How much room all versions may take."""
        return Quota(self._shelf, self._change)

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
        from vsat.registry.restore import restore

        self._store.close()
        return restore(Path(path), self._home, replace=replace, progress=progress)

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

    def _existing(self, model_id: str) -> Reference:
        wanted = parse_reference(model_id)
        self._listing.record(wanted)
        return wanted
