"""A limit to the room that all versions take, and which of them go for a new one to come in."""

from collections.abc import Callable, Sequence

from vsat.errors import StorageError, UsageError
from vsat.files import sha256_of
from vsat.registry import space
from vsat.registry.intake import Submission
from vsat.registry.listing import Listing
from vsat.registry.records import Change, VersionRecord
from vsat.registry.shelf import Shelf, Terms

NAME = "quota"  # of the setting; its value is in bytes
BeforeEviction = Callable[[Sequence[VersionRecord]], None]


class Quota:
    """What `ModelRegistry.upkeep.quota` gives.

    Args:
        shelf: the versions.
        change: makes what the history says, from an action and a reason.
    """

    def __init__(self, shelf: Shelf, change: Callable[[str, str], Change]) -> None:
        self._shelf = shelf
        self._store = shelf.store
        self._change = change
        self._listing = Listing(shelf.store, shelf.folder)

    def limit(self) -> int | None:
        """How many bytes the versions may take; None if that is not limited."""
        row = self._store.row("SELECT value FROM settings WHERE name = ?", (NAME,))
        return None if row is None else int(row[0])

    def set(self, n_bytes: int | None) -> None:
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
                connection.execute("DELETE FROM settings WHERE name = ?", (NAME,))
            else:
                row = (NAME, str(n_bytes), self._change("config", "").at)
                connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?, ?)", row)

    def plan(self, needed_bytes: int = 0, bases: Sequence[object] = ()) -> list[VersionRecord]:
        """What has to go, oldest first, for so many bytes more to be within the quota.

        Args:
            needed_bytes: that come in.
            bases: names or digests that what comes in was tuned from; these stay too.

        Raises:
            StorageError: more has to go than may.
        """
        quota = self.limit()
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

    def admit(
        self,
        submission: Submission,
        change: Change,
        before_eviction: BeforeEviction | None,
        terms: Terms,
    ) -> int:
        """Add a version and then remove what has to go for it; see `plan`.

        Raises:
            StorageError: the quota has no room and nothing may go.
        """
        lineage = submission.manifest.lineage or {}
        bases = [base for key in ("base", "base_digest") if (base := lineage.get(key))]
        plan = self.plan(self._new_bytes(submission), bases)
        if plan:
            (before_eviction or _log)(plan)
        number = self._shelf.add(submission, change, terms)
        because = f"the quota; room for {submission.manifest.id}@{number}"
        for record in plan:
            space.remove(self._shelf, record, self._change("evict", because))
        return number

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
        row = self._store.row("SELECT coalesce(sum(size_bytes), 0) FROM models")
        return int(row[0]) if row else 0


def _log(plan: Sequence[VersionRecord]) -> None:
    import logging  # only here: it is rarely needed and takes its time

    going = ", ".join(f"{record.model_id}@{record.version}" for record in plan)
    logging.getLogger("vsat").warning("The quota is reached; these versions go: %s", going)
