"""A new database from the folders of the versions, where the old one is damaged or gone.

`model.json` holds id and version, so the folders say what there is. What was current, the history
and the settings are taken from the old database as far as it can still be read.
"""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from vsat.bundle import MANIFEST_NAME, FileRecord, Manifest, parse_manifest, read_bundle
from vsat.errors import BundleError, UsageError
from vsat.files import (
    check_name,
    copy_and_hash,
    map_os_errors,
    replace_atomically,
    staging_name,
    sync_directory,
    sync_file,
)
from vsat.registry import catalogue, legacy, packaged, salvage, timeline
from vsat.registry.records import QUARANTINED, SOUND, Change, time_text
from vsat.registry.store import Connection, Store, has_changes_beside

ORIGIN = "rebuild"
_ENDS = ("", "-wal", "-shm", "-journal")  # of the files that make up a database


@dataclass(frozen=True)
class Rebuilt:
    """What the new database holds.

    Attributes:
        versions: how many of them.
        quarantined: those whose files are damaged, as "id@1".
        skipped: folders that are no version, and why; they are left as they are.
        guessed: models whose current version the old database no longer told; it is the newest
            sound one now.
        kept: where the old database is now; None if there was none.
    """

    versions: int
    quarantined: tuple[str, ...]
    skipped: tuple[str, ...]
    guessed: tuple[str, ...]
    kept: Path | None


@dataclass(frozen=True)
class _Found:
    manifest: Manifest
    files: dict[str, FileRecord]
    state: str
    created_at: str


def rebuild(database: Path, models_folder: Path, package_folder: Path, change: Change) -> Rebuilt:
    """Put a new database in the place of a damaged or lost one; the old one is kept beside it.

    Raises:
        RegistryError: the database is whole, of a newer vsat, or another program's.
        StorageError: the home can't be written.
    """
    salvage.check_damaged(database)
    old = salvage.read(database)
    with map_os_errors(f"rebuilding {database}"):
        skipped: list[str] = []
        found = list(_scan(models_folder, skipped))
        staged = staging_name(database)
        try:
            guessed = _fill(staged, found, models_folder, package_folder, old, change)
            if has_changes_beside(staged):  # closing says nothing if it can't bring them in
                raise OSError(errno.EIO, "The new database could not be written", str(staged))
            sync_file(staged)
            kept = _put_in_place(staged, database)
        finally:
            for end in _ENDS:
                Path(f"{staged}{end}").unlink(missing_ok=True)
    names = [f"{f.manifest.id}@{f.manifest.version}" for f in found if f.state == QUARANTINED]
    return Rebuilt(len(found), tuple(names), tuple(skipped), tuple(guessed), kept)


def _scan(models_folder: Path, skipped: list[str]) -> Iterator[_Found]:
    for path in sorted(models_folder.glob("*/*"), key=lambda p: (p.parent.name, _number(p))):
        if not _number(path):
            continue
        try:
            yield _look_at(path)
        except BundleError as error:
            skipped.append(f"{path}: {error.message}")


def _look_at(path: Path) -> _Found:
    content = _manifest_content(path)
    manifest = parse_manifest(content)
    if (manifest.id, manifest.version) != (path.parent.name, _number(path)):
        raise BundleError(f"its {MANIFEST_NAME} is that of {manifest.id}@{manifest.version}.")
    state = SOUND
    try:
        read_bundle(path, verify=True)
    except BundleError:
        state = QUARANTINED
    own = FileRecord(hashlib.sha256(content).hexdigest(), len(content))
    changed = datetime.fromtimestamp((path / MANIFEST_NAME).stat().st_mtime, UTC)
    return _Found(manifest, {**manifest.files, MANIFEST_NAME: own}, state, time_text(changed))


def _manifest_content(path: Path) -> bytes:
    try:
        if path.is_symlink() or (path / MANIFEST_NAME).is_symlink():
            raise BundleError("it is a link.")
        return (path / MANIFEST_NAME).read_bytes()
    except OSError as error:
        raise BundleError(f"its {MANIFEST_NAME} can't be read ({error.strerror}).") from error


def _fill(
    staged: Path,
    found: list[_Found],
    models_folder: Path,
    package_folder: Path,
    old: salvage.Salvaged,
    change: Change,
) -> list[str]:
    guessed = []
    with closing(Store(staged, lambda: change.at)) as store, store.writing() as connection:
        by_model: dict[str, list[_Found]] = {name: [] for name in old.last_versions}
        for one in found:
            by_model.setdefault(one.manifest.id, []).append(one)
        for model_id, versions in by_model.items():
            key, _ = catalogue.find_or_add_model(connection, model_id, change.at)
            shipped = _shipped_digest(package_folder / model_id)
            for one in versions:
                _insert(connection, key, one, shipped, change.at)
            highest = max(map(_number, (models_folder / model_id).glob("*")), default=0)
            connection.execute(
                "UPDATE models SET last_version = ? WHERE model_key = ?",
                (max(highest, old.last_versions.get(model_id, 0)), key),
            )
        old.put_into(connection)
        for model_id, versions in by_model.items():
            if versions and not _choose(connection, model_id, versions, old, change):
                guessed.append(model_id)
        _note_old_form(connection, models_folder.parent, change.at)
    return guessed


def _insert(connection: Connection, key: int, one: _Found, shipped: str | None, at: str) -> None:
    is_shipped = one.manifest.digest == shipped
    catalogue.insert_version(
        connection,
        key,
        one.manifest,
        one.files,
        created_at=one.created_at,
        origin=packaged.ORIGIN if is_shipped else ORIGIN,
        state=one.state,
    )
    if is_shipped:
        catalogue.note_arrival(connection, packaged.ORIGIN, one.manifest.digest, at)


def _choose(
    connection: Connection,
    model_id: str,
    versions: list[_Found],
    old: salvage.Salvaged,
    change: Change,
) -> bool:
    """Make a version current; False if the old database didn't tell which one was."""
    key = catalogue.key_of(connection, model_id)
    numbers = [one.manifest.version for one in versions]
    sound = [one.manifest.version for one in versions if one.state == SOUND]
    known = old.current.get(model_id)
    target = known if known in numbers else max(sound or numbers)
    if key is not None and target is not None:
        old.restore_pointer(connection, key, model_id)
        because = "from the folders; the old database told what was current"
        if target != known:
            because = "from the folders; what was current is not known"
        timeline.point_at(connection, key, target, replace(change, because=because))
    return target == known


def _note_old_form(connection: Connection, home: Path, at: str) -> None:
    """A registry in the old form that lies there was taken over by the database that is gone."""
    with suppress(OSError):
        content = (home / legacy.OLD_NAME).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        catalogue.note_arrival(connection, legacy.ORIGIN, digest, at)


def _shipped_digest(folder: Path) -> str | None:
    try:
        return parse_manifest((folder / MANIFEST_NAME).read_bytes()).digest
    except (OSError, BundleError):
        return None


def _put_in_place(staged: Path, database: Path) -> Path | None:
    kept = None
    if database.exists() and database.stat().st_size:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        kept = database.with_name(f"{database.name}.damaged-{stamp}")
        for end in _ENDS[1:]:  # the new database must not meet the log of the old one
            with suppress(FileNotFoundError):
                os.replace(f"{database}{end}", f"{kept}{end}")
        _keep(database, kept)
    os.replace(staged, database)  # at once: where there is none, an empty one would be made
    sync_directory(database.parent)
    return kept


def _keep(database: Path, kept: Path) -> None:
    """Give a file a second name, or a copy of it where the volume can't."""
    try:
        os.link(database, kept)
    except OSError:
        with replace_atomically(kept) as staged:
            copy_and_hash(database, staged)


def _number(path: Path) -> int:
    """The version that a folder's name gives; 0 if it gives none."""
    name = path.name
    usable = name.isascii() and name.isdigit() and len(name) < 16 and not name.startswith("0")
    with suppress(UsageError):
        return int(name) if usable and check_name(path.parent.name) == path.parent.name else 0
    return 0
