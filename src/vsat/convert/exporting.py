"""A version on its way out: in four forms, whole or not there, and never over anything else."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from vsat.bundle import MANIFEST_NAME, SEPARATION, Bundle, parse_manifest
from vsat.convert import packing
from vsat.errors import BundleError, UsageError
from vsat.files import (
    check_free_space,
    copy_and_hash,
    exchange,
    map_os_errors,
    remove_tree,
    replace_atomically,
    staging_name,
    sync_directory,
)
from vsat.registry import ModelRegistry

ROOM_FOR_TEXTS_BYTES = 1 << 20  # a manifest, a card, a configuration


class Form(StrEnum):
    """What a version becomes outside the registry."""

    FOLDER = "folder"  # the bundle: model.json, model.onnx, weights.safetensors, README.md
    ARCHIVE = "vsat"  # the same in one file
    GRAPH = "onnx"  # model.onnx alone, for any other program
    HUB = "hf-folder"  # what can be pushed to a hub as it is


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: of the file or the folder.
        form: what it is.
        version: which one, id@version.
        digest: of the version's content, which an import of it gives again; a graph alone doesn't.
        sample_rate: Hz; None where it has none.
        size_bytes: of all of it.
    """

    path: Path
    form: Form
    version: str
    digest: str
    sample_rate: int | None
    size_bytes: int


def form_of(target: Path) -> Form:
    """What a target's name asks for.

    >>> [str(form_of(Path(name))) for name in ("a.vsat", "a.onnx", "my-hf-folder", "a")]
    ['vsat', 'onnx', 'hf-folder', 'folder']
    """
    if target.suffix.lower() in (".vsat", ".onnx"):
        return Form(target.suffix.lower().removeprefix("."))
    return Form.HUB if target.name.endswith(Form.HUB) else Form.FOLDER


def export_version(
    registry: ModelRegistry,
    model: str,
    target: str | Path,
    *,
    form: Form | None = None,
    replace: bool = False,
) -> Exported:
    """Write a version somewhere else, after its files were hashed once more.

    Args:
        registry: where it is.
        model: id or id@version.
        target: a file or a folder that isn't there yet.
        form: None for what the target's name asks for.
        replace: whether a file, or the folder of an earlier export, may be there and go.

    Raises:
        ModelNotFoundError: there is no such model or version.
        UsageError: there is something at the target, or the version can't take the form.
        DamagedError: its files are not what was registered.
        StorageError: the target can't be written, or has too little room.
    """
    target = Path(target).absolute()
    chosen = form or form_of(target)
    bundle = registry.get_bundle(model)
    _check_form(bundle, chosen)
    _check_target(target, chosen, registry.home, replace=replace)
    needed = sum(record.bytes for record in bundle.manifest.files.values())
    with map_os_errors(f"writing {target}"):
        check_free_space(target.parent, needed + ROOM_FOR_TEXTS_BYTES)
        _write(bundle, target, chosen)
        size = _size_of(target)
    manifest = bundle.manifest
    version = f"{manifest.id}@{manifest.version}"
    return Exported(target, chosen, version, manifest.digest, manifest.sample_rate, size)


def _write(bundle: Bundle, target: Path, form: Form) -> None:
    match form:
        case Form.FOLDER:
            with _new_folder(target) as staged:
                packing.write_folder(bundle, staged)
        case Form.HUB:
            with _new_folder(target) as staged:
                packing.write_hub_folder(bundle, staged)
        case Form.ARCHIVE:
            with replace_atomically(target) as staged:
                packing.write_archive(bundle, staged)
        case Form.GRAPH:
            with replace_atomically(target) as staged:
                copy_and_hash(bundle.onnx_path, staged, mode=packing.MODE)


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """Give an empty folder that becomes `target` at the end, in place of one that is there."""
    staged = staging_name(target)
    try:
        staged.mkdir()
        yield staged
        sync_directory(staged)
        if target.exists():
            exchange(staged, target)
        else:
            staged.rename(target)
        sync_directory(target.parent)
    finally:
        remove_tree(staged)  # unfinished, or what was there before


def _check_form(bundle: Bundle, form: Form) -> None:
    if bundle.manifest.task != SEPARATION and form in (Form.GRAPH, Form.HUB):
        raise UsageError(
            f"{bundle.manifest.id}@{bundle.manifest.version} is not a voice-separation model.",
            hint="Export it as a folder or as a .vsat archive.",
        )


def _check_target(target: Path, form: Form, home: Path, *, replace: bool) -> None:
    if target == home or target.is_relative_to(home):
        raise UsageError(f"{target} is within the registry.", hint="Choose a place elsewhere.")
    if not os.path.lexists(target):
        return
    if not replace:
        raise UsageError(
            f"There is something at {target} already.",
            hint="Choose a new name, or let it be replaced with --force.",
        )
    is_file = form in (Form.ARCHIVE, Form.GRAPH)
    if target.is_symlink() or not (target.is_file() if is_file else _is_export(target)):
        raise UsageError(
            f"{target} is no earlier export of this form, and is not replaced.",
            hint="Choose a new name.",
        )


def _is_export(folder: Path) -> bool:
    """Whether a folder holds a manifest and nothing that an export of it would not have made."""
    try:
        manifest = parse_manifest((folder / MANIFEST_NAME).read_bytes())
        with os.scandir(folder) as entries:
            found = {entry.name: entry.is_file(follow_symlinks=False) for entry in entries}
    except (OSError, BundleError):
        return False
    return all(found.values()) and found.keys() <= packing.names_of(manifest)


def _size_of(target: Path) -> int:
    if target.is_file():
        return target.stat().st_size
    return sum(entry.stat().st_size for entry in os.scandir(target))
