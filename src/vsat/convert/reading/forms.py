"""The forms in which checkpoints are published, told apart by content: one file, or a folder.

This is what runs in the sealed process.
"""

import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from vsat.bundle import strict_json
from vsat.convert.reading import archive
from vsat.convert.reading.hyperparams import MAX_BYTES, read_hyperparams
from vsat.convert.reading.pytorch import (
    LEGACY_MAGIC,
    MAX_FILE_BYTES,
    read_archive,
    read_pickle,
    read_stream,
)
from vsat.convert.reading.refusal import refuse
from vsat.convert.reading.safetensors import looks_like_safetensors, read_safetensors
from vsat.errors import ConversionError, UsageError
from vsat.files import open_regular

TENSORS_NAME = "tensors.safetensors"
CONFIG_NAME, HYPERPARAMS_NAME, CARD_NAME = "config.json", "hyperparams.yaml", "README.md"
PICKLED_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".th")
MAX_CONFIG_BYTES = 1 << 20
MAX_CARD_BYTES = 1 << 20

Contents = tuple[dict[str, np.ndarray], dict[str, Any]]


def read(source: Path, folder: Path) -> dict[str, Any]:
    """Read a file or folder; leave its tensors in a file, and give its values and its card.

    Raises:
        UnsafeFileError: it holds more than a model has to.
        ConversionError: it is no checkpoint.
    """
    is_folder = source.is_dir()
    tensors, values = _read_folder(source) if is_folder else _read_with_config(source)
    save_file(tensors, folder / TENSORS_NAME)
    beside = source if is_folder else source.parent
    return {"values": values, "card": _card(beside, required_front_matter=not is_folder)}


def _read_with_config(path: Path) -> Contents:
    """One file; safetensors hold no values, so those of the `config.json` beside them are taken."""
    tensors, values = read_file(path)
    config = path.parent / CONFIG_NAME
    if not values and path.suffix.lower() == ".safetensors" and config.exists():
        values = _config(config)
    return tensors, values


def read_file(path: Path) -> Contents:
    """Tensors and values of one file, whatever its name.

    Raises:
        UnsafeFileError: it holds more than a model has to.
        ConversionError: it is no checkpoint.
    """
    origin = str(path)
    try:
        file = open_regular(path)
    except UsageError as error:
        raise ConversionError(error.message, hint=error.hint) from error
    with file:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            refuse(origin, f"has {size / 1e9:.1f} GB; {MAX_FILE_BYTES / 1e9:.1f} are the most")
        head = file.read(32)
        if not head:
            raise ConversionError(f"{origin} is empty.", hint="Get the file again.")
        file.seek(0)
        if head.startswith(b"version https://git-lfs"):
            raise ConversionError(
                f"{origin} only says where the real file is (Git LFS).", hint="Run: git lfs pull"
            )
        if looks_like_safetensors(head):
            return read_safetensors(file, origin), {}
        if head.startswith(archive.MAGIC) or zipfile.is_zipfile(file):
            return read_archive(file, origin)
        if head.startswith(LEGACY_MAGIC):
            return read_stream(file, origin)
        return read_pickle(file, origin)


def _read_folder(folder: Path) -> Contents:
    names = sorted(entry.name for entry in folder.iterdir())
    values = _config(folder / CONFIG_NAME) if CONFIG_NAME in names else {}
    if HYPERPARAMS_NAME in names:
        path = folder / HYPERPARAMS_NAME
        values |= read_hyperparams(_content(path, MAX_BYTES), str(path))
        return _read_parts(folder, names, values)
    tensors, found = read_file(folder / _weights_name(folder, names))
    return tensors, values | found


def _weights_name(folder: Path, names: list[str]) -> str:
    """The one file of weights: safetensors before others."""
    for suffixes in ((".safetensors",), PICKLED_SUFFIXES):
        found = [name for name in names if name.lower().endswith(suffixes)]
        if len(found) == 1:
            return found[0]
        if found:
            raise ConversionError(
                f"{folder} has several files of weights: {', '.join(found)[:200]}.",
                hint="Name the one that you mean.",
            )
    raise ConversionError(
        f"{folder} has no file of weights.", hint="Name a folder with a checkpoint in it."
    )


def _read_parts(folder: Path, names: Iterable[str], values: dict[str, Any]) -> Contents:
    """A file for each part of the network; its name comes before those of its tensors."""
    found = {Path(name).stem: name for name in names if name.endswith(".ckpt")}
    match values:
        case {"pretrainer": {"loadables": dict() as loadables}} if loadables.keys() <= found.keys():
            found = {part: found[part] for part in loadables}
    if not found:
        raise ConversionError(
            f"{folder} has {HYPERPARAMS_NAME}, but no .ckpt file.",
            hint="Get the files again from their publisher.",
        )
    tensors: dict[str, np.ndarray] = {}
    for part, name in found.items():
        inner, _ = read_file(folder / name)
        tensors |= {f"{part}.{key}": tensor for key, tensor in inner.items()}
    return tensors, values


def _config(path: Path) -> dict[str, Any]:
    try:
        values = strict_json(_content(path, MAX_CONFIG_BYTES))
        json.dumps(values)
    except ValueError as error:
        raise ConversionError(f"{path} {error}.", hint="Get the file again.") from error
    if not isinstance(values, dict):
        raise ConversionError(f"{path} holds no named values.", hint="Get the file again.")
    return values


def _card(folder: Path, *, required_front_matter: bool) -> str:
    """The card's text; beside a single file it counts only if it is clearly one of a hub."""
    path = folder / CARD_NAME
    if not path.is_file():
        return ""
    text = _content(path, MAX_CARD_BYTES).decode("utf-8", "replace").replace("\0", "")
    return text if text.startswith("---") or not required_front_matter else ""


def _content(path: Path, limit_bytes: int) -> bytes:
    with open_regular(path) as file:
        content = file.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        refuse(str(path), f"is larger than {limit_bytes} bytes")
    return content
