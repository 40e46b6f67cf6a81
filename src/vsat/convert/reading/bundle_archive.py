"""A bundle in one file, `.vsat`: a zip archive of its files, unpacked with every check."""

import zipfile
import zlib
from pathlib import Path

from vsat.bundle import MANIFEST_NAME, MAX_MANIFEST_BYTES, read_bundle
from vsat.convert.reading.archive import ArchiveLimits, open_archive
from vsat.convert.reading.refusal import HINT, refuse, shown
from vsat.errors import BundleError, UnsafeFileError, UsageError
from vsat.files import (
    check_free_space,
    check_name,
    map_os_errors,
    open_regular,
    remove_tree,
    staging_name,
    sync_directory,
    write_verified,
)

SUFFIX = ".vsat"
MAX_ENTRIES = 16  # a bundle has four files
MAX_TOTAL_BYTES = 4 << 30
LIMITS = ArchiveLimits(
    MAX_ENTRIES, MAX_TOTAL_BYTES, frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
)


def unpack_archive(path: Path, staging: Path) -> Path:
    """Unpack a bundle into a new folder within `staging`, and check it against its manifest.

    Nothing is left behind if it is refused.

    Args:
        path: a zip archive with the files of one bundle, stored or deflated, in no folder.
        staging: an existing folder.

    Returns:
        The bundle's folder; whoever asked removes it.

    Raises:
        UnsafeFileError: the archive holds more than plain files, or unpacks to too much.
        BundleError: what it holds is not a bundle.
        DamagedError: a file does not have the digest that the manifest gives.
        StorageError: the archive can't be read, or the staging folder not be written.
    """
    origin = str(path)
    folder = staging_name(staging / "bundle")
    with map_os_errors(f"unpacking {path}"), open_regular(path) as file:
        if not zipfile.is_zipfile(file):
            raise BundleError(f"{origin} is not an archive of vsat.", hint="Check the file.")
        with open_archive(file, origin, LIMITS) as archive:
            entries = archive.infolist()
            _check_names(entries, origin)
            check_free_space(staging, sum(entry.file_size for entry in entries))
            folder.mkdir()
            try:
                _unpack(archive, folder, origin)
                read_bundle(folder, verify=True)
            except BaseException:
                remove_tree(folder)
                raise
    return folder


def _check_names(entries: list[zipfile.ZipInfo], origin: str) -> None:
    """Check that every name is a plain one, and that no two are the same on any system."""
    folded: dict[str, str] = {}
    for entry in entries:
        name = entry.filename
        try:
            composed = check_name(name, "file name")
        except UsageError as error:
            raise UnsafeFileError(f"{origin}: {error.message}", hint=HINT) from error
        if composed != name or composed.casefold() in folded:
            refuse(origin, f"has a name that other systems take for another: {shown(name)}")
        folded[composed.casefold()] = name
    manifest = next((entry for entry in entries if entry.filename == MANIFEST_NAME), None)
    if manifest is None:
        raise BundleError(f"{origin} has no {MANIFEST_NAME}.", hint="Check the file.")
    if manifest.file_size > MAX_MANIFEST_BYTES:
        refuse(origin, f"has a {MANIFEST_NAME} of more than {MAX_MANIFEST_BYTES} bytes")


def _unpack(archive: zipfile.ZipFile, folder: Path, origin: str) -> None:
    """Write every file; zipfile stops at the declared size and checks the checksum."""
    for entry in archive.infolist():
        try:
            with archive.open(entry) as content:
                write_verified(content, folder / entry.filename)  # type: ignore[arg-type]
        except (zipfile.BadZipFile, EOFError, ValueError, zlib.error) as error:
            refuse(origin, f"has a damaged entry, {shown(entry.filename)}", cause=error)
        if (folder / entry.filename).stat().st_size != entry.file_size:
            refuse(origin, f"has {shown(entry.filename)} of another size than it says")
    sync_directory(folder)
