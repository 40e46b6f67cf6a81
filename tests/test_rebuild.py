"""A new database from the folders of the versions, when the old one is damaged or gone."""

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from bundles import write_bundle
from homes import OTHER, Home, check_whole, damage

from vsat.errors import RegistryError, StorageError
from vsat.registry import DEFAULT_MODEL_ID, Setting


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    for content in (b"one", b"two", b"three"):
        home.add("m", content, val_si_sdr_db=len(content))
    home.use("m", 2)
    home.add_bundle("b", b"base")
    home.add_bundle("b", b"tuned", lineage={"base": "b@1", **dict.fromkeys(
        ("base_digest", "data_fingerprint", "configuration", "seed"))})  # fmt: skip
    return home


def database_of(home: Home) -> Path:
    return home.registry.home / "registry.db"


def ruin(home: Home, how: str) -> None:
    home.registry.close()
    path = database_of(home)
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_bytes(b"this is no database, but long enough to be one " * 100)
    else:
        path.write_bytes(content[: len(content) // 2 + 100])


@pytest.mark.parametrize("how", ["gone", "empty", "text", "cut"])
def test_the_versions_come_back_from_their_folders(home: Home, how: str) -> None:
    before = [(r.model_id, r.version, r.digest, r.metadata) for r in home.registry.find_versions()]
    ruin(home, how)
    with pytest.raises(RegistryError) as error:
        home.registry.verify()
    assert "vsat doctor --rebuild" in error.value.hint
    ruined = database_of(home).read_bytes() if how != "gone" else b""
    done = home.registry.upkeep.rebuild()
    assert (done.versions, done.quarantined, done.skipped) == (5, (), ())
    if how in ("gone", "empty"):
        assert done.kept is None
    else:
        assert done.kept is not None
        assert done.kept.read_bytes() == ruined
    after = home.registry.find_versions()
    assert [(r.model_id, r.version, r.digest, r.metadata) for r in after] == before
    assert [r.version for r in home.registry.find_versions("tuned")] == [2]
    check_whole(home.registry)
    assert {row["action"] for row in home.registry.history()} >= {"rebuild"}
    assert home.registry.register_model("m", home.file(b"four"), OTHER) == 4
    if how in ("gone", "empty", "text"):
        assert done.guessed == ("b", "m")
        assert home.registry.resolve("m").version == 3
    assert home.registry.integrity_check() == []


@pytest.mark.parametrize("links", [True, False])
def test_the_damaged_database_stays_until_the_new_one_takes_its_place(
    home: Home, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """Else an empty one would be made meanwhile, and be taken for whole."""
    ruin(home, "text")
    ruined = database_of(home).read_bytes()

    def replace(source: str, target: str, really: Callable[..., None] = os.replace) -> None:
        if Path(target).name == "registry.db":
            raise OSError(errno.EIO, "no more")
        really(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", replace)
        if not links:
            patch.setattr("os.link", lambda *_: replace("", "registry.db"))
        with pytest.raises(StorageError):
            home.registry.upkeep.rebuild()
    assert database_of(home).read_bytes() == ruined
    assert home.registry.upkeep.rebuild().versions == 5
    check_whole(home.registry)


def test_what_can_still_be_read_is_taken_over(home: Home) -> None:
    home.registry.upkeep.quota.set(1_000_000)
    home.use("m", 3)
    home.registry.delete_version("m", 1)
    assert home.add("m", b"five") == 4
    home.registry.delete_version("m", 4)
    digest, setting = home.registry.resolve("m").digest, Setting("openvino", "f32")
    home.registry.keep_measurement(digest, "real_time_factor", 0.25)
    home.registry.evaluations.pin("mine", {"folder": "talks", "examples": []})
    home.registry.evaluations.keep_scores(digest, "e", setting, {"stoi": 0.8, "pesq": None})
    home.registry.evaluations.keep_preferences("mine", [("talk", digest, "other", digest)])
    history = home.registry.history()
    home.registry.close()
    break_an_index(database_of(home))
    with pytest.raises(RegistryError, match="damaged"):
        home.registry.integrity_check()
    done = home.registry.upkeep.rebuild()
    assert done.guessed == ()
    assert home.registry.resolve("m").version == 3
    assert home.registry.history()[: len(history)] == history
    assert home.registry.upkeep.quota.limit() == 1_000_000
    assert home.registry.measurements(digest) == {"real_time_factor": 0.25}
    evaluations = home.registry.evaluations
    assert [one.name for one in evaluations.test_sets()] == ["mine"]
    assert evaluations.scores(digest, ["e"], setting) == {"e": {"stoi": 0.8, "pesq": None}}
    assert evaluations.preferences("other", digest) == [digest]
    assert home.registry.rollback("m") == 2
    assert home.add("m", b"new") == 5
    check_whole(home.registry)


def break_an_index(path: Path) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    ((page,),) = database.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'files_by_content'"
    ).fetchall()
    ((size,),) = database.execute("PRAGMA page_size").fetchall()
    database.close()
    with open(path, "r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)


def test_a_whole_database_is_not_rebuilt(home: Home) -> None:
    before = home.registry.history()
    with pytest.raises(RegistryError, match="is whole"):
        home.registry.upkeep.rebuild()
    assert home.registry.history() == before


def test_a_newer_or_a_strange_database_is_not_rebuilt(home: Home) -> None:
    home.registry.close()
    for statement, words in (
        ("PRAGMA user_version = 99", "newer"),
        ("PRAGMA application_id = 1", "newer|another"),
    ):
        database = sqlite3.connect(database_of(home), isolation_level=None)
        database.execute(statement)
        database.close()
        before = database_of(home).read_bytes()
        with pytest.raises(RegistryError, match=words):
            home.registry.upkeep.rebuild()
        assert database_of(home).read_bytes() == before


def test_damaged_versions_are_quarantined_and_strange_folders_left(home: Home) -> None:
    damage(home.path("m", 3))
    folder = home.registry.home / "models" / "m"
    (folder / "7").mkdir()
    (folder / "7" / "note.txt").write_text("mine")
    shutil.copytree(folder / "1", folder / "8")  # says that it is m@1
    (folder / "notes").mkdir()
    ruin(home, "gone")
    done = home.registry.upkeep.rebuild()
    assert done.quarantined == ("m@3",)
    assert [line.split(":")[0] for line in done.skipped] == [str(folder / "7"), str(folder / "8")]
    assert home.registry.resolve("m").version == 2  # the newest sound one
    assert home.registry.resolve("m@3").is_quarantined
    assert (folder / "7" / "note.txt").exists()
    assert home.add("m", b"new") == 9  # never a number whose folder is there
    home.file(b"three")
    assert [r.outcome for r in home.registry.upkeep.repair("m@3")] == ["lost"]


def test_the_shipped_model_doesnt_come_in_twice(home: Home) -> None:
    write_bundle(home.package / DEFAULT_MODEL_ID, id=DEFAULT_MODEL_ID)
    home.registry.get_model_path(DEFAULT_MODEL_ID)
    ruin(home, "gone")
    home.registry.upkeep.rebuild()
    registry = home.opened()
    assert registry.resolve(DEFAULT_MODEL_ID).origin == "package"
    assert registry.list_models()[DEFAULT_MODEL_ID]["versions_count"] == 1


def test_nothing_is_left_beside_the_new_database(home: Home) -> None:
    ruin(home, "text")
    done = home.registry.upkeep.rebuild()
    assert done.kept is not None
    home.registry.close()
    names = {name for name in os.listdir(home.registry.home) if "journal" not in name}
    assert names == {"registry.db", "models", done.kept.name}


def test_an_empty_home_is_rebuilt_to_an_empty_registry(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.registry.home.mkdir()
    assert home.registry.upkeep.rebuild().versions == 0
    assert home.registry.list_models() == {}
