"""What someone asks to register: a bundle's folder, a bare ONNX graph, or any single file."""

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vsat.bundle import (
    ONNX_NAME,
    OTHER,
    SAMPLE_RATES_HZ,
    SEPARATION,
    SOURCES,
    FileRecord,
    Manifest,
    check_json,
    read_bundle,
)
from vsat.errors import UsageError
from vsat.files import check_name, map_os_errors
from vsat.registry.graph import n_sources_of

MAX_METADATA_BYTES = 512 << 10  # half of what a manifest may have
_EXAMPLE = 'for example {"sample_rate": 16000, "sources": 2}'


@dataclass(frozen=True)
class Submission:
    """What is to become a version: a manifest whose number and files are still to be filled in.

    Attributes:
        manifest: with the model's id, and version 1 until the number is known.
        sources: for each file name, where its content is now.
        promised: the digests that the submitted bundle gives; empty for bare files.
        came_from: the path that was submitted; None where it can't serve again.
    """

    manifest: Manifest
    sources: dict[str, Path]
    promised: dict[str, FileRecord]
    came_from: str | None = None


def read_submission(
    model_id: str, model_path: str | Path, metadata: Mapping[str, Any] | None
) -> Submission:
    """Find out what a path is, and what is to be registered of it.

    A link to a file or a folder stands for what it leads to.

    Raises:
        UsageError: the path or the metadata can't make a version.
        BundleError: the folder is a bundle, but not a whole one.
        StorageError: the path can't be read.
    """
    given = checked_metadata(metadata)
    path = _checked_path(model_path)
    with map_os_errors(f"reading {path}"):
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UsageError(f"There is nothing at {path}.", hint="Check the path.") from error
        if stat.S_ISDIR(mode):
            return _from_bundle(model_id, path, given)
        if not stat.S_ISREG(mode):
            raise UsageError(f"{path} is not a regular file.", hint="Name a file or a bundle.")
        if path.stat().st_size == 0:
            raise UsageError(f"{path} is empty.", hint="Name a file that holds a model.")
    return _from_file(model_id, path, given)


def checked_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """A copy of the metadata, as it will be read back.

    Raises:
        UsageError: JSON can't hold it, or it is too large.
    """
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        raise UsageError(
            f"Metadata is a dictionary, not {type(metadata).__name__}.", hint=f"Give {_EXAMPLE}."
        )
    try:
        check_json(metadata)
        text = json.dumps(dict(metadata), allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise UsageError(
            f"The metadata {error}.", hint="Use text, finite numbers, lists and dictionaries."
        ) from error
    if len(text) > MAX_METADATA_BYTES:
        raise UsageError(
            f"The metadata is larger than {MAX_METADATA_BYTES} bytes.",
            hint="Keep long lists in a file.",
        )
    copied: dict[str, Any] = json.loads(text)
    return copied


def _checked_path(model_path: str | Path) -> Path:
    try:
        text = os.fspath(model_path)
    except TypeError as error:
        raise UsageError(f"A path is text, not {type(model_path).__name__}.") from error
    if not isinstance(text, str) or not text or "\0" in text:
        raise UsageError(f"{text!r:.60} is not a path.", hint="Name a file or a bundle.")
    return Path(text).absolute()


def _from_bundle(model_id: str, path: Path, metadata: dict[str, Any]) -> Submission:
    if not (path / "model.json").exists():
        raise UsageError(
            f"The folder {path} is not a bundle: it has no model.json.",
            hint="Name a bundle's folder or a single file.",
        )
    bundle = read_bundle(path)
    kept = metadata or bundle.manifest.metadata
    return Submission(
        replace(bundle.manifest, id=model_id, version=1, metadata=kept),
        {name: path / name for name in bundle.manifest.files},
        bundle.manifest.files,
        str(path),
    )


def _from_file(model_id: str, path: Path, metadata: dict[str, Any]) -> Submission:
    task = metadata.get("task")
    if task == OTHER:
        return _opaque(model_id, path, metadata)
    if task not in (None, SEPARATION):
        raise UsageError(
            f"The task {task!r:.40} is unknown.", hint="It is 'separation' or 'other'."
        )
    if path.suffix.lower() != ".onnx":
        raise UsageError(
            f"{path.name} is neither an ONNX graph nor a bundle.",
            hint='To keep any other model, give the metadata {"task": "other"}.',
        )
    return _graph(model_id, path, metadata)


def _graph(model_id: str, path: Path, metadata: dict[str, Any]) -> Submission:
    n_sources = metadata.get("sources")
    if n_sources is None:
        n_sources = n_sources_of(path)
    manifest = Manifest(
        id=model_id,
        version=1,
        task=SEPARATION,
        sample_rate=_integer("sample_rate", metadata.get("sample_rate"), SAMPLE_RATES_HZ),
        sources=_integer("sources", n_sources, SOURCES),
        licence=_text("licence", metadata.get("licence")) or None,
        description=_text("description", metadata.get("description")),
        metadata=metadata,
    )
    return Submission(manifest, {ONNX_NAME: path}, {}, str(path))


def _opaque(model_id: str, path: Path, metadata: dict[str, Any]) -> Submission:
    rate, n_sources = metadata.get("sample_rate"), metadata.get("sources")
    manifest = Manifest(
        id=model_id,
        version=1,
        task=OTHER,
        sample_rate=None if rate is None else _integer("sample_rate", rate, SAMPLE_RATES_HZ),
        sources=None if n_sources is None else _integer("sources", n_sources, SOURCES),
        licence=_text("licence", metadata.get("licence")) or None,
        description=_text("description", metadata.get("description")),
        metadata=metadata,
    )
    return Submission(manifest, {_stored_name(path.name): path}, {}, str(path))


def _stored_name(name: str) -> str:
    """The file's own name where it is safe on every system, else a plain one."""
    try:
        safe = check_name(name, "file name")
    except UsageError:
        return "model.bin"
    return "model.bin" if safe.casefold() == "model.json" else safe


def _integer(what: str, value: object, limits: tuple[int, int]) -> int:
    low, high = limits
    if value is None:
        raise UsageError(f"The metadata must give {what}.", hint=f"Add it, {_EXAMPLE}.")
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UsageError(
            f"The metadata's {what} is {value!r:.40}, not an integer from {low} to {high}.",
            hint=f"Correct it, {_EXAMPLE}.",
        )
    return value


def _text(what: str, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UsageError(f"The metadata's {what} is not text.", hint="Write it as text.")
    return value
