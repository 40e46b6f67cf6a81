"""Bringing a version's files into the store: linked where equal ones are there, else copied.

A version is built in a folder beside its place, whose name says that it is unfinished, and is
renamed into place when all of it is durable.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from vsat.bundle import MANIFEST_NAME, Bundle, FileRecord, Manifest
from vsat.errors import DamagedError
from vsat.files import (
    STAGING_PREFIX,
    check_free_space,
    copy_and_hash,
    is_staged_for,
    make_folders,
    map_os_errors,
    remove_tree,
    sha256_of,
    staging_name,
    sync_directory,
)
from vsat.registry.intake import Submission

READ_ONLY = 0o444
ABANDONED_AFTER_S = 3600.0  # no copy of a model takes as long between two writes

# Given a size and a digest, paths in the store of files that were recorded with both; given no
# digest, at least one path if any has the size.
FindEqual = Callable[[int, str | None], Iterable[Path]]


@dataclass(frozen=True)
class Staged:
    """A version that is whole and durable, but not yet in its place.

    Attributes:
        bundle: in its temporary folder.
        files: every file of it, the manifest too.
    """

    bundle: Bundle
    files: dict[str, FileRecord]


def stage(
    submission: Submission, version: int, models_folder: Path, find_equal: FindEqual
) -> Staged:
    """Build a version beside its place.

    Raises:
        DamagedError: a file doesn't have the digest that the submitted bundle gives.
        StorageError: a file can't be read or written, or the disk lacks the space.
    """
    parent = models_folder / submission.manifest.id
    folder = staging_name(parent / str(version))
    with map_os_errors(f"adding a version to {parent}"):
        make_folders(parent)
        folder.mkdir()
        try:
            return _fill(folder, submission, version, find_equal)
        except BaseException:
            discard(folder)
            raise


def renumbered(staged: Staged, version: int) -> Staged:
    """The same version with another number in its manifest.

    Raises:
        OSError: the manifest can't be written.
    """
    folder = staged.bundle.path
    manifest = replace(staged.bundle.manifest, version=version)
    _unlink(folder / MANIFEST_NAME)
    files = {**staged.files, MANIFEST_NAME: _write_manifest(folder, manifest)}
    sync_directory(folder)
    return Staged(Bundle(folder, manifest), files)


def move_in(folder: Path, place: Path) -> Path | None:
    """Give a staged folder its final name, durably.

    Returns:
        The new name of what a crashed registration had left there; None if nothing was there.

    Raises:
        OSError: it can't be renamed.
    """
    left_over = set_aside(place) if os.path.lexists(place) else None
    folder.rename(place)
    sync_directory(place.parent)
    return left_over


def announce(place: Path) -> Path:
    """Note beside a place that what comes to stand there is not recorded yet.

    The note is a file; it goes when the record is there. It lets a version whose registration was
    cut short be told from one whose record was lost.

    Raises:
        OSError: it can't be made.
    """
    note = staging_name(place)
    note.touch(exist_ok=False)
    return note


def notes_beside(place: Path) -> Iterator[Path]:
    """The notes that say that what stands in a place may not be recorded."""
    for path in place.parent.iterdir():
        if is_staged_for(path, place) and path.is_file():
            yield path


def is_announced(place: Path) -> bool:
    """Whether a note says that what stands in a place may not be recorded."""
    return any(notes_beside(place))


def retract(notes: Iterable[Path]) -> None:
    """Remove notes; one that can't be removed does no harm beside a version that is recorded."""
    for note in notes:
        with suppress(OSError):
            note.unlink()


def drop(place: Path) -> None:
    """Remove a folder that is not recorded, then the notes that say so."""
    notes = list(notes_beside(place))
    discard(place)
    if not os.path.lexists(place):
        retract(notes)


def set_aside(folder: Path) -> Path:
    """Give a folder a name that says it is unfinished; return that, or its own if it can't be."""
    if not folder.name.startswith(STAGING_PREFIX):
        with suppress(OSError):
            return folder.rename(staging_name(folder))
    return folder


def discard(folder: Path) -> None:
    """Remove a folder under a name that says it is unfinished; what can't be removed stays so."""
    doomed = folder
    with suppress(OSError):
        if not folder.name.startswith(STAGING_PREFIX):
            doomed = staging_name(folder)
            folder.rename(doomed)
            sync_directory(folder.parent)
        remove_tree(doomed)


def abandoned(models_folder: Path, older_than_s: float = ABANDONED_AFTER_S) -> list[Path]:
    """Unfinished folders whose writer is gone, judged by their age."""
    limit = time.time() - older_than_s
    found = []
    for path in models_folder.glob(f"*/{STAGING_PREFIX}*"):
        with suppress(FileNotFoundError):
            if path.lstat().st_mtime < limit:
                found.append(path)
    return sorted(found)


def _fill(folder: Path, submission: Submission, version: int, find_equal: FindEqual) -> Staged:
    records = _link_equal_files(folder, submission.sources, find_equal)
    to_copy = {name: path for name, path in submission.sources.items() if name not in records}
    if to_copy:
        check_free_space(folder, sum(path.stat().st_size for path in to_copy.values()))
    for name, path in to_copy.items():
        digest = copy_and_hash(path, folder / name, mode=READ_ONLY)
        records[name] = FileRecord(digest, (folder / name).stat().st_size)
    _check_promises(submission, records)
    manifest = replace(
        submission.manifest, version=version, files={n: records[n] for n in submission.sources}
    )
    files = {**records, MANIFEST_NAME: _write_manifest(folder, manifest)}
    sync_directory(folder)
    return Staged(Bundle(folder, manifest), files)


def _link_equal_files(
    folder: Path, sources: dict[str, Path], find_equal: FindEqual
) -> dict[str, FileRecord]:
    linked = {}
    for name, path in sources.items():
        size = path.stat().st_size
        if any(True for _ in find_equal(size, None)):
            wanted = FileRecord(sha256_of(path), size)
            equals = find_equal(size, wanted.sha256)
            if any(_link(equal, folder / name, wanted) for equal in equals):
                linked[name] = wanted
    return linked


def _link(equal: Path, target: Path, wanted: FileRecord) -> bool:
    """Link a file of the store, unless it is no longer what was recorded of it."""
    try:
        os.link(equal, target, follow_symlinks=False)
    except (OSError, NotImplementedError):
        return False
    try:
        if target.stat().st_size == wanted.bytes and sha256_of(target) == wanted.sha256:
            target.chmod(READ_ONLY)
            return True
    except OSError:
        pass
    _unlink(target)
    return False


def _check_promises(submission: Submission, records: dict[str, FileRecord]) -> None:
    for name, promised in submission.promised.items():
        if records[name] != promised:
            raise DamagedError(
                f"{submission.sources[name]} doesn't have the digest that its manifest gives.",
                hint="Get the bundle again from where it came.",
            )


def _write_manifest(folder: Path, manifest: Manifest) -> FileRecord:
    import hashlib

    content = manifest.to_json()
    path = folder / MANIFEST_NAME
    with open(path, "xb") as file:
        file.write(content)
        file.flush()
        path.chmod(READ_ONLY)
        os.fsync(file.fileno())
    return FileRecord(hashlib.sha256(content).hexdigest(), len(content))


def _unlink(path: Path) -> None:
    if os.name == "nt":
        path.chmod(0o600)  # a read-only file can't be removed there
    path.unlink()
