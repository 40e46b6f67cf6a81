"""One model out of a hub's repository: its files, checked, in a folder of their own."""

from dataclasses import dataclass
from pathlib import Path

from vsat.bundle import FileRecord
from vsat.errors import DamagedError, HubError
from vsat.files import check_free_space, copy_and_hash, make_folders, map_os_errors
from vsat.progress import Progress, silent
from vsat.updates import hub_client
from vsat.updates.hub_client import Listing
from vsat.updates.origin import HubOrigin, parse_hub_reference
from vsat.updates.selection import choose_files

MAX_DOWNLOAD_BYTES = 4 << 30  # the largest published separation models take a tenth of it


@dataclass(frozen=True)
class HubSnapshot:
    """One model's files, as a repository had them at one commit.

    Attributes:
        folder: holds these files and nothing else.
        origin: the repository and the commit.
        files: what the folder holds, by name.
        from_cache: whether the hub gave no answer, so that its revision may mean another commit.
    """

    folder: Path
    origin: HubOrigin
    files: dict[str, FileRecord]
    from_cache: bool


def fetch_from_hub(
    reference: str,
    folder: Path,
    *,
    progress: Progress = silent,
    max_bytes: int = MAX_DOWNLOAD_BYTES,
) -> HubSnapshot:
    """Fetch the files of the one model that a repository holds.

    They come through the cache of huggingface_hub. Where the hub gives no answer, what the cache
    has of the revision is taken.

    Args:
        reference: hf:ORG/NAME[@REVISION].
        folder: where the files are put; empty, or not there yet.
        progress: gets bytes.
        max_bytes: a model that is larger is not fetched.

    Raises:
        UsageError: the reference can't be one.
        HubError: the hub can't be reached, there is no such repository or revision, it is private,
            gated or moved, it holds no model that vsat could use, or one that is too large.
        DamagedError: a file is not what the hub says it is.
        StorageError: the disk is full, read-only or out of reach.
    """
    wanted = parse_hub_reference(reference)
    listing = hub_client.list_files(wanted)
    names = choose_files(wanted.repository, listing.sizes)
    n_bytes = sum(listing.sizes[name] for name in names)
    if n_bytes > max_bytes:
        raise HubError(
            f"{wanted.repository} is too large for a separation model: {n_bytes / 1e9:.1f} GB.",
            hint="If it is one all the same, download its files and name them: vsat import FILE",
        )
    if not listing.from_cache:
        check_free_space(hub_client.cache_folder(), n_bytes)
        hub_client.remember(wanted, listing.commit)
    with map_os_errors(f"making {folder}"):
        make_folders(folder)
    check_free_space(folder, n_bytes)
    files, done = {}, 0
    for name in names:
        report = _after(done, n_bytes, progress)
        cached = hub_client.download(wanted, listing.commit, name, report)
        files[name] = _take(cached, folder / name, listing)
        done += listing.sizes[name]
        progress(done, n_bytes)
    return HubSnapshot(folder, HubOrigin(wanted, listing.commit), files, listing.from_cache)


def newer_commit(origin: HubOrigin) -> str | None:
    """The commit that a version's revision means by now; None if it is still the version's own.

    Raises:
        HubError: the hub can't be asked, or no longer has the repository under this name.
    """
    if origin.reference.is_fixed:
        return None
    commit = hub_client.latest_commit(origin.reference)
    return None if commit == origin.commit else commit


def _after(before: int, total: int, progress: Progress) -> Progress:
    """Return a progress for one file of several."""
    return lambda done, _: progress(min(before + done, total), total)


def _take(cached: Path, target: Path, listing: Listing) -> FileRecord:
    """Copy a file out of the cache, where it is a link to what other programs may change.

    Raises:
        DamagedError: it is not what the hub says it is.
        StorageError: it can't be copied.
    """
    with map_os_errors(f"writing {target}"):
        sha256 = copy_and_hash(cached, target)
        n_bytes = target.stat().st_size
    name = target.name
    if n_bytes != listing.sizes[name] or listing.digests.get(name, sha256) != sha256:
        raise DamagedError(
            f"{name} is not what the hub says it is.",
            hint=f"Delete it from the cache, then run it again: {cached.resolve()}",
        )
    return FileRecord(sha256, n_bytes)
