"""The whole home back from a backup, whole or not at all; nothing in it is believed unseen."""

import os
import tarfile
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from vsat.bundle import FileRecord, fits, strict_json
from vsat.errors import DamagedError, RegistryError, UsageError
from vsat.files import (
    check_free_space,
    exchange,
    map_os_errors,
    remove_tree,
    staging_name,
    sync_directory,
    write_verified,
)
from vsat.progress import Progress, silent
from vsat.registry import snapshot
from vsat.registry.backup import DATABASE_NAME, FORMAT, INDEX_NAME, MODELS_NAME, Backup, is_safe
from vsat.registry.staging import READ_ONLY

MAX_INDEX_BYTES = 1 << 30  # about 200 bytes a file


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
    if fits(target, wanted):
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


def _is_safe_path(name: str) -> bool:
    parts = name.split("/")
    if parts[0] == MODELS_NAME:
        number = parts[2] if len(parts) == 4 else ""
        is_number = number.isascii() and number.isdigit() and len(number) < 16
        return is_number and is_safe(parts[1]) and is_safe(parts[3])
    return len(parts) == 1 and is_safe(name)


def _damaged(name: str) -> DamagedError:
    return DamagedError(
        f"{name} in the backup is not what was written into it.",
        hint="Use another backup; nothing was changed.",
    )
