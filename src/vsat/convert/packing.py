"""The forms that a version leaves in: a bundle's folder, an archive of it, a folder for a hub.

Each function writes what it is told into a place where nothing is yet; that it is whole or not
there is its caller's part.
"""

import hashlib
import json
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

from vsat.bundle import (
    CARD_NAME,
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    WEIGHTS_NAME,
    Bundle,
    FileRecord,
    Manifest,
    parse_manifest,
    read_bundle,
)
from vsat.convert.model_card import hub_card, split_card
from vsat.errors import BundleError, DamagedError
from vsat.files import copy_and_hash, map_os_errors, open_regular

CONFIG_NAME = "config.json"
HUB_WEIGHTS_NAME = "model.safetensors"  # what hubs count, show and scan
MODE = 0o644  # of what leaves: it is the person's own now
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date of a zip archive
HINT = "Get the bundle again from where it came."
UNIX = 3  # the system that a zip's permissions are those of


def write_folder(bundle: Bundle, folder: Path) -> None:
    """Write a bundle as it is into an empty folder.

    Raises:
        DamagedError: a file changed meanwhile.
        OSError: it can't be written.
    """
    for name, record in bundle.manifest.files.items():
        _copy(bundle.path / name, folder / name, record)
    _write(folder / MANIFEST_NAME, bundle.manifest.to_json())


def write_archive(bundle: Bundle, path: Path) -> None:
    """Write a bundle as a zip archive, which is the same for the same bundle on any machine.

    Entries are sorted, bear one date, and are stored as they are: weights hardly compress, and
    compressors differ.

    Raises:
        OSError: it can't be written.
    """
    with zipfile.ZipFile(path, "x", zipfile.ZIP_STORED) as archive:
        for name in sorted([*bundle.manifest.files, MANIFEST_NAME]):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system, entry.external_attr = UNIX, MODE << 16
            if name == MANIFEST_NAME:
                archive.writestr(entry, bundle.manifest.to_json())
                continue
            entry.file_size = bundle.manifest.files[name].bytes
            with open(bundle.path / name, "rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target, 1 << 20)


def write_hub_folder(bundle: Bundle, folder: Path) -> None:
    """Write a bundle into an empty folder as hubs expect a model to look.

    That is with a card for machines too, `config.json`, and the weights as `model.safetensors`. The
    manifest stays as it is, so that `read_hub_folder` gives back the very same bundle.

    Raises:
        DamagedError: a file changed meanwhile.
        OSError: it can't be written.
    """
    manifest = bundle.manifest
    own = ""
    for name, record in manifest.files.items():
        if name == CARD_NAME:
            own = (bundle.path / name).read_bytes().decode("utf-8", "surrogateescape")
        else:
            _copy(bundle.path / name, folder / _name_on_hub(name), record)
    card = hub_card(manifest, own).encode("utf-8", "surrogateescape")
    _write(folder / CARD_NAME, card)
    built = manifest.architecture
    configuration = {
        "architecture": built and built.name,
        "parameters": built and built.parameters,
        "sample_rate": manifest.sample_rate,
        "sources": manifest.sources,
    }
    _write(folder / CONFIG_NAME, (json.dumps(configuration, indent=1) + "\n").encode("ascii"))
    _write(folder / MANIFEST_NAME, manifest.to_json())


def names_of(manifest: Manifest) -> set[str]:
    """All names that the folder of an exported version may hold, of either form."""
    return {*manifest.files, MANIFEST_NAME, CARD_NAME, CONFIG_NAME, HUB_WEIGHTS_NAME}


def read_hub_folder(folder: Path, staging: Path) -> Path:
    """Make a bundle's folder again of what `write_hub_folder` wrote, or `write_folder`.

    A card that was edited since is taken as it is now; all else must be what the manifest says.

    Args:
        folder: with `model.json` in it.
        staging: a folder that is there and empty; the bundle is made in it.

    Returns:
        The bundle's folder.

    Raises:
        BundleError: it is no such folder.
        DamagedError: a file is not what the manifest says.
        StorageError: it can't be read or written.
    """
    with map_os_errors(f"reading {folder}"):
        with open_regular(folder / MANIFEST_NAME) as file:
            manifest = parse_manifest(file.read(MAX_MANIFEST_BYTES + 1))
        files = dict(manifest.files)
        for name, record in manifest.files.items():
            if name == CARD_NAME:
                files[name] = _take_card(_found(folder, name), staging / name, record)
            else:
                _copy(_found(folder, name), staging / name, record)
        _write(staging / MANIFEST_NAME, replace(manifest, files=files).to_json())
    return read_bundle(staging).path


def _found(folder: Path, name: str) -> Path:
    """Where a bundle's file is, under the name that it has on a hub or under its own."""
    for path in (folder / _name_on_hub(name), folder / name):
        if path.is_file():
            return path
    raise BundleError(f"{folder}: the file {name!a} is missing.", hint=HINT)


def _take_card(card: Path, target: Path, promised: FileRecord) -> FileRecord:
    with open_regular(card) as file:
        content = file.read()
    text = content.decode("utf-8", "surrogateescape")
    original = split_card(text)[1].encode("utf-8", "surrogateescape")
    if _record_of(original) == promised:
        content = original
    _write(target, content)
    return _record_of(content)


def _record_of(content: bytes) -> FileRecord:
    return FileRecord(hashlib.sha256(content).hexdigest(), len(content))


def _name_on_hub(name: str) -> str:
    return HUB_WEIGHTS_NAME if name == WEIGHTS_NAME else name


def _copy(source: Path, target: Path, record: FileRecord) -> None:
    if copy_and_hash(source, target, mode=MODE) != record.sha256:
        raise DamagedError(
            f"{source} is not what its manifest says: its digest differs.",
            hint=HINT,
        )


def _write(path: Path, content: bytes) -> None:
    with open(path, "xb") as file:
        file.write(content)
        file.flush()
        path.chmod(MODE)
        os.fsync(file.fileno())
