"""What `model.json` says of a version.

It is strict. Unknown or missing keys, keys given twice, NaN, a wrong type, more than 1 MiB or
nesting deeper than 20 are refused.
"""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from vsat.bundle.checks import (
    FORMAT,
    KEYS,
    MAX_MANIFEST_BYTES,
    ONNX_NAME,
    SEPARATION,
    check_document,
    refuse,
)
from vsat.bundle.strict_json import strict_json


@dataclass(frozen=True)
class FileRecord:
    """What a file must be: its SHA-256 digest in hexadecimal and its size."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Architecture:
    """Which network the weights belong to, and the arguments that build it."""

    name: str
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Manifest:
    """What `model.json` says of a version."""

    id: str
    version: int
    task: str
    sample_rate: int | None  # Hz
    sources: int | None
    architecture: Architecture | None = None
    licence: str | None = None
    description: str = ""
    lineage: dict[str, Any] | None = None
    files: dict[str, FileRecord] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 of the content: of everything but id, version and metadata."""
        content = self._document()
        for key in ("id", "version", "metadata"):
            del content[key]
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()

    @property
    def main_name(self) -> str:
        """The name of the file that an engine opens, or of the one opaque file."""
        return ONNX_NAME if self.task == SEPARATION else next(iter(self.files))

    def to_json(self) -> bytes:
        """The content of `model.json`.

        Raises:
            BundleError: a field is not what `parse_manifest` would accept.
        """
        document = self._document()
        check_document(document)
        content = (json.dumps(document, indent=1, allow_nan=False) + "\n").encode("ascii")
        if len(content) > MAX_MANIFEST_BYTES:
            refuse(f"is larger than {MAX_MANIFEST_BYTES} bytes")
        return content

    def _document(self) -> dict[str, Any]:
        built = self.architecture
        return {
            "format": FORMAT,
            "id": self.id,
            "version": self.version,
            "task": self.task,
            "sample_rate": self.sample_rate,
            "sources": self.sources,
            "architecture": built and {"name": built.name, "parameters": built.parameters},
            "licence": self.licence,
            "description": self.description,
            "lineage": self.lineage,
            "files": {n: {"sha256": f.sha256, "bytes": f.bytes} for n, f in self.files.items()},
            "metadata": self.metadata,
        }


def parse_manifest(content: bytes) -> Manifest:
    """Read the content of a `model.json`.

    Raises:
        BundleError: it is not exactly what a manifest must be.
    """
    if len(content) > MAX_MANIFEST_BYTES:
        refuse(f"is larger than {MAX_MANIFEST_BYTES} bytes")
    try:
        document = strict_json(content)
    except ValueError as error:
        refuse(str(error), cause=error)
    check_document(document)
    architecture = document["architecture"]
    return Manifest(
        **{key: document[key] for key in KEYS - {"format", "files", "architecture"}},
        architecture=architecture and Architecture(**architecture),
        files={name: FileRecord(**record) for name, record in document["files"].items()},
    )
