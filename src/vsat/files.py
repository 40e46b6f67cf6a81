"""Files that are whole or not there, their digests, and names that are safe everywhere.

The order of a durable write: a temporary file in the same directory, write, fsync, rename, fsync of
the directory. Whoever records the file elsewhere does so after that.
"""

import errno
import hashlib
import os
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from vsat.errors import StorageError, UsageError

STAGING_PREFIX = ".staging-"  # whatever bears it may be deleted when its writer is gone
CHUNK_BYTES = 1 << 20  # read at once when hashing or copying
MAX_NAME_LENGTH = 100  # characters; leaves room for suffixes within the 255 bytes of a file name

_RESERVED = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"
}


def check_name(name: object, what: str = "model id") -> str:
    """Return the name in Unicode's composed form if it is safe as a folder on any system.

    Raises:
        UsageError: it is empty, too long, has a separator, a control or invisible character, begins
            or ends with a dot or a space, or is reserved on Windows.
    """
    if not isinstance(name, str):
        raise UsageError(f"A {what} is text, not {type(name).__name__}.")
    composed = unicodedata.normalize("NFC", name)
    problem = _problem_with(composed)
    if problem:
        raise UsageError(
            f"{name[:60]!a} can't be a {what}: it {problem}.",
            hint="Use letters, digits, '_', '-' and inner dots, for example my_voices.v2.",
        )
    return composed


def _problem_with(name: str) -> str:
    if not name:
        return "is empty"
    if len(name) > MAX_NAME_LENGTH or len(name.encode("utf-8", "surrogatepass")) > 200:
        return f"is longer than {MAX_NAME_LENGTH} characters or 200 bytes"
    if name[0] in "._- " or name[-1] in ". ":
        return "begins with '.', '_', '-' or a space, or ends with a dot or a space"
    for character in name:
        if character in '/\\:*?"<>|@%':
            return f"has the character {character!r}"
        if unicodedata.category(character)[0] in "CZ" and character != " ":
            return f"has the character U+{ord(character):04X}, which can't be seen"
    if name.split(".")[0].rstrip(" ").casefold() in _RESERVED:
        return "is reserved on Windows"
    return ""


def sha256_of(path: Path) -> str:
    """The SHA-256 digest of a file, in hexadecimal; reads it in pieces."""
    with map_os_errors(f"reading {path}"), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_directory(path: Path) -> None:
    """Make names created, renamed or removed in a directory durable."""
    if os.name == "nt":  # directories can't be opened there; NTFS journals names itself
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make a file's content durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folders(path: Path) -> None:
    """Make a folder, and those above it, where they are missing; each name is durable.

    Raises:
        OSError: one can't be made.
    """
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        sync_directory(folder.parent)


def staging_name(near: Path) -> Path:
    """A name beside `near` that nobody else uses and that is known as unfinished."""
    return near.parent / f"{STAGING_PREFIX}{os.urandom(6).hex()}-{near.name[-40:]}"


def is_staged_for(path: Path, near: Path) -> bool:
    """Whether a path may be a `staging_name` beside `near`."""
    return path.name.startswith(STAGING_PREFIX) and path.name.endswith(f"-{near.name[-40:]}")


@contextmanager
def replace_atomically(target: Path) -> Iterator[Path]:
    """Give a temporary path; what was written there becomes `target`, durably, at the end.

    If the body raises, the temporary file is removed and `target` stays as it was.

    Raises:
        StorageError: the disk is full, read-only or out of reach.
    """
    staged = staging_name(target)
    try:
        with map_os_errors(f"writing {target}"):
            yield staged
            sync_file(staged)
            os.replace(staged, target)
            sync_directory(target.parent)
    except BaseException:
        with suppress(OSError):
            staged.unlink(missing_ok=True)
        raise


def write_atomically(target: Path, content: bytes) -> None:
    """Write a small file whole or not at all.

    Raises:
        StorageError: the disk is full, read-only or out of reach.
    """
    with replace_atomically(target) as staged:
        staged.write_bytes(content)


def open_regular(path: Path, *, follow_links: bool = True) -> BinaryIO:
    """Open a file for reading; never waits, as opening a named pipe would.

    Raises:
        UsageError: it is a folder, a pipe, a device or, unless they are followed, a link.
        OSError: it can't be opened.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if not follow_links:
        flags |= getattr(os, "O_NOFOLLOW", 0)
    if path.is_dir() or (not follow_links and path.is_symlink()):
        raise UsageError(f"{path} is not a regular file.", hint="Name a file.")
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise UsageError(f"{path} is not a regular file.", hint="Name a file.") from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UsageError(f"{path} is not a regular file.", hint="Name a file.")
    return os.fdopen(descriptor, "rb")


def copy_and_hash(source: Path, target: Path, *, mode: int | None = None) -> str:
    """Copy a file, durably; return the SHA-256 digest of what was copied.

    Args:
        source: a regular file or a link to one.
        target: a path where nothing is yet.
        mode: the permissions of the copy, if not those of any new file.

    Raises:
        UsageError: the source is not a regular file.
        StorageError: the source changed while it was read.
        OSError: it can't be read, or the copy can't be written.
    """
    digest = hashlib.sha256()
    with open_regular(source) as reader, open(target, "xb", buffering=0) as writer:
        before = os.fstat(reader.fileno())
        while chunk := reader.read(CHUNK_BYTES):
            digest.update(chunk)
            _write_all(writer.fileno(), chunk)
        _check_unchanged(source, before, os.fstat(reader.fileno()), os.fstat(writer.fileno()))
        if mode is not None:
            target.chmod(mode)
        os.fsync(writer.fileno())
    return digest.hexdigest()


def write_verified(source: BinaryIO, target: Path, *, mode: int | None = None) -> str:
    """Write what a stream gives into a new file, durably; return its SHA-256 digest.

    Raises:
        OSError: it can't be read or written.
    """
    digest = hashlib.sha256()
    with open(target, "xb", buffering=0) as writer:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            _write_all(writer.fileno(), chunk)
        if mode is not None:
            target.chmod(mode)
        os.fsync(writer.fileno())
    return digest.hexdigest()


def exchange(one: Path, other: Path) -> None:
    """Let two folders on one volume take each other's name, at once where the system can.

    Where it can't, there is a moment in which `other` is missing.

    Raises:
        OSError: they can't be renamed.
    """
    if not _exchange_at_once(one, other):
        between = other.with_name(f"{other.name}.moving")
        other.rename(between)
        try:
            one.rename(other)
        except OSError:
            between.rename(other)
            raise
        between.rename(one)


def _exchange_at_once(one: Path, other: Path) -> bool:
    import ctypes  # only here: it is rarely needed
    import sys

    at_here, linux_flag, mac_flag = -100, 2, 2  # AT_FDCWD, RENAME_EXCHANGE, RENAME_SWAP
    try:
        library = ctypes.CDLL(None, use_errno=True)
        names = os.fsencode(one), os.fsencode(other)
        if sys.platform == "darwin":
            return bool(library.renamex_np(*names, mac_flag) == 0)
        return bool(library.renameat2(at_here, names[0], at_here, names[1], linux_flag) == 0)
    except (AttributeError, OSError, TypeError):  # not in this system's library
        return False


def _write_all(descriptor: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:  # a write may be short, on a full disk above all
        view = view[os.write(descriptor, view) :]


def _check_unchanged(
    source: Path, before: os.stat_result, after: os.stat_result, copy: os.stat_result
) -> None:
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or (
        copy.st_size != after.st_size
    ):
        raise StorageError(
            f"{source} changed while it was being copied.",
            hint="Run it again when nothing writes to that file.",
        )


def remove_tree(path: Path) -> None:
    """Remove a directory with all that is in it, read-only files too, if it is there."""

    def make_writable(_: object, name: str, error: BaseException) -> None:
        if isinstance(error, FileNotFoundError):
            return
        stubborn = Path(name)
        stubborn.parent.chmod(0o700)
        if stubborn.is_dir() and not stubborn.is_symlink():
            stubborn.chmod(0o700)
            remove_tree(stubborn)
        else:
            if os.name == "nt":  # there the file itself must be writable, elsewhere its folder
                stubborn.chmod(0o600)
            stubborn.unlink(missing_ok=True)

    if path.is_symlink():
        path.unlink()
    elif path.exists():
        _rmtree(path, make_writable)


def _rmtree(path: Path, handler: object) -> None:
    import shutil  # only here: it loads every compression there is
    import sys

    if sys.version_info >= (3, 12):
        shutil.rmtree(path, onexc=handler)  # type: ignore[arg-type]
    else:
        shutil.rmtree(path, onerror=lambda f, n, info: handler(f, n, info[1]))  # type: ignore[operator]


def free_bytes(path: Path) -> int:
    """Free space, in bytes, on the volume of the nearest folder that exists."""
    while not path.exists() and path != path.parent:
        path = path.parent
    import shutil  # only here: it loads every compression there is

    return shutil.disk_usage(path).free


def check_free_space(path: Path, needed_bytes: int) -> None:
    """Refuse early what would fill the disk.

    Raises:
        StorageError: less than `needed_bytes` and a small reserve are free at `path`.
    """
    reserve = 4 << 20  # bytes left for the database and others
    free = free_bytes(path)
    if free < needed_bytes + reserve:
        raise StorageError(
            f"{path} has {free / 1e6:.0f} MB free; {needed_bytes / 1e6:.0f} MB are needed.",
            hint="Free some space, or choose another place.",
        )


@contextmanager
def map_os_errors(action: str) -> Iterator[None]:
    """Turn the system's errors into `StorageError`, saying what was being done.

    Raises:
        StorageError: the body raised an OSError.
    """
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        reason = error.strerror or type(error).__name__
        hints = {
            errno.ENOSPC: "Free some space and run it again.",
            errno.EDQUOT: "Free some space and run it again.",
            errno.EROFS: "Choose a place that can be written to.",
            errno.EACCES: "Check the permissions of the folder.",
            errno.EPERM: "Check the permissions of the folder.",
            errno.ENOENT: "Check the path.",
        }
        hint = hints.get(error.errno or 0, "")
        raise StorageError(f"{reason} while {action}.", hint=hint) from error
