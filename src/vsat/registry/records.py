"""What is known of a version, as the database's rows say it."""

import json
import os
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vsat.bundle import MANIFEST_NAME, Architecture, FileRecord, Manifest, parse_manifest
from vsat.errors import VsatError

SOUND, QUARANTINED = "sound", "quarantined"  # what `state` may be

# CROSS JOIN keeps SQLite to this order of loops, which is that of the lists: none is sorted.
RECORD = """SELECT m.model_id, v.version, v.metadata, v.created_at, v.digest, v.size_bytes, v.task,
    v.sample_rate, v.sources, m.current_version IS v.version, v.main_name, v.origin, v.state,
    v.came_from, v.particulars
    FROM models m CROSS JOIN versions v ON v.model_key = m.model_key"""
RECORD_COLUMNS = (
    "model_id", "version", "metadata", "created_at", "digest", "size_bytes", "task", "sample_rate",
    "sources", "is_current", "main_name", "origin", "state", "came_from", "particulars",
)  # fmt: skip
LISTED = """SELECT v.version, v.main_name, v.metadata, v.created_at
    FROM models m CROSS JOIN versions v ON v.model_key = m.model_key"""


@dataclass(frozen=True)
class VersionRecord:
    """One registered version."""

    model_id: str
    version: int
    path: Path  # the bundle's folder
    metadata: dict[str, Any]
    created_at: str  # ISO 8601, UTC
    digest: str
    size_bytes: int
    task: str
    sample_rate: int | None  # Hz
    sources: int | None
    is_current: bool
    main_name: str
    origin: str  # "file", "package", "import" or "rebuild"
    state: str = SOUND  # or QUARANTINED
    came_from: str | None = None  # the path that was registered
    particulars: dict[str, Any] | None = None  # what the manifest says beyond the other fields

    @property
    def main_path(self) -> Path:
        """The file that an engine opens, or the one opaque file."""
        return self.path / self.main_name

    @property
    def is_quarantined(self) -> bool:
        """Whether its files were found damaged, and it isn't used until it is repaired."""
        return self.state == QUARANTINED

    @property
    def lineage(self) -> dict[str, Any]:
        """What it was tuned from and how; empty if it wasn't, or if that isn't known."""
        return (self.particulars or {}).get("lineage") or {}


@dataclass(frozen=True)
class Change:
    """Who did what, when and why: what every row of the history says."""

    action: str
    at: str
    by: str
    because: str = ""


def time_text(moment: datetime) -> str:
    """A time as the registry writes it: ISO 8601, UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def record_from(row: tuple[Any, ...], models_folder: Path) -> VersionRecord:
    """A record from a row of `RECORD`."""
    found = dict(zip(RECORD_COLUMNS, row, strict=True))
    found["metadata"] = json.loads(found["metadata"])
    found["is_current"] = bool(found["is_current"])
    if found["particulars"] is not None:
        found["particulars"] = json.loads(found["particulars"])
    path = Path(f"{models_folder}/{found['model_id']}/{found['version']}")
    return VersionRecord(path=path, **found)


def listed_from(rows: Sequence[tuple[Any, ...]], model_folder: str) -> list[dict[str, Any]]:
    """What lists give of versions, from rows of `LISTED`."""
    metadata = json.loads(f"[{','.join(row[2] for row in rows)}]")  # at once: half of the time
    return [
        {
            "version": version,
            "path": f"{model_folder}{os.sep}{version}{os.sep}{main_name}",
            "metadata": given,
            "created_at": created_at,
        }
        for (version, main_name, _, created_at), given in zip(rows, metadata, strict=True)
    ]


def folded(model_id: str) -> str:
    """The id as a file system sees it that ignores case and composition."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", model_id).casefold())


def particulars_of(manifest: Manifest) -> str:
    """What a manifest says that no other column of the database does, as JSON."""
    built = manifest.architecture
    return json.dumps(
        {
            "architecture": built and {"name": built.name, "parameters": built.parameters},
            "licence": manifest.licence,
            "description": manifest.description,
            "lineage": manifest.lineage,
            "files": list(manifest.files),  # in their order
        }
    )


def particulars_in(folder: Path) -> Callable[[str, int], str | None]:
    """What the upgrade of an older database reads from the versions' folders."""

    def read(model_id: str, version: int) -> str | None:
        try:
            content = (folder / model_id / str(version) / MANIFEST_NAME).read_bytes()
            return particulars_of(parse_manifest(content))
        except (OSError, VsatError):
            return None

    return read


def manifest_of(record: VersionRecord, files: dict[str, FileRecord]) -> Manifest | None:
    """The manifest that a version was registered with; None if too little of it is known.

    Args:
        record: of the version.
        files: every file of it by name, as recorded.
    """
    said = record.particulars
    if said is None:
        return None
    built = said["architecture"]
    try:
        return Manifest(
            id=record.model_id,
            version=record.version,
            task=record.task,
            sample_rate=record.sample_rate,
            sources=record.sources,
            architecture=built and Architecture(**built),
            licence=said["licence"],
            description=said["description"],
            lineage=said["lineage"],
            files={name: files[name] for name in said["files"]},
            metadata=record.metadata,
        )
    except (KeyError, TypeError, VsatError):
        return None
