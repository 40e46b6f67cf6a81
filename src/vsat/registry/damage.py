"""Damaged versions are refused, and marked so that they aren't used again until repaired."""

from dataclasses import replace

from vsat.bundle import Bundle, read_bundle
from vsat.errors import BundleError, DamagedError
from vsat.registry import catalogue, timeline
from vsat.registry.records import QUARANTINED, SOUND, Change, VersionRecord
from vsat.registry.store import Connection, Store


def sound_bundle(record: VersionRecord) -> Bundle:
    """A version's bundle, its files hashed again.

    Raises:
        BundleError: files are missing, or there are others.
        DamagedError: its files are not what was registered.
    """
    bundle = read_bundle(record.path, verify=True)
    if bundle.manifest.digest != record.digest:
        raise DamagedError(
            f"The manifest of {record.model_id}@{record.version} has changed.",
            hint=_way_back(record),
        )
    return bundle


def check_not_quarantined(record: VersionRecord) -> None:
    """Refuse a version that was found damaged before.

    Raises:
        DamagedError: it was, and hasn't been repaired.
    """
    if record.is_quarantined:
        raise DamagedError(
            f"{record.model_id}@{record.version} was found damaged and is not used.",
            hint=_way_back(record),
        )


def load(record: VersionRecord, store: Store, change: Change) -> Bundle:
    """A version's bundle; one that is found damaged now is quarantined, where that can be written.

    Raises:
        DamagedError: it is damaged, or was found so before.
        StorageError: its files can't be read.
    """
    check_not_quarantined(record)
    try:
        return sound_bundle(record)
    except BundleError as error:
        if store.writable:
            quarantine(record, store, replace(change, because=error.message))
        raise DamagedError(error.message, hint=_way_back(record)) from error


def quarantine(record: VersionRecord, store: Store, change: Change) -> bool:
    """Mark a version as damaged unless, looked at again under the lock, it isn't or is gone.

    Returns:
        Whether it is quarantined now and was not before.
    """
    with store.writing() as connection:
        key = catalogue.key_of(connection, record.model_id, record.version)
        if key is None or _state(connection, key, record.version) != SOUND:
            return False
        try:
            sound_bundle(record)  # another process may just have repaired it
        except BundleError:
            set_state(connection, key, record.version, QUARANTINED)
            timeline.note(connection, key, record.version, replace(change, action="quarantine"))
            return True
        return False


def set_state(connection: Connection, key: int, version: int, state: str) -> None:
    """Write whether a version is sound."""
    connection.execute(
        "UPDATE versions SET state = ? WHERE model_key = ? AND version = ?", (state, key, version)
    )


def _state(connection: Connection, key: int, version: int) -> str:
    statement = "SELECT state FROM versions WHERE model_key = ? AND version = ?"
    return str(connection.execute(statement, (key, version)).fetchall()[0][0])


def _way_back(record: VersionRecord) -> str:
    name = f"{record.model_id}@{record.version}"
    if record.is_current:
        return (
            f"Run `vsat repair {name}`. It stays the current version until then, unless you return "
            f"to the one before with `vsat rollback {record.model_id}`."
        )
    return f"Run `vsat repair {name}`."
