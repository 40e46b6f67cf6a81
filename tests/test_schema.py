"""Its own upgrades: every past schema comes up whole, with a copy of how it was."""

import os
import sqlite3
from pathlib import Path

import pytest
from homes import FIXTURES, check_whole, of_schema, of_schema_1

from vsat.errors import RegistryError, StorageError
from vsat.registry import ModelRegistry
from vsat.registry.schema import LATEST, MIGRATIONS, migrate


def schema_of(database: Path) -> int:
    connection = sqlite3.connect(database)
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return int(number)


def tables(database: Path) -> dict[str, list[str]]:
    connection = sqlite3.connect(database)
    names = [
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    ]
    found = {
        name: sorted(row[1] for row in connection.execute(f"PRAGMA table_info({name})"))
        for name in names
    }
    connection.close()
    return found


def test_there_is_a_fixture_of_every_past_schema() -> None:
    assert [step.number for step in MIGRATIONS] == list(range(1, LATEST + 1))
    for number in range(1, LATEST):
        assert (FIXTURES / f"schema_{number}" / "registry.sql").exists()


def test_a_registry_of_schema_1_is_upgraded(tmp_path: Path) -> None:
    home = of_schema_1(tmp_path)
    registry = ModelRegistry(home, self_test=lambda bundle: None)
    assert registry.list_models() == {
        "notes": {"current_version": 2, "versions_count": 2},
        "voices": {"current_version": 2, "versions_count": 2},
    }
    assert schema_of(home / "registry.db") == LATEST
    assert [row["action"] for row in registry.history("voices")] == ["register", "register", "use"]
    assert {row["by"] for row in registry.history()} == {"ada"}
    assert registry.rollback("voices") == 1
    tuned = registry.resolve("voices@2")
    assert tuned.lineage["base"] == "voices@1"  # read from the folder
    assert [r.version for r in registry.find_versions("tuned")] == [2]
    assert not tuned.is_quarantined
    assert registry.upkeep.prune(1, "voices", dry_run=True) == []  # 1 is a parent
    check_whole(registry)
    registry.close()
    fresh = tmp_path / "fresh" / "registry.db"
    ModelRegistry(fresh.parent).list_models()
    assert tables(home / "registry.db") == tables(fresh)


def test_a_registry_of_schema_2_is_upgraded(tmp_path: Path) -> None:
    home = of_schema(2, tmp_path)
    registry = ModelRegistry(home, self_test=lambda bundle: None)
    assert registry.resolve("voices").version == 2
    assert [r.version for r in registry.find_versions("tuned")] == [2]
    assert registry.upkeep.quota.limit() == 1_000_000_000
    assert registry.evaluations.test_sets() == []
    assert schema_of(home / "registry.db") == LATEST
    assert schema_of(home / "registry.db.schema-2") == 2
    check_whole(registry)
    registry.close()
    fresh = tmp_path / "fresh" / "registry.db"
    ModelRegistry(fresh.parent).list_models()
    assert tables(home / "registry.db") == tables(fresh)


def test_the_database_is_kept_as_it_was_before(tmp_path: Path) -> None:
    home = of_schema_1(tmp_path)
    ModelRegistry(home).list_models()
    kept = home / "registry.db.schema-1"
    assert schema_of(kept) == 1
    connection = sqlite3.connect(kept)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("SELECT count(*) FROM versions").fetchall() == [(4,)]
    connection.close()


def test_a_new_registry_needs_no_copy(tmp_path: Path) -> None:
    ModelRegistry(tmp_path).list_models()
    assert [name for name in os.listdir(tmp_path) if "schema" in name] == []


def test_without_room_for_the_copy_nothing_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = of_schema_1(tmp_path)
    before = (home / "registry.db").read_bytes()
    monkeypatch.setattr("vsat.files.free_bytes", lambda path: 1 << 20)
    with pytest.raises(StorageError, match="free"):
        ModelRegistry(home).list_models()
    assert (home / "registry.db").read_bytes() == before
    monkeypatch.undo()
    assert len(ModelRegistry(home).list_models()) == 2


@pytest.mark.parametrize("after", range(1, 12))
def test_an_upgrade_that_is_interrupted_leaves_the_old_one(tmp_path: Path, after: int) -> None:
    home = of_schema_1(tmp_path)

    class Failing(sqlite3.Connection):
        left = after

        def execute(self, statement: str, *parameters: object) -> sqlite3.Cursor:
            if statement.lstrip().startswith(("ALTER", "CREATE", "UPDATE", "INSERT")):
                self.left -= 1
                if not self.left:
                    raise sqlite3.OperationalError("disk I/O error")
            return super().execute(statement, *parameters)  # type: ignore[arg-type]

    database = home / "registry.db"
    connection = sqlite3.connect(database, isolation_level=None, factory=Failing)
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, "now")
    connection.close()
    assert schema_of(database) == 1
    assert "state" not in tables(database)["versions"]
    migrate(sqlite3.connect(database, isolation_level=None), "now")
    assert schema_of(database) == LATEST


def test_a_folder_that_cant_be_read_doesnt_prevent_the_upgrade(tmp_path: Path) -> None:
    home = of_schema_1(tmp_path)
    (home / "models" / "voices" / "2" / "model.json").write_bytes(b"{}")
    registry = ModelRegistry(home, self_test=lambda bundle: None)
    assert registry.resolve("voices@2").particulars is None
    with pytest.raises(RegistryError, match="voices@2"):
        registry.upkeep.prune(1)
    (done,) = registry.upkeep.repair("voices@2")
    assert done.outcome == "lost"  # the first schema didn't keep where it came from


def test_a_read_only_home_of_an_older_schema_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vsat.registry.store import Store

    home = of_schema_1(tmp_path)
    before = sorted(os.listdir(home)), (home / "registry.db").read_bytes()
    monkeypatch.setattr(Store, "_can_write", lambda self: False)
    registry = ModelRegistry(home)
    assert registry.get_model_path("voices").read_bytes() == b"tuned graph"
    assert [r.version for r in registry.find_versions("tuned")] == [2]
    assert registry.get_bundle("voices@1").manifest.licence == "MIT"
    with pytest.raises(StorageError):
        registry.delete_version("voices", 1)
    registry.close()
    assert (sorted(os.listdir(home)), (home / "registry.db").read_bytes()) == before
