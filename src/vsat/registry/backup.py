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
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from vsat.bundle import FileRecord, strict_json
from vsat.errors import DamagedError, RegistryError, UsageError
from vsat.files import (
    STAGING_PREFIX,
    check_free_space,
    check_name,
    exchange,
    map_os_errors,
    remove_tree,
    replace_atomically,
    sha256_of,
    staging_name,
    sync_directory,
    write_verified,
)
from vsat.progress import Progress, silent
from vsat.registry import snapshot
from vsat.registry.staging import READ_ONLY
from vsat.registry.store import Store

FORMAT = 1
INDEX_NAME = "vsat-backup.json"
DATABASE_NAME, MODELS_NAME = "registry.db", "models"
MAX_INDEX_BYTES = 1 << 30  # about 200 bytes a file
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
            if _is_as(path, wanted):
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
        if ours or path.is_symlink() or not path.is_file() or not _is_safe(path.name):
            continue
        if path.stat().st_size <= MAX_OTHER_BYTES:
            yield path


def restore(source: Path, home: Path, *, replace: bool, progress: Progress = silent) -> Backup:
    """Bring a home back from a backup, whole or not at all.

    What was there before is kept beside it under another name. No version's number that it had
    given out is given out again.

    Args:
        source: the backup.
        home: where it goes.
        replace: whether a home that holds something may be replaced.
        progress: gets bytes.

    Raises:
        UsageError: the home holds something, and it isn't to be replaced; or it is no backup.
        DamagedError: a file of the backup is not what was written into it.
        RegistryError: the database in it is damaged, or of a newer vsat.
        StorageError: there is too little room, or the place can't be written.
    """
    occupied = home.exists() and (not home.is_dir() or any(home.iterdir()))
    if occupied and not replace:
        raise UsageError(
            f"{home} holds something already.",
            hint="Restore into another folder with `vsat --home DIR restore`, or give --replace: "
            "what is there is then kept beside it.",
        )
    with map_os_errors(f"restoring {source}"):
        home.parent.mkdir(parents=True, exist_ok=True)
        staged = staging_name(home)
        staged.mkdir()
        try:
            n_files, n_bytes = _unpack(source, staged, progress)
            snapshot.check(staged / DATABASE_NAME)
            snapshot.keep_numbers(staged / DATABASE_NAME, _numbers_in(staged, home))
            _sync_tree(staged)
            replaced = _put_in_place(staged, home, occupied=occupied)
        except BaseException:
            remove_tree(staged)
            raise
    return Backup(home, n_files, n_bytes, (), replaced)


def _unpack(source: Path, folder: Path, progress: Progress) -> tuple[int, int]:
    try:
        with tarfile.open(source, "r:") as archive:
            members = {member.name: member for member in archive.getmembers()}
            index = _read_index(archive, members)
            total = sum(record.bytes for record in index.values())
            check_free_space(folder, total)
            done = 0
            for name, wanted in index.items():
                _unpack_file(archive, members, name, wanted, folder)
                done += wanted.bytes
                progress(done, total)
    except (tarfile.TarError, EOFError) as error:
        raise UsageError(
            f"{source} is no whole backup ({error}).", hint="Name a file of `vsat backup`."
        ) from error
    if DATABASE_NAME not in index:
        raise UsageError(f"{source} has no database.", hint="Name a file of `vsat backup`.")
    return len(index), total


def _read_index(
    archive: tarfile.TarFile, members: dict[str, tarfile.TarInfo]
) -> dict[str, FileRecord]:
    member = members.get(INDEX_NAME)
    file = archive.extractfile(member) if member is not None and member.isreg() else None
    if file is None or member is None or member.size > MAX_INDEX_BYTES:
        raise tarfile.TarError(f"it has no {INDEX_NAME}")
    try:
        document = strict_json(file.read())
        if document["format"] != FORMAT:
            raise RegistryError(
                f"The backup has the form {document['format']!r:.20}; this vsat reads {FORMAT}.",
                hint="Upgrade vsat.",
            )
        index = {
            name: FileRecord(str(record["sha256"]), int(record["bytes"]))
            for name, record in document["files"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise tarfile.TarError(f"its {INDEX_NAME} can't be read: {error}") from error
    for name, record in index.items():
        if not _is_safe_path(name) or record.bytes < 0:
            raise UsageError(f"The backup has the unsafe name {name[:60]!a}.")
    return index


def _unpack_file(
    archive: tarfile.TarFile,
    members: dict[str, tarfile.TarInfo],
    name: str,
    wanted: FileRecord,
    folder: Path,
) -> None:
    member = members.get(name)
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if member is not None and member.islnk():
        first = folder / member.linkname
        if _is_safe_path(member.linkname) and first.is_file() and _link(first, target, wanted):
            return
        member = members.get(member.linkname)
    file = archive.extractfile(member) if member is not None and member.isreg() else None
    if file is None or member is None or member.size != wanted.bytes:
        raise _damaged(name)
    mode = None if len(PurePosixPath(name).parts) == 1 else READ_ONLY
    if write_verified(_reader(file), target, mode=mode) != wanted.sha256:
        raise _damaged(name)


def _reader(file: Any) -> BinaryIO:
    found: BinaryIO = file
    return found


def _link(first: Path, target: Path, wanted: FileRecord) -> bool:
    try:
        os.link(first, target, follow_symlinks=False)
    except (OSError, NotImplementedError):
        return False
    if _is_as(target, wanted):
        return True
    target.unlink()
    return False


def _numbers_in(staged: Path, home: Path) -> dict[str, int]:
    """The highest number of each model that a folder or the database of either home has."""
    highest = snapshot.last_numbers(home / DATABASE_NAME)
    for models in (staged / MODELS_NAME, home / MODELS_NAME):
        for path in models.glob("*/*"):
            if path.name.isascii() and path.name.isdigit() and len(path.name) < 16:
                name = path.parent.name
                highest[name] = max(highest.get(name, 0), int(path.name))
    return highest


def _put_in_place(staged: Path, home: Path, *, occupied: bool) -> Path | None:
    if not occupied:
        if home.is_dir():
            home.rmdir()  # it is empty
        staged.rename(home)
        sync_directory(home.parent)
        return None
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    aside = home.with_name(f"{home.name}.before-{stamp}-{os.urandom(2).hex()}")
    staged.rename(aside)  # a name that nobody takes for something unfinished: the old home gets it
    exchange(aside, home)
    sync_directory(home.parent)
    return aside


def _sync_tree(folder: Path) -> None:
    for path, _, _ in os.walk(folder):
        sync_directory(Path(path))


def _is_as(path: Path, wanted: FileRecord) -> bool:
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size != wanted.bytes:
            return False
        return sha256_of(path) == wanted.sha256
    except OSError:
        return False


def _is_safe_path(name: str) -> bool:
    parts = name.split("/")
    if parts[0] == MODELS_NAME:
        number = parts[2] if len(parts) == 4 else ""
        is_number = number.isascii() and number.isdigit() and len(number) < 16
        return is_number and _is_safe(parts[1]) and _is_safe(parts[3])
    return len(parts) == 1 and _is_safe(name)


def _is_safe(name: str) -> bool:
    try:
        return check_name(name, "file name") == name
    except UsageError:
        return False


def _damaged(name: str) -> DamagedError:
    return DamagedError(
        f"{name} in the backup is not what was written into it.",
        hint="Use another backup; nothing was changed.",
    )
