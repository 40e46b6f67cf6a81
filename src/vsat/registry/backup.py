"""The whole home in one file, and back.

The file is a tar archive: the folders as they are, `registry.db` as a consistent copy, and last
`vsat-backup.json`, which gives the size and the digest of every other file. Equal files are in it
once. It can be unpacked by hand; `restore` compares each file with its digest before it is used.
"""

import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from vsat.bundle import FileRecord, fits
from vsat.errors import UsageError
from vsat.files import (
    STAGING_PREFIX,
    check_free_space,
    check_name,
    map_os_errors,
    replace_atomically,
    sha256_of,
    staging_name,
)
from vsat.progress import Progress, silent
from vsat.registry import snapshot
from vsat.registry.staging import READ_ONLY
from vsat.registry.store import Store

FORMAT = 1
INDEX_NAME = "vsat-backup.json"
DATABASE_NAME, MODELS_NAME = "registry.db", "models"
MAX_OTHER_BYTES = 64 << 20  # of a file beside the database and the models


@dataclass(frozen=True)
class Backup:
    """What was written, or brought back.

    Attributes:
        path: of the backup, or of the home that was restored.
        n_files: in it, with the database.
        size_bytes: of the backup file, or of what was restored.
        damaged: files that were left out since they are not what was recorded, as "id@1: name".
        replaced: where the home now is that was there before; None if there was none.
    """

    path: Path
    n_files: int
    size_bytes: int
    damaged: tuple[str, ...] = ()
    replaced: Path | None = None


def write(store: Store, home: Path, target: Path, progress: Progress = silent) -> Backup:
    """Write the whole home into one new file.

    Damaged files are left out; in the backup, their versions are quarantined.

    Raises:
        UsageError: there is something at the target, or it lies within the home.
        RegistryError: the database is damaged.
        StorageError: the target can't be written, or has too little room.
    """
    target = target.absolute()
    if target.is_relative_to(home):
        raise UsageError("A backup within the home is none.", hint="Choose a place elsewhere.")
    if os.path.lexists(target):
        raise UsageError(f"There is something at {target} already.", hint="Choose a new name.")
    database = staging_name(target)
    with map_os_errors(f"writing {target}"):
        try:
            store.copy_to(database)
            n_bytes = snapshot.n_bytes_of(database)
            check_free_space(target.parent, n_bytes + 2 * database.stat().st_size)
            with replace_atomically(target) as staged:
                done = _write(staged, home, database, n_bytes, progress)
            return Backup(target, done[0], target.stat().st_size, tuple(done[1]))
        finally:
            database.unlink(missing_ok=True)


def _write(
    staged: Path, home: Path, database: Path, n_bytes: int, progress: Progress
) -> tuple[int, list[str]]:
    index: dict[str, dict[str, Any]] = {}
    first: dict[str, str] = {}  # by digest, the name under which a content is in the archive
    damaged: list[str] = []
    done = 0
    with tarfile.open(staged, "w", format=tarfile.PAX_FORMAT) as archive:

        def add(name: str, path: Path, wanted: FileRecord) -> None:
            member = tarfile.TarInfo(name)
            member.mode = READ_ONLY
            if wanted.sha256 in first:
                member.type, member.linkname = tarfile.LNKTYPE, first[wanted.sha256]
                archive.addfile(member)
            else:
                member.size = wanted.bytes
                with open(path, "rb") as file:
                    archive.addfile(member, file)
                first[wanted.sha256] = name
            index[name] = {"sha256": wanted.sha256, "bytes": wanted.bytes}

        for model_id, version, name, wanted in snapshot.files_of(database):
            path = home / MODELS_NAME / model_id / str(version) / name
            if fits(path, wanted):
                add(f"{MODELS_NAME}/{model_id}/{version}/{name}", path, wanted)
            else:
                damaged.append(f"{model_id}@{version}: {name}")
                snapshot.quarantine(database, model_id, version)
            done += wanted.bytes
            progress(done, n_bytes)
        for path in _others(home):
            add(path.name, path, FileRecord(sha256_of(path), path.stat().st_size))
        add(DATABASE_NAME, database, FileRecord(sha256_of(database), database.stat().st_size))
        _add_index(archive, index)
    return len(index), damaged


def _add_index(archive: tarfile.TarFile, index: dict[str, dict[str, Any]]) -> None:
    at = datetime.now(UTC).isoformat(timespec="seconds")
    content = json.dumps({"format": FORMAT, "at": at, "files": index}, indent=1).encode("ascii")
    member = tarfile.TarInfo(INDEX_NAME)
    member.size, member.mode = len(content), READ_ONLY
    archive.addfile(member, BytesIO(content))


def _others(home: Path) -> Iterator[Path]:
    """Files of the home beside the database and the models, such as an old registry."""
    for path in sorted(home.iterdir()):
        ours = path.name.startswith((DATABASE_NAME, STAGING_PREFIX)) or path.name == INDEX_NAME
        if ours or path.is_symlink() or not path.is_file() or not is_safe(path.name):
            continue
        if path.stat().st_size <= MAX_OTHER_BYTES:
            yield path


def is_safe(name: str) -> bool:
    """Whether a name is safe for a file on any system."""
    try:
        return check_name(name, "file name") == name
    except UsageError:
        return False
