"""Making another version current: looked at first, then done under the lock."""

from collections.abc import Callable

from vsat.errors import RegistryError
from vsat.registry import catalogue, damage, timeline
from vsat.registry.listing import Listing
from vsat.registry.records import Change, VersionRecord
from vsat.registry.reference import Reference
from vsat.registry.shelf import Shelf
from vsat.registry.store import Connection


class Switching:
    """Moves the pointers to the current versions.

    Args:
        shelf: the versions.
        listing: finds them.
        change: makes what the history says, from an action.
    """

    def __init__(self, shelf: Shelf, listing: Listing, change: Callable[[str], Change]) -> None:
        self._shelf = shelf
        self._store = shelf.store
        self._listing = listing
        self._change = change

    def use(self, record: VersionRecord, change: Change) -> None:
        """Make a version current; nothing happens if it is so already."""
        damage.check_not_quarantined(record)
        if record.is_current:
            return
        self._check_fit(record, change.at)
        wanted = Reference(record.model_id, record.version)
        with self._store.writing() as connection:
            key = catalogue.key_of(connection, *wanted)
            if key is None:
                raise self._listing.not_found(wanted)
            if timeline.current_of(connection, key) != wanted.version:
                timeline.point_at(connection, key, record.version, change)

    def back(self, name: str, change: Change) -> int:
        """Make the version current that was so before; return its number."""
        while True:
            with self._store.writing() as connection:
                target, _ = timeline.version_before(connection, self._key(connection, name))
            self._check_fit(self._listing.record(Reference(name, target)), change.at)
            with self._store.writing() as connection:
                key = self._key(connection, name)
                if timeline.version_before(connection, key)[0] == target:
                    return timeline.step_back(connection, key, change)

    def back_to(self, name: str, moment: str, change: Change) -> int:
        """Make the version current that was so at a time; return its number."""
        target = self.current_at(name, moment)
        record = self._listing.record(Reference(name, target))
        if not record.is_current:
            self._check_fit(record, change.at)
        with self._store.writing() as connection:
            timeline.go_back_to(connection, self._key(connection, name), moment, change)
        return target

    def current_at(self, name: str, moment: str) -> int:
        """The number of the version that was current at a time.

        Raises:
            RegistryError: none was.
        """
        row = self._store.row(timeline.CURRENT_AT, (name, moment))
        if row is None:
            raise RegistryError(
                f"{name} had no current version at {moment}.",
                hint=f"Run `vsat history {name}` to see since when it has one.",
            )
        return int(row[0])

    def _key(self, connection: Connection, name: str) -> int:
        key = catalogue.key_of(connection, name)
        if key is None:
            raise self._listing.not_found(Reference(name, None))
        return key

    def _check_fit(self, record: VersionRecord, at: str) -> None:
        self._store.check_writable()
        bundle = damage.load(record, self._store, self._change("quarantine"))
        self._shelf.check_works(bundle, at)
