"""Bundles whose graphs are never run, for tests of what keeps them."""

import hashlib
from pathlib import Path
from typing import Any

from vsat.bundle import FileRecord, Manifest


def record_of(content: bytes) -> FileRecord:
    return FileRecord(hashlib.sha256(content).hexdigest(), len(content))


def manifest(contents: dict[str, bytes] | None = None, **changes: Any) -> Manifest:
    contents = {"model.onnx": b"graph"} if contents is None else contents
    fields: dict[str, Any] = {
        "id": "voices",
        "version": 1,
        "task": "separation",
        "sample_rate": 16_000,
        "sources": 2,
        "files": {name: record_of(content) for name, content in contents.items()},
    }
    return Manifest(**{**fields, **changes})


def write_bundle(folder: Path, contents: dict[str, bytes] | None = None, **changes: Any) -> Path:
    contents = {"model.onnx": b"graph"} if contents is None else contents
    folder.mkdir(parents=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "model.json").write_bytes(manifest(contents, **changes).to_json())
    return folder
