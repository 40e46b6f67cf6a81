"""Getting damaged versions back: from equal files of other versions, or from where they came.

Each file is replaced by itself, so a crash in between leaves nothing worse than it was, and running
the repair again goes on.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path

from vsat.bundle import MANIFEST_NAME, FileRecord, Manifest, fits, parse_manifest
from vsat.errors import BundleError, VsatError
from vsat.files import (
    check_free_space,
    copy_and_hash,
    map_os_errors,
    staging_name,
    sync_directory,
    write_verified,
)
from vsat.registry import catalogue, damage, staging, timeline
from vsat.registry.records import SOUND, Change, VersionRecord, manifest_of, particulars_of
from vsat.registry.shelf import Shelf

ALREADY_SOUND, REPAIRED, LOST = "sound", "repaired", "lost"


@dataclass(frozen=True)
class Repair:
    """What became of one version.

    Attributes:
        outcome: "sound" (it was so already), "repaired", or "lost" (it stays quarantined).
        detail: where its files came from, or which of them could not be found.
    """

    model_id: str
    version: int
    outcome: str
    detail: str


def repair(record: VersionRecord, shelf: Shelf, package_folder: Path, change: Change) -> Repair:
    """Repair one version; nothing that is whole is touched.

    Raises:
        StorageError: the home can't be written, or the disk is full.
    """
    work = _Repairer(record, shelf, package_folder)
    with map_os_errors(f"repairing {record.path}"):
        replaced = work.replace_files()
    lost = [name for name, origin in replaced.items() if origin is None]
    if lost:
        damage.quarantine(record, shelf.store, change)
        detail = f"{', '.join(lost)} could not be found anywhere"
        return Repair(record.model_id, record.version, LOST, detail)
    detail = "; ".join(f"{name} {origin}" for name, origin in replaced.items())
    with shelf.store.writing() as connection:
        key = catalogue.key_of(connection, record.model_id, record.version)
        if key is None:
            return Repair(record.model_id, record.version, LOST, "it was deleted meanwhile")
        manifest = damage.sound_bundle(record).manifest
        if replaced or record.is_quarantined:
            damage.set_state(connection, key, record.version, SOUND)
            connection.execute(
                "UPDATE versions SET particulars = ?, base = ?, base_digest = ?"
                " WHERE model_key = ? AND version = ?",
                (particulars_of(manifest), *_bases(manifest), key, record.version),
            )
            because = change.because or detail or "its files are as they were"
            timeline.note(connection, key, record.version, replace(change, because=because))
    outcome = REPAIRED if replaced or record.is_quarantined else ALREADY_SOUND
    return Repair(record.model_id, record.version, outcome, detail or "all files are whole")


class _Repairer:
    def __init__(self, record: VersionRecord, shelf: Shelf, package_folder: Path) -> None:
        self._record = record
        self._shelf = shelf
        self._package = package_folder / record.model_id
        rows = shelf.store.rows(
            "SELECT f.name, f.sha256, f.bytes FROM files f JOIN models m"
            " ON m.model_key = f.model_key WHERE m.model_id = ? AND f.version = ?",
            (record.model_id, record.version),
        )
        self._wanted = {name: FileRecord(sha256, size) for name, sha256, size in rows}

    def replace_files(self) -> dict[str, str | None]:
        """What was done about each file that was not as recorded; None: it can't be had."""
        folder = self._record.path
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            staging.discard(folder)
        folder.mkdir(parents=True, exist_ok=True)
        found: dict[str, str | None] = {}
        for name, wanted in self._wanted.items():
            if not fits(folder / name, wanted):
                found[name] = self._fetch(name, wanted)
        if None not in found.values():
            for name in sorted(set(os.listdir(folder)) - self._wanted.keys()):
                staging.discard(folder / name)
                found[name] = "was not part of it and is removed"
        sync_directory(folder)
        sync_directory(folder.parent)
        return found

    def _fetch(self, name: str, wanted: FileRecord) -> str | None:
        target = self._record.path / name
        if target.is_dir() and not target.is_symlink():
            staging.discard(target)
        if name == MANIFEST_NAME:
            return self._write_manifest(target, wanted)
        for equal in self._shelf.find_equal(wanted.bytes, wanted.sha256):
            if equal != target and fits(equal, wanted) and _bring(equal, target, link=True):
                return f"from {equal.parent.parent.name}@{equal.parent.name}"
        for source in self._origins(name):
            if fits(source, wanted, follow_links=True):
                check_free_space(target.parent, wanted.bytes)
                if _bring(source, target, link=False, wanted=wanted):
                    return f"from {source}"
        return None

    def _origins(self, name: str) -> Iterator[Path]:
        """Where this file of the version may be found outside the registry."""
        if self._record.came_from is not None:
            source = Path(self._record.came_from)
            if source.is_dir():
                yield source / name
            elif name == self._record.main_name:
                yield source
        yield self._package / name

    def _write_manifest(self, target: Path, wanted: FileRecord) -> str | None:
        for content, origin in self._manifests():
            if FileRecord(_digest(content), len(content)) == wanted:
                return origin if _replace(target, partial(_write, content)) else None
        return None

    def _manifests(self) -> Iterator[tuple[bytes, str]]:
        record = self._record
        files = {name: file for name, file in self._wanted.items() if name != MANIFEST_NAME}
        known = manifest_of(record, files)
        if known is not None:
            with suppress(BundleError):
                yield known.to_json(), "from the database"
        for source in self._origins(MANIFEST_NAME):
            with suppress(VsatError, OSError):
                found = parse_manifest(source.read_bytes())
                again = replace(
                    found, id=record.model_id, version=record.version, metadata=record.metadata
                )
                yield again.to_json(), f"from {source}"


def _bases(manifest: Manifest) -> tuple[str | None, str | None]:
    lineage = manifest.lineage or {}
    return lineage.get("base"), lineage.get("base_digest")


def _bring(source: Path, target: Path, *, link: bool, wanted: FileRecord | None = None) -> bool:
    """Put a whole file in the place of another, durably; False if it can't be read as it was."""

    def fill(staged: Path) -> bool:
        if link:
            with suppress(OSError, NotImplementedError):
                os.link(source, staged, follow_symlinks=False)
                return True
        digest = copy_and_hash(source, staged, mode=staging.READ_ONLY)
        return wanted is None or digest == wanted.sha256

    return _replace(target, fill)


def _replace(target: Path, fill: Callable[[Path], bool]) -> bool:
    """Let a file that is made beside the version's folder take the target's place, if it is good.

    Not within the folder: what a crash leaves there would be one file too many.
    """
    staged = staging_name(target.parent)
    try:
        if not fill(staged):
            return False
        if os.name == "nt" and target.exists():  # a read-only file can't be replaced there
            target.chmod(0o600)
        os.replace(staged, target)
        return True
    finally:
        with suppress(OSError):
            staged.unlink(missing_ok=True)


def _write(content: bytes, target: Path) -> bool:
    write_verified(BytesIO(content), target, mode=staging.READ_ONLY)
    return True


def _digest(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()
