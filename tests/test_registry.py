"""The registry as a person uses it, with true files and a true database."""

import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bundles import write_bundle

from vsat.bundle import Bundle, read_bundle
from vsat.errors import (
    DamagedError,
    InUseError,
    ModelNotFoundError,
    RegistryError,
    SelfTestError,
    StorageError,
    UsageError,
    VsatError,
)
from vsat.registry import ModelRegistry, staging
from vsat.registry.schema import LATEST

OTHER = {"task": "other"}
RATE = {"sample_rate": 16_000, "sources": 2}


class SelfTest:
    """A self-test that counts, and refuses what it is told to."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.refused: set[bytes] = set()

    def __call__(self, bundle: Bundle) -> None:
        content = bundle.onnx_path.read_bytes()
        assert read_bundle(bundle.path, verify=True).manifest == bundle.manifest
        self.seen.append(content)
        if content in self.refused:
            raise SelfTestError("It gives NaN.")


@pytest.fixture
def tester() -> SelfTest:
    return SelfTest()


@pytest.fixture
def registry(tmp_path: Path, tester: SelfTest) -> Iterator[ModelRegistry]:
    opened = ModelRegistry(tmp_path / "home", self_test=tester)
    yield opened
    opened.close()


@pytest.fixture
def source(tmp_path: Path) -> Callable[..., Path]:
    def make(content: bytes = b"content", name: str = "model.bin") -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return make


def three_versions(registry: ModelRegistry, source: Callable[..., Path]) -> None:
    for content in (b"one", b"two", b"three"):
        registry.register_model("voices", source(content, "voices.onnx"), RATE)


def check_whole(registry: ModelRegistry) -> None:
    """The database is sound, every file is as recorded, and nothing is left over."""
    database = sqlite3.connect(registry.home / "registry.db")
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    database.close()
    assert registry.verify() == []
    assert list((registry.home / "models").glob("*/.staging-*")) == []


def test_a_newcomers_script(registry: ModelRegistry, source: Callable[..., Path]) -> None:
    assert registry.register_model("voices", source(b"one", "a.onnx"), RATE) == 1
    assert registry.register_model("voices", source(b"two", "b.onnx"), {**RATE, "note": "x"}) == 2
    assert registry.list_models() == {"voices": {"current_version": 1, "versions_count": 2}}
    assert registry.get_model_path("voices").read_bytes() == b"one"
    registry.set_current_version("voices", 2)
    assert registry.get_model_path("voices").read_bytes() == b"two"
    assert registry.get_model_path("voices@1") == registry.get_model_path("voices", 1)
    assert registry.rollback("voices") == 1
    assert registry.get_model_path("voices").name == "model.onnx"
    with pytest.raises(KeyError, match="Registered: voices"):
        registry.get_model_path("voice")
    check_whole(registry)


def test_versions_are_listed_oldest_first(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    three_versions(registry, source)
    versions = registry.get_model_versions("voices")
    assert [sorted(entry) for entry in versions] == [
        ["created_at", "metadata", "path", "version"]
    ] * 3
    assert [entry["version"] for entry in versions] == [1, 2, 3]
    assert [Path(entry["path"]).read_bytes() for entry in versions] == [b"one", b"two", b"three"]
    assert versions[0]["path"] == str(registry.get_model_path("voices", 1))
    assert json.loads(json.dumps(versions)) == versions
    assert [entry["version"] for entry in registry.get_model_versions("voices@2")] == [2]


def test_another_object_on_the_same_folder_sees_the_same(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    three_versions(registry, source)
    registry.set_current_version("voices@3")
    other = ModelRegistry(registry.home)
    assert other.list_models() == registry.list_models()
    assert other.resolve("voices") == registry.resolve("voices")
    assert other.history("voices") == registry.history("voices")
    registry.set_current_version("voices", 1)
    assert other.get_model_path("voices").read_bytes() == b"one"


def test_a_record_says_all_of_a_version(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    registry.register_model("voices", source(b"one", "a.onnx"), {**RATE, "licence": "MIT"})
    record = registry.resolve("voices")
    assert (record.model_id, record.version, record.is_current) == ("voices", 1, True)
    assert (record.task, record.sample_rate, record.sources) == ("separation", 16_000, 2)
    assert record.path == registry.home / "models" / "voices" / "1"
    assert record.metadata == {**RATE, "licence": "MIT"}
    assert record.size_bytes == sum(path.stat().st_size for path in record.path.iterdir())
    assert record.digest == registry.get_bundle("voices").manifest.digest
    assert registry.get_bundle("voices").manifest.licence == "MIT"
    assert datetime.fromisoformat(record.created_at).utcoffset() == timedelta(0)


def test_the_time_comes_from_the_clock(tmp_path: Path, source: Callable[..., Path]) -> None:
    moment = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    registry = ModelRegistry(tmp_path / "home", clock=lambda: moment)
    registry.register_model("m", source(), OTHER)
    assert registry.resolve("m").created_at == "2026-03-01T12:30:00.000Z"
    assert registry.history("m")[0]["at"] == "2026-03-01T12:30:00.000Z"


def test_a_bundle_keeps_its_files_and_its_own_metadata(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    contents = {"model.onnx": b"graph", "weights.safetensors": b"weights", "README.md": b"card"}
    folder = write_bundle(tmp_path / "b", contents, id="elsewhere", version=7, metadata={"a": 1})
    registry.register_model("voices", folder, None)
    registry.register_model("voices", folder, {"b": 2})
    bundle = registry.get_bundle("voices")
    assert {name: (bundle.path / name).read_bytes() for name in contents} == contents
    assert (bundle.manifest.id, bundle.manifest.version) == ("voices", 1)
    assert bundle.manifest.digest == read_bundle(folder).manifest.digest
    assert [entry["metadata"] for entry in registry.get_model_versions("voices")] == [
        {"a": 1},
        {"b": 2},
    ]


# What the history says, and where rolling back leads.


def test_rolling_back_walks_further_back_and_never_toggles(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    three_versions(registry, source)
    registry.set_current_version("voices", 2)
    registry.set_current_version("voices", 3)
    assert registry.rollback("voices") == 2
    assert registry.rollback("voices") == 1
    with pytest.raises(RegistryError, match="before"):
        registry.rollback("voices")
    assert registry.resolve("voices").version == 1


def test_after_a_new_choice_rolling_back_leads_to_what_it_replaced(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    three_versions(registry, source)
    registry.set_current_version("voices", 2)
    assert registry.rollback("voices") == 1
    registry.set_current_version("voices", 3)
    assert registry.rollback("voices") == 1


def test_rolling_back_passes_over_what_was_deleted(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    three_versions(registry, source)
    registry.set_current_version("voices", 2)
    registry.set_current_version("voices", 3)
    registry.delete_version("voices", 2)
    assert registry.rollback("voices") == 1


def test_rolling_back_never_stays_where_it_is(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    three_versions(registry, source)
    for version in (2, 3, 2):
        registry.set_current_version("voices", version)
    registry.delete_version("voices", 3)  # between two times of 2
    assert registry.rollback("voices") == 1


def test_the_history_says_what_who_when_and_why(
    registry: ModelRegistry, source: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    three_versions(registry, source)
    registry.set_current_version("voices", 2, because="clearer on the phone")
    registry.rollback("voices", because="no, noisier")
    registry.delete_version("voices", 3)
    rows = registry.history("voices")
    assert [(r["action"], r["version"], r["previous"], r["current"]) for r in rows] == [
        ("register", 1, None, 1),
        ("register", 2, 1, 1),
        ("register", 3, 1, 1),
        ("use", 2, 1, 2),
        ("rollback", 1, 2, 1),
        ("delete", 3, 1, 1),
    ]
    assert [r["because"] for r in rows[3:5]] == ["clearer on the phone", "no, noisier"]
    assert {r["by"] for r in rows} == {"ada"}
    assert {r["model_id"] for r in rows} == {"voices"}
    assert [r["at"] for r in rows] == sorted(r["at"] for r in rows)
    assert registry.history() == rows
    assert [r["action"] for r in registry.history("voices@2")] == ["register", "use"]


def test_choosing_the_current_version_changes_nothing(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    three_versions(registry, source)
    before = registry.history("voices")
    registry.set_current_version("voices", 1)
    assert registry.history("voices") == before


def test_the_history_can_only_be_added_to(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    registry.register_model("m", source(), OTHER)
    database = sqlite3.connect(registry.home / "registry.db", isolation_level=None)
    for statement in ("DELETE FROM history", "UPDATE history SET version = 9"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            database.execute(statement)
    database.close()


# Deleting.


def test_the_current_version_is_never_deleted(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    three_versions(registry, source)
    with pytest.raises(InUseError):
        registry.delete_version("voices", 1)
    assert registry.get_model_path("voices").read_bytes() == b"one"
    assert len(registry.history("voices")) == 3


def test_a_number_is_never_used_again(registry: ModelRegistry, source: Callable[..., Path]) -> None:
    three_versions(registry, source)
    registry.delete_version("voices", 3)
    assert not (registry.home / "models" / "voices" / "3").exists()
    assert registry.register_model("voices", source(b"four", "voices.onnx"), RATE) == 4
    assert registry.list_models()["voices"]["versions_count"] == 3
    with pytest.raises(ModelNotFoundError, match=r"no version 3\. It has 4, 2, 1"):
        registry.get_model_path("voices@3")
    check_whole(registry)


def test_deleting_one_of_two_equal_versions_leaves_the_other(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    for _ in range(3):
        registry.register_model("m", source(b"equal"), OTHER)
    registry.delete_version("m", 2)
    assert registry.get_model_path("m", 1).read_bytes() == b"equal"
    assert registry.get_model_path("m", 3).read_bytes() == b"equal"
    check_whole(registry)


# What is in the folder.


def test_equal_files_are_shared_and_read_only(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    registry.register_model("a", source(b"equal"), OTHER)
    registry.register_model("b", source(b"equal"), OTHER)
    registry.register_model("b", source(b"other"), OTHER)
    one, two = registry.get_model_path("a"), registry.get_model_path("b")
    assert one.samefile(two)
    assert not one.samefile(registry.get_model_path("b", 2))
    assert not one.samefile(source(b"equal"))  # the person's own file stays their own
    for path in (registry.home / "models").rglob("*"):
        assert not path.is_symlink()
        if path.is_file():
            assert path.stat().st_mode & 0o222 == 0


def test_where_links_fail_files_are_copied(
    registry: ModelRegistry, source: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    for _ in range(2):
        registry.register_model("m", source(b"equal"), OTHER)
    one, two = registry.get_model_path("m", 1), registry.get_model_path("m", 2)
    assert one.read_bytes() == two.read_bytes() == b"equal"
    assert not one.samefile(two)


def test_a_damaged_file_is_never_linked(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    registry.register_model("m", source(b"equal"), OTHER)
    damaged = registry.get_model_path("m")
    damaged.chmod(0o644)
    damaged.write_bytes(b"eqval")
    registry.register_model("m", source(b"equal"), OTHER)
    assert registry.get_model_path("m", 2).read_bytes() == b"equal"
    assert [(d["version"], d["file"]) for d in registry.verify()] == [(1, "model.bin")]


def test_the_persons_file_is_left_as_it_was(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    path = source(b"mine")
    before = path.stat()
    registry.register_model("m", path, OTHER)
    after = path.stat()
    assert (after.st_mode, after.st_mtime_ns, after.st_nlink) == (
        before.st_mode,
        before.st_mtime_ns,
        1,
    )
    path.write_bytes(b"changed")
    assert registry.get_model_path("m").read_bytes() == b"mine"


def test_a_crashed_registrations_folder_makes_way(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    registry.register_model("m", source(), OTHER)
    orphan = registry.home / "models" / "m" / "2"
    orphan.mkdir()
    (orphan / "half").write_bytes(b"half")
    staging.announce(orphan)
    assert registry.register_model("m", source(b"whole"), OTHER) == 2
    assert sorted(path.name for path in orphan.iterdir()) == ["model.bin", "model.json"]
    check_whole(registry)


def test_a_failed_commit_leaves_neither_folder_nor_record(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    registry.register_model("m", source(), OTHER)
    database = sqlite3.connect(registry.home / "registry.db", isolation_level=None)
    database.execute(
        "CREATE TRIGGER broken BEFORE INSERT ON history BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    with pytest.raises(RegistryError):
        registry.register_model("m", source(b"two"), OTHER)
    assert os.listdir(registry.home / "models" / "m") == ["1"]
    database.execute("DROP TRIGGER broken")
    database.close()
    assert registry.register_model("m", source(b"two"), OTHER) == 2
    check_whole(registry)


def test_what_crashes_left_is_named_and_removed(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    for content in (b"one", b"two"):
        registry.register_model("m", source(content), OTHER)
    registry.delete_version("m", 2)
    folder = registry.home / "models" / "m"
    (folder / "2").mkdir()  # deleted from the database, then the power went
    (folder / "3").mkdir()  # in its place, but the power went before it was recorded
    staging.announce(folder / "3")
    first = registry.home / "models" / "new" / "1"  # the same, of the first version of a model
    first.mkdir(parents=True)
    staging.announce(first)
    (folder / ".staging-young").mkdir()  # perhaps being registered just now
    (folder / ".staging-old").mkdir()
    os.utime(folder / ".staging-old", (0, 0))
    expected = [folder / ".staging-old", folder / "2", folder / "3", first]
    assert registry.without_record() == []
    assert registry.left_over() == expected
    assert registry.remove_left_over() == expected
    assert sorted(os.listdir(folder)) == [".staging-young", "1"]
    assert os.listdir(first.parent) == []


def test_what_an_older_database_does_not_know_is_kept_and_its_number_passed_over(
    registry: ModelRegistry, source: Callable[..., Path], tmp_path: Path
) -> None:
    registry.register_model("m", source(b"one"), OTHER)
    older = (registry.home / "registry.db").read_bytes()
    registry.register_model("m", source(b"two"), OTHER)
    registry.register_model("new", source(b"three"), OTHER)
    registry.close()
    (registry.home / "registry.db").write_bytes(older)
    unknown = [registry.home / "models" / name for name in ("m/2", "new/1")]
    assert registry.left_over() == []
    assert registry.without_record() == unknown
    assert registry.register_model("m", source(b"four"), OTHER) == 3
    assert registry.register_model("new", unknown[1], None) == 2
    assert registry.without_record() == unknown
    assert registry.verify() == []


def test_what_is_being_registered_is_not_left_over(
    registry: ModelRegistry, source: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.register_model("m", source(b"one"), OTHER)
    found: list[list[Path]] = []
    looking = threading.Thread(target=lambda: found.append(registry.remove_left_over()))
    move_in = staging.move_in

    def move_in_and_wait(folder: Path, place: Path) -> Path | None:
        moved = move_in(folder, place)
        looking.start()
        looking.join(0.2)
        return moved

    monkeypatch.setattr(staging, "move_in", move_in_and_wait)
    assert registry.register_model("m", source(b"two"), OTHER) == 2
    looking.join()
    assert found == [[]]
    check_whole(registry)


# The self-test.


def test_a_version_may_become_current_in_the_step_that_registers_it(
    registry: ModelRegistry, source: Callable[..., Path], tester: SelfTest
) -> None:
    registry.register_model("voices", source(b"one", "v.onnx"), RATE)
    two = source(b"two", "v.onnx")
    assert registry.register_model("voices", two, RATE, make_current=True) == 2
    assert registry.resolve("voices").version == 2
    assert [row["action"] for row in registry.history("voices")] == ["register", "register"]
    assert registry.rollback("voices") == 1
    tester.refused = {b"bad"}
    with pytest.raises(SelfTestError):
        registry.register_model("voices", source(b"bad", "v.onnx"), RATE, make_current=True)
    assert registry.list_models() == {"voices": {"current_version": 1, "versions_count": 2}}
    check_whole(registry)


def test_only_what_works_becomes_current(
    registry: ModelRegistry, source: Callable[..., Path], tester: SelfTest
) -> None:
    tester.refused = {b"bad"}
    with pytest.raises(SelfTestError):
        registry.register_model("voices", source(b"bad", "v.onnx"), RATE)
    assert registry.list_models() == {}
    assert registry.register_model("voices", source(b"good", "v.onnx"), RATE) == 1
    assert registry.register_model("voices", source(b"bad", "v.onnx"), RATE) == 2
    with pytest.raises(SelfTestError):
        registry.set_current_version("voices", 2)
    assert registry.resolve("voices").version == 1
    assert [row["action"] for row in registry.history("voices")] == ["register", "register"]
    check_whole(registry)


def test_a_content_is_tested_once(
    registry: ModelRegistry, source: Callable[..., Path], tester: SelfTest
) -> None:
    three_versions(registry, source)
    assert tester.seen == [b"one"]
    for version in (2, 3, 2, 1):
        registry.set_current_version("voices", version)
    registry.rollback("voices")
    registry.register_model("same", source(b"two", "v.onnx"), RATE)
    assert tester.seen == [b"one", b"two", b"three"]


def test_an_opaque_model_is_never_loaded(
    registry: ModelRegistry, source: Callable[..., Path], tester: SelfTest
) -> None:
    pickle = b"cos\nsystem\n(S'touch /tmp/never'\ntR."
    for number in range(2):
        registry.register_model("m", source(pickle + bytes([number]), "m.pt"), OTHER)
    registry.set_current_version("m", 2)
    assert tester.seen == []
    assert registry.get_model_path("m").name == "m.pt"


def test_the_true_self_test_is_the_default(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    toys = pytest.importorskip("toys")
    registry = ModelRegistry(tmp_path / "home")
    graph = toys.save(toys.low_and_high(), tmp_path / "toy.onnx")
    assert registry.register_model("toy", graph, {"sample_rate": 8_000}) == 1
    assert registry.resolve("toy").sources == 2  # as the graph's output says
    (tmp_path / "bad.onnx").write_bytes(b"not a graph")
    with pytest.raises(VsatError):
        registry.register_model("bad", tmp_path / "bad.onnx", RATE)
    assert list(registry.list_models()) == ["toy"]


# Damage.


def test_verify_names_each_kind_of_damage(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    for number in range(6):
        registry.register_model("m", source(b"content %d" % number), OTHER)
    folder = registry.home / "models" / "m"
    for path in folder.rglob("*"):
        path.chmod(0o755)
    (folder / "1" / "model.bin").write_bytes(b"content x")
    (folder / "2" / "model.bin").write_bytes(b"cut")
    (folder / "3" / "model.bin").unlink()
    (folder / "4" / "model.json").write_bytes(b"{}")
    (folder / "5" / "extra").write_bytes(b"")
    (folder / "6" / "model.bin").unlink()
    (folder / "6" / "model.bin").symlink_to(source())
    found = {(d["version"], d["file"]): d["problem"] for d in registry.verify()}
    assert sorted(found) == [
        (1, "model.bin"),
        (2, "model.bin"),
        (3, "model.bin"),
        (4, "model.json"),
        (5, "extra"),
        (6, "model.bin"),
    ]
    assert "digest" in str(found[1, "model.bin"])
    assert "missing" in str(found[3, "model.bin"])
    assert "regular" in str(found[6, "model.bin"])
    assert {d["model_id"] for d in registry.verify("m")} == {"m"}
    assert [d["version"] for d in registry.verify("m@2")] == [2]
    with pytest.raises(ModelNotFoundError):
        registry.verify("no")


def test_verify_reports_how_far_it_is(registry: ModelRegistry, source: Callable[..., Path]) -> None:
    registry.register_model("m", source(), OTHER)
    seen: list[tuple[float, float]] = []
    registry.verify(progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == seen[-1][1] == registry.resolve("m").size_bytes


def test_a_damaged_version_is_neither_loaded_nor_made_current(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    three_versions(registry, source)
    path = registry.get_model_path("voices", 2)
    path.chmod(0o644)
    path.write_bytes(b"owt")
    with pytest.raises(DamagedError):
        registry.get_bundle("voices@2")
    with pytest.raises(DamagedError):
        registry.set_current_version("voices", 2)
    assert registry.resolve("voices").version == 1
    registry.get_bundle("voices")


def test_a_forged_manifest_is_found(
    registry: ModelRegistry, source: Callable[..., Path], tmp_path: Path
) -> None:
    three_versions(registry, source)
    folder = registry.resolve("voices").path
    (folder / "model.onnx").unlink()
    (folder / "model.json").unlink()
    for path in write_bundle(tmp_path / "forged", {"model.onnx": b"forged"}).iterdir():
        path.rename(folder / path.name)
    with pytest.raises(DamagedError, match="manifest"):
        registry.get_bundle("voices")


# Bad input.


@pytest.mark.parametrize(
    "name",
    [
        "../../x", "C:x", r"\\server\share", "CON", "nul.txt", "a.", "a ", "a\0b", "x" * 101,
        "x" * 300, "..%2f", "a\u202eb", "", "a/b", "a\\b", ".a", "LPT1", None, 3, "x@", "@1",
    ],
)  # fmt: skip
def test_an_unsafe_id_is_refused_everywhere(
    registry: ModelRegistry, source: Callable[..., Path], name: Any
) -> None:
    for ask in (
        lambda: registry.register_model(name, source(), OTHER),
        lambda: registry.get_model_path(name),
        lambda: registry.get_model_versions(name),
        lambda: registry.set_current_version(name, 1),
        lambda: registry.rollback(name),
        lambda: registry.delete_version(name, 1),
        lambda: registry.verify(name) if name is not None else registry.resolve(name),
        lambda: registry.version_at(name, "2026-01-01"),
        lambda: registry.rollback(name, to="2026-01-01"),
        lambda: registry.records(name),
        lambda: registry.get_bundle(name),
        lambda: registry.find_versions(model_id=name or ""),
        lambda: registry.history(name or ""),
        lambda: registry.upkeep.repair(name or ""),
        lambda: registry.upkeep.prune(1, name or ""),
    ):
        with pytest.raises(UsageError):
            ask()


@pytest.mark.parametrize("version", [0, -1, True, 1.0, "1", 1 << 60])
def test_what_is_no_version_is_refused(
    registry: ModelRegistry, source: Callable[..., Path], version: Any
) -> None:
    registry.register_model("m", source(), OTHER)
    with pytest.raises(UsageError):
        registry.get_model_path("m", version)
    with pytest.raises(UsageError):
        registry.set_current_version("m", version)


@pytest.mark.parametrize("name", ["m@0", "m@-1", "m@x", "m@1.0", "m@99999999999999999999", "m@²"])
def test_a_wrong_version_in_an_id_is_refused(registry: ModelRegistry, name: str) -> None:
    with pytest.raises(UsageError):
        registry.get_model_path(name)


def test_two_different_versions_at_once_are_refused(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    registry.register_model("m", source(), OTHER)
    assert registry.resolve("m@1", 1).version == 1
    with pytest.raises(UsageError, match="Two versions"):
        registry.resolve("m@1", 2)
    with pytest.raises(UsageError, match="can't be chosen"):
        registry.register_model("m@2", source(), OTHER)
    for ask in (registry.set_current_version, registry.delete_version):
        with pytest.raises(UsageError, match="No version"):
            ask("m")
    with pytest.raises(UsageError):
        registry.rollback("m@1")


@pytest.mark.parametrize(
    "metadata",
    [
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": {1, 2}},
        {"a": b"x"},
        {"a": object()},
        {1: "a"},
        {"a": "\ud800"},
        {"a": 10**5000},
        {"a": "x" * (1 << 20)},
        ["task", "other"],
        "task",
        3,
    ],
    ids=lambda value: repr(value)[:20] if not isinstance(value, dict) else None,
)
def test_metadata_that_json_cant_hold_is_refused(
    registry: ModelRegistry, source: Callable[..., Path], metadata: Any
) -> None:
    given = {**OTHER, **metadata} if isinstance(metadata, dict) else metadata
    with pytest.raises(UsageError):
        registry.register_model("m", source(), given)
    assert registry.list_models() == {}


def test_metadata_that_holds_itself_is_refused(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    loop: dict[str, Any] = {"task": "other"}
    loop["self"] = loop
    with pytest.raises(UsageError):
        registry.register_model("m", source(), loop)


@pytest.mark.parametrize(
    ("metadata", "word"),
    [
        ({}, "sample_rate"),
        (None, "sample_rate"),
        ({"sample_rate": 0, "sources": 2}, "sample_rate"),
        ({"sample_rate": 16_000.0, "sources": 2}, "sample_rate"),
        ({"sample_rate": "16000", "sources": 2}, "sample_rate"),
        ({"sample_rate": 16_000}, "sources"),
        ({"sample_rate": 16_000, "sources": 0}, "sources"),
        ({"sample_rate": 16_000, "sources": 2, "licence": 3}, "licence"),
        ({"task": "sing"}, "task"),
        ({"task": {}}, "task"),
    ],
)
def test_a_bare_graph_without_what_it_needs_is_refused(
    registry: ModelRegistry, source: Callable[..., Path], metadata: Any, word: str
) -> None:
    with pytest.raises(UsageError, match=word) as refusal:
        registry.register_model("m", source(b"graph", "m.onnx"), metadata)
    assert refusal.value.hint


def test_paths_that_lead_to_no_model_are_refused(
    registry: ModelRegistry, source: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    for path, words in (
        (tmp_path / "no", "nothing at"),
        (tmp_path / "empty" / "below-a-file", "nothing at"),
        (tmp_path / "dangling", "nothing at"),
        (tmp_path / "folder", "not a bundle"),
        (tmp_path / "pipe", "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
        (tmp_path / "empty", "is empty"),
        ("", "not a path"),
        ("a\0b", "not a path"),
        (None, "not NoneType"),
    ):
        with pytest.raises(UsageError, match=words):
            registry.register_model("m", path, OTHER)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="neither"):
        registry.register_model("m", source(b"x", "m.pt"), RATE)
    assert registry.list_models() == {}


def test_a_link_stands_for_what_it_leads_to(
    registry: ModelRegistry, source: Callable[..., Path], tmp_path: Path
) -> None:
    link = tmp_path / "latest.bin"
    link.symlink_to(source(b"behind"))
    registry.register_model("m", link, OTHER)
    stored = registry.get_model_path("m")
    assert stored.read_bytes() == b"behind"
    assert not stored.is_symlink()


@pytest.mark.parametrize("name", ["model.json", "Model.JSON", "a:b.pt", ".hidden", "x" * 150])
def test_a_file_of_an_unsafe_name_is_kept_under_a_plain_one(
    registry: ModelRegistry, source: Callable[..., Path], name: str
) -> None:
    registry.register_model("m", source(b"x", name), OTHER)
    assert registry.get_model_path("m").name == "model.bin"
    check_whole(registry)


def test_a_bundle_whose_digests_dont_fit_is_refused(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    folder = write_bundle(tmp_path / "b")
    (folder / "model.onnx").write_bytes(b"grapi")
    with pytest.raises(DamagedError):
        registry.register_model("m", folder, None)
    assert registry.list_models() == {}
    check_whole(registry)


def test_a_source_that_vanishes_is_a_clear_error(
    registry: ModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = {"model.onnx": b"graph", "weights.safetensors": b"weights"}
    folder = write_bundle(tmp_path / "b", contents)
    true_chmod = Path.chmod

    def remove_the_next(path: Path, mode: int) -> None:
        (folder / "weights.safetensors").unlink(missing_ok=True)
        true_chmod(path, mode)

    monkeypatch.setattr(Path, "chmod", remove_the_next)
    with pytest.raises(StorageError) as error:
        registry.register_model("m", folder, None)
    monkeypatch.undo()
    assert error.value.hint
    assert registry.list_models() == {}
    check_whole(registry)


def test_a_disk_that_is_too_small_is_said_before_writing(
    registry: ModelRegistry, source: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.register_model("m", source(b"old"), OTHER)
    monkeypatch.setattr("vsat.files.free_bytes", lambda path: 1 << 20)
    with pytest.raises(StorageError, match="free"):
        registry.register_model("m", source(b"x" * (2 << 20)), OTHER)
    assert registry.register_model("m", source(b"old"), OTHER) == 2  # a link takes no space
    check_whole(registry)


def test_unicode_ids_come_back(registry: ModelRegistry, source: Callable[..., Path]) -> None:
    for name in ("日本語", "Größe", "zwei Wörter", "שלום"):
        registry.register_model(name, source(), {**OTHER, "name": name})
    assert set(registry.list_models()) == {"日本語", "Größe", "zwei Wörter", "שלום"}
    assert registry.resolve("Größe").metadata["name"] == "Größe"
    check_whole(registry)


def test_ids_that_a_file_system_may_confuse_dont_stand_side_by_side(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    registry.register_model("Größe", source(), OTHER)
    for name in ("größe", "GRÖSSE", "GRO\u0308\u00dfe"):
        with pytest.raises(UsageError, match="only in how it is written"):
            registry.register_model(name, source(), OTHER)
        assert not (registry.home / "models" / name).exists()
    assert registry.register_model("Gro\u0308\u00dfe", source(), OTHER) == 2  # the same, decomposed
    assert registry.resolve("Gro\u0308\u00dfe").model_id == "Größe"
    check_whole(registry)


def test_what_isnt_there_is_said_with_what_is(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    with pytest.raises(ModelNotFoundError, match="none is registered"):
        registry.get_model_path("x")
    for name in ["voices_office", *(f"m{number:02d}" for number in range(30))]:
        registry.register_model(name, source(), OTHER)
    with pytest.raises(ModelNotFoundError) as error:
        registry.get_model_path("voice_office")
    assert "Registered: voices_office, m00" in str(error.value)
    assert "Did you mean 'voices_office'?" in str(error.value)
    assert len(str(error.value)) < 300


# The folder and the database.


def test_a_new_home_is_empty_and_made_at_need(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()
    assert registry.list_models() == {}
    assert registry.history() == []
    assert registry.verify() == []


def test_a_home_that_is_a_file_is_a_clear_error(source: Callable[..., Path]) -> None:
    with pytest.raises(StorageError):
        ModelRegistry(source()).list_models()


def test_a_newer_schema_is_refused_and_left_alone(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    registry.register_model("m", source(), OTHER)
    registry.close()
    path = registry.home / "registry.db"
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(f"PRAGMA user_version = {LATEST + 1}")
    database.close()
    before = path.read_bytes()
    with pytest.raises(RegistryError, match="newer vsat") as error:
        registry.list_models()
    assert error.value.hint == "Upgrade vsat."
    assert path.read_bytes() == before


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    for version in (0, 1):
        path.unlink(missing_ok=True)
        database = sqlite3.connect(path, isolation_level=None)
        database.execute("CREATE TABLE theirs (x)")
        database.execute(f"PRAGMA user_version = {version}")
        database.close()
        before = path.read_bytes()
        with pytest.raises(RegistryError, match="another program"):
            ModelRegistry(tmp_path).list_models()
        assert path.read_bytes() == before


@pytest.mark.parametrize("damage", ["text", "middle", "cut"])
def test_a_damaged_database_is_a_clear_error(
    registry: ModelRegistry, source: Callable[..., Path], damage: str
) -> None:
    for number in range(20):
        registry.register_model(f"m{number}", source(), OTHER)
    registry.close()
    path = registry.home / "registry.db"
    content = path.read_bytes()
    if damage == "text":
        path.write_bytes(b"this is no database, but long enough to be one " * 100)
    elif damage == "middle":
        path.write_bytes(content[:100] + b"\xa5" * (len(content) - 100))
    else:
        path.write_bytes(content[: len(content) // 2 + 100])
    with pytest.raises(RegistryError, match="damaged") as error:
        registry.verify()
    assert "backup" in error.value.hint


def test_a_lost_database_never_costs_the_versions(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    registry.register_model("m", source(), OTHER)
    kept = registry.get_model_path("m")
    registry.close()
    for lose in (Path.unlink, lambda path: path.write_bytes(b"")):
        lose(registry.home / "registry.db")
        with pytest.raises(RegistryError, match="is gone"):
            registry.register_model("m", source(), OTHER)
        assert kept.exists()


def test_a_half_made_database_is_made_whole(tmp_path: Path, source: Callable[..., Path]) -> None:
    (tmp_path / "registry.db").touch()  # the power went between making and filling it
    assert ModelRegistry(tmp_path).register_model("m", source(), OTHER) == 1


def test_each_migration_has_its_record(registry: ModelRegistry) -> None:
    registry.list_models()
    database = sqlite3.connect(registry.home / "registry.db")
    numbers = [row[0] for row in database.execute("SELECT number FROM migrations")]
    database.close()
    assert numbers == list(range(1, LATEST + 1))


def test_measurements_are_kept_for_this_machine(
    registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert registry.measurement("d", "bf16_db") is None
    registry.keep_measurement("d", "bf16_db", 44.5)
    registry.keep_measurement("d", "bf16_db", 45.5)
    assert registry.measurement("d", "bf16_db") == 45.5
    monkeypatch.setattr("vsat.settings.machine_id", lambda: "another")
    assert registry.measurement("d", "bf16_db") is None


def test_threads_share_a_registry(registry: ModelRegistry, source: Callable[..., Path]) -> None:
    path, failures = source(), []

    def work() -> None:
        try:
            for _ in range(5):
                number = registry.register_model("m", path, OTHER)
                assert registry.get_model_path("m", number).exists()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert registry.list_models()["m"]["versions_count"] == 40
    check_whole(registry)


def test_a_home_that_another_makes_meanwhile_is_not_taken_for_read_only(
    registry: ModelRegistry, source: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    access, others = os.access, ModelRegistry(registry.home, self_test=SelfTest())

    def slow_access(path: Path, mode: int) -> bool:
        answer = access(path, mode)
        monkeypatch.setattr("os.access", access)
        others.list_models()  # it makes the database
        return answer

    monkeypatch.setattr("os.access", slow_access)
    try:
        assert registry.register_model("m", source(), OTHER) == 1
    finally:
        others.close()


@pytest.mark.skipif(os.name == "nt", reason="permissions work differently there")
def test_a_read_only_home_reads_and_says_so_on_writing(
    registry: ModelRegistry, source: Callable[..., Path]
) -> None:
    three_versions(registry, source)
    registry.close()
    for path in [registry.home, *registry.home.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert in_child_without_rights(registry.home, source(b"four", "v.onnx")) == [
            "current 1",
            "versions 3",
            "history 3",
            "damaged 0",
            "measured None",
            "register StorageError",
            "use StorageError",
            "rollback StorageError",
            "delete StorageError",
        ]
    finally:
        for path in [registry.home, *registry.home.rglob("*")]:
            path.chmod(0o755)


CHILD = """
import os, sys
from pathlib import Path
from vsat.errors import StorageError
from vsat.registry import ModelRegistry, staging
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
registry = ModelRegistry(sys.argv[1], self_test=lambda bundle: None)
print("current", registry.resolve("voices").version)
print("versions", len(registry.get_model_versions("voices")))
print("history", len(registry.history("voices")))
print("damaged", len(registry.verify()))
registry.keep_measurement("digest", "key", 1.0)
print("measured", registry.measurement("digest", "key"))
metadata = {"sample_rate": 8000, "sources": 2}
for name, ask in {
    "register": lambda: registry.register_model("voices", sys.argv[2], metadata),
    "use": lambda: registry.set_current_version("voices", 2),
    "rollback": lambda: registry.rollback("voices"),
    "delete": lambda: registry.delete_version("voices", 2),
}.items():
    try:
        ask()
        print(name, "went through")
    except StorageError as error:
        print(name, type(error).__name__ if error.hint else "without a hint")
"""


def in_child_without_rights(home: Path, source: Path) -> list[str]:
    """What a process prints that may only read; every folder above the home must let it pass."""
    opened = []
    for folder in home.parents:
        if folder.stat().st_mode & 0o005 != 0o005:
            opened.append((folder, folder.stat().st_mode))
            folder.chmod(0o755)
    try:
        done = subprocess.run(
            [sys.executable, "-c", CHILD, str(home), str(source)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        for folder, mode in opened:
            folder.chmod(mode)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_importing_the_registry_loads_nothing_heavy() -> None:
    heavy = {"numpy", "rich", "openvino", "onnxruntime", "torch", "onnx", "difflib", "logging"}
    code = f"import sys, vsat.registry; print(sorted({heavy!r} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
