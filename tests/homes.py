"""Homes with small registries in them, for the tests of what keeps them in order."""

import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bundles import write_bundle

from vsat.registry import ModelRegistry

OTHER = {"task": "other"}
FIXTURES = Path(__file__).parent / "fixtures"


class Days:
    """A clock of which each look is a day later: 2026-01-01, 2026-01-02, ..."""

    def __init__(self) -> None:
        self.at = datetime(2025, 12, 31, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def next(self) -> None:
        self.at += timedelta(days=1)


class Home:
    """A registry whose days pass when something is registered or made current."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Days()
        self.package = folder / "package"
        self.registry = self.opened()

    def opened(self, name: str = "home") -> ModelRegistry:
        return ModelRegistry(
            self.folder / name,
            self_test=lambda bundle: None,
            clock=self.clock,
            package_folder=self.package,
        )

    def file(self, content: bytes, name: str = "model.bin") -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def add(self, model_id: str, content: bytes, **metadata: Any) -> int:
        self.clock.next()
        return self.registry.register_model(model_id, self.file(content), {**OTHER, **metadata})

    def add_bundle(self, model_id: str, content: bytes, **changes: Any) -> int:
        self.clock.next()
        folder = self.folder / "sources" / f"{model_id}-{content[:20].decode()}"
        shutil.rmtree(folder, ignore_errors=True)
        write_bundle(folder, {"model.onnx": content}, **changes)
        return self.registry.register_model(model_id, folder)

    def use(self, model_id: str, version: int) -> None:
        self.clock.next()
        self.registry.set_current_version(model_id, version)

    def path(self, model_id: str, version: int, name: str = "model.bin") -> Path:
        return self.registry.home / "models" / model_id / str(version) / name

    def numbers(self, model_id: str) -> list[int]:
        return [record.version for record in self.registry.records(model_id)]


def damage(path: Path) -> None:
    """Flip a bit, as a dying disk does; the size stays."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.parent.chmod(0o755)
    path.unlink()  # other links of the file keep their content
    path.write_bytes(content)


def check_whole(registry: ModelRegistry) -> None:
    """The oracle: a sound database, every file as recorded, a current version, nothing half-done"""
    database = sqlite3.connect(registry.home / "registry.db")
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    database.close()
    assert registry.verify() == []
    for model_id, entry in registry.list_models().items():
        assert registry.resolve(model_id).version == entry["current_version"]
        assert len(registry.records(model_id)) == entry["versions_count"]
    assert list(registry.home.rglob(".staging-*")) == []


def of_schema(number: int, folder: Path) -> Path:
    """A home as an earlier schema left it."""
    home = folder / "old"
    shutil.copytree(FIXTURES / f"schema_{number}", home)
    database = sqlite3.connect(home / "registry.db", isolation_level=None)
    database.executescript((home / "registry.sql").read_text())
    database.close()
    (home / "registry.sql").unlink()
    return home


def of_schema_1(folder: Path) -> Path:
    """A home as the first schema left it."""
    return of_schema(1, folder)
