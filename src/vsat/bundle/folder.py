"""A version's folder: `model.json`, the model's file, and what goes with it."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from vsat.bundle.checks import (
    HINT,
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    ONNX_NAME,
    SEPARATION,
    WEIGHTS_NAME,
)
from vsat.bundle.manifest import FileRecord, Manifest, parse_manifest
from vsat.errors import BundleError, DamagedError, UsageError
from vsat.files import map_os_errors, open_regular, sha256_of


@dataclass(frozen=True)
class Bundle:
    """A version's folder with what its manifest says."""

    path: Path
    manifest: Manifest

    @property
    def main_path(self) -> Path:
        """The file that an engine opens, or the one opaque file."""
        return self.path / self.manifest.main_name

    @property
    def onnx_path(self) -> Path:
        """The inference graph.

        Raises:
            BundleError: the bundle is opaque and has none.
        """
        if self.manifest.task != SEPARATION:
            raise BundleError(
                f"{self.manifest.id}@{self.manifest.version} is not a voice-separation model.",
                hint="Choose a model whose task is 'separation'.",
            )
        return self.path / ONNX_NAME

    @property
    def weights_path(self) -> Path | None:
        """The weights that tuning begins from; None where there are none."""
        return self.path / WEIGHTS_NAME if WEIGHTS_NAME in self.manifest.files else None


def read_bundle(path: Path, *, verify: bool = False) -> Bundle:
    """Read a version's folder; check that exactly the files of its manifest are there.

    Args:
        path: the folder.
        verify: hash the files too, not only compare their sizes.

    Raises:
        BundleError: the folder is not a bundle.
        DamagedError: a file's size or digest is not the recorded one.
        StorageError: the folder can't be read.
    """
    path = Path(path)
    with map_os_errors(f"reading {path}"):
        manifest = parse_manifest(_read_manifest(path))
        sizes = _sizes_of_files(path)
    del sizes[MANIFEST_NAME]
    for name in sorted(sizes.keys() ^ manifest.files.keys()):
        problem = "is not in its manifest" if name in sizes else "is missing"
        raise BundleError(f"{path}: the file {name!a} {problem}.", hint=HINT)
    for name, record in manifest.files.items():
        if sizes[name] != record.bytes:
            raise DamagedError(
                f"{path / name} has {sizes[name]} bytes instead of {record.bytes}.", hint=HINT
            )
        if verify and sha256_of(path / name) != record.sha256:
            raise DamagedError(f"{path / name} has changed: its digest differs.", hint=HINT)
    return Bundle(path, manifest)


def fits(path: Path, record: FileRecord, *, follow_links: bool = False) -> bool:
    """Whether there is a regular file of this content; False too where it can't be read."""
    try:
        if not path.is_file() or (path.is_symlink() and not follow_links):
            return False
        return path.stat().st_size == record.bytes and sha256_of(path) == record.sha256
    except OSError:  # StorageError is one, too
        return False


def _read_manifest(path: Path) -> bytes:
    try:
        with open_regular(path / MANIFEST_NAME, follow_links=False) as file:
            return file.read(MAX_MANIFEST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BundleError(f"{path} has no {MANIFEST_NAME}.", hint=HINT) from error
    except UsageError as error:
        raise BundleError(error.message, hint=HINT) from error


def _sizes_of_files(path: Path) -> dict[str, int]:
    sizes = {}
    with os.scandir(path) as entries:
        for entry in entries:
            found = entry.stat(follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode):
                raise BundleError(f"{path}: {entry.name!a} is not a regular file.", hint=HINT)
            sizes[entry.name] = found.st_size
    return sizes
