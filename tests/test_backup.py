"""The whole home in one file, and back; and what a forged or torn backup can't do."""

import io
import json
import os
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from homes import OTHER, Home, check_whole, damage, of_schema_1

from vsat.errors import DamagedError, RegistryError, StorageError, UsageError, VsatError
from vsat.registry import ModelRegistry


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    for content in (b"x" * 5000, b"two", b"x" * 5000):
        home.add("m", content)
    home.use("m", 2)
    home.add("Größe", b"name")
    home.registry.upkeep.quota.set(10_000_000)
    return home


@pytest.fixture
def backup(home: Home) -> Path:
    path = home.folder / "backup.tar"
    home.registry.upkeep.backup(path)
    return path


def told(registry: ModelRegistry) -> object:
    return registry.list_models(), registry.history(), registry.find_versions(), registry.verify()


def test_a_backup_comes_back_as_it_was(home: Home, backup: Path) -> None:
    other = home.opened("other")
    done = other.upkeep.restore(backup)
    assert (done.path, done.replaced) == (other.home, None)
    models, history, records, _ = told(home.registry)  # type: ignore[misc]
    assert other.list_models() == models
    assert other.history() == history
    assert [(r.digest, r.metadata) for r in other.find_versions()] == [
        (r.digest, r.metadata) for r in records
    ]
    assert other.upkeep.quota.limit() == 10_000_000
    check_whole(other)
    one, three = (other.get_model_path("m", number) for number in (1, 3))
    assert one.samefile(three)
    assert not one.samefile(home.registry.get_model_path("m", 1))
    assert one.stat().st_mode & 0o222 == 0
    assert other.register_model("m", home.file(b"four"), OTHER) == 4


def test_a_backup_holds_equal_files_once_and_can_be_unpacked_by_hand(
    home: Home, backup: Path
) -> None:
    with tarfile.open(backup) as archive:
        names = archive.getnames()
        links = [member.name for member in archive.getmembers() if member.islnk()]
    assert links == ["models/m/3/model.bin"]
    assert {"registry.db", "models/m/2/model.json"} < set(names)
    assert names[-1] == "vsat-backup.json"


def test_a_home_that_holds_something_is_not_overwritten(home: Home, backup: Path) -> None:
    home.add("m", b"since")
    before = told(home.registry)
    with pytest.raises(UsageError, match="holds something") as error:
        home.registry.upkeep.restore(backup)
    assert "--replace" in error.value.hint
    assert told(home.registry) == before


def test_replacing_keeps_the_old_home_beside_and_gives_out_no_number_again(
    home: Home, backup: Path
) -> None:
    assert home.add("m", b"four") == 4
    assert home.add("m", b"five") == 5
    home.registry.delete_version("m", 5)
    (home.registry.home / "models" / "m" / "9").mkdir()  # what a crash left
    done = home.registry.upkeep.restore(backup, replace=True)
    assert done.replaced is not None
    assert done.replaced.parent == home.registry.home.parent
    assert home.numbers("m") == [1, 2, 3]
    check_whole(home.registry)
    assert ModelRegistry(done.replaced).get_model_path("m@4").read_bytes() == b"four"
    assert home.add("m", b"new") == 10


def test_an_empty_home_is_taken(home: Home, backup: Path) -> None:
    other = home.opened("other")
    other.home.mkdir()
    other.upkeep.restore(backup)
    check_whole(other)
    assert [p.name for p in home.folder.iterdir() if p.name.startswith((".", "other."))] == []


def test_a_backup_is_not_written_over_anything_nor_into_the_home(home: Home, backup: Path) -> None:
    before = backup.read_bytes()
    for place in (backup, home.registry.home / "b.tar", home.registry.home / "models" / "b.tar"):
        with pytest.raises(UsageError):
            home.registry.upkeep.backup(place)
    assert backup.read_bytes() == before
    with pytest.raises(StorageError):
        home.registry.upkeep.backup(home.folder / "no" / "b.tar")


def test_too_little_room_is_said_before(
    home: Home, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vsat.files.free_bytes", lambda path: 1 << 20)
    with pytest.raises(StorageError, match="free"):
        home.registry.upkeep.backup(home.folder / "b.tar")
    with pytest.raises(StorageError, match="free"):
        home.opened("other").upkeep.restore(backup)
    assert sorted(p.name for p in home.folder.iterdir() if p.is_dir()) == ["home"]
    assert not (home.folder / "b.tar").exists()


def test_damaged_files_are_left_out_and_said(home: Home) -> None:
    damage(home.path("m", 2))
    done = home.registry.upkeep.backup(home.folder / "b.tar")
    assert done.damaged == ("m@2: model.bin",)
    other = home.opened("other")
    other.upkeep.restore(home.folder / "b.tar")
    assert other.resolve("m@2").is_quarantined
    assert other.list_models()["m"]["current_version"] == 2  # as it was
    with pytest.raises(DamagedError):
        other.get_model_path("m")
    assert other.get_model_path("m@1").read_bytes() == b"x" * 5000
    home.file(b"two")
    assert [r.outcome for r in other.upkeep.repair()] == ["repaired"]
    check_whole(other)


def test_an_older_backup_is_upgraded(tmp_path: Path) -> None:
    old = of_schema_1(tmp_path)
    index = {}
    with tarfile.open(tmp_path / "old.tar", "w") as archive:
        for path in [p for p in old.rglob("*") if p.is_file()]:
            name = str(path.relative_to(old))
            archive.add(path, name)
            index[name] = record(path.read_bytes())
        add(archive, "vsat-backup.json", as_index(index))
    registry = ModelRegistry(tmp_path / "home", self_test=lambda bundle: None)
    registry.upkeep.restore(tmp_path / "old.tar")
    assert registry.list_models()["voices"]["current_version"] == 2
    check_whole(registry)


# Forged and torn ones.


def record(content: bytes) -> dict[str, object]:
    import hashlib

    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def as_index(files: object, number: int = 1) -> bytes:
    return json.dumps({"format": number, "at": "now", "files": files}).encode()


def add(archive: tarfile.TarFile, name: str, content: bytes, **changes: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in changes.items():
        setattr(member, key, value)
    archive.addfile(member, io.BytesIO(content))


def forge(path: Path, files: dict[str, bytes], **also: bytes) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            add(archive, name, content)
        index = {name: record(content) for name, content in files.items()}
        add(archive, "vsat-backup.json", also.get("index", as_index(index)))
    return path


def check_refused(home: Home, path: Path, error: type[VsatError]) -> None:
    other = home.opened("other")
    with pytest.raises(error) as refusal:
        other.upkeep.restore(path)
    assert refusal.value.hint or refusal.type is UsageError
    assert not other.home.exists()
    assert [p.name for p in home.folder.iterdir() if ".staging" in p.name] == []


@pytest.mark.parametrize(
    "name",
    [
        "../escaped", "/etc/escaped", "models/../../escaped", "models/m/1/../../../escaped",
        "models/m/x/model.bin", "models/CON/1/model.bin", "models/m/1/nul.txt", "models/m/1",
        "models/m/1/a/b", "models\\m\\1\\x", "a/b", "", "C:x", ".hidden", "models//1/x",
    ],
)  # fmt: skip
def test_no_file_gets_out_of_the_home(home: Home, name: str) -> None:
    check_refused(home, forge(home.folder / "f.tar", {name: b"x"}), UsageError)
    assert not (home.folder / "escaped").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"no tar " * 1000, b"\0" * 10240, b"\x1f\x8b" + b"x" * 100],
    ids=["empty", "text", "zeros", "gzip"],
)
def test_what_is_no_backup_is_refused(home: Home, content: bytes) -> None:
    check_refused(home, home.file(content, "f.tar"), UsageError)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_torn_backup_is_refused(home: Home, backup: Path, part: float) -> None:
    content = backup.read_bytes().rstrip(b"\0")
    check_refused(home, home.file(content[: int(len(content) * part)], "f.tar"), UsageError)


def test_a_flipped_bit_anywhere_in_a_file_is_found(home: Home, backup: Path) -> None:
    content = bytearray(backup.read_bytes())
    content[content.index(b"xxxx")] ^= 1
    check_refused(home, home.file(bytes(content), "f.tar"), DamagedError)


@pytest.mark.parametrize(
    "index",
    [
        b"{", b"[]", b"{}", as_index([]), as_index({"registry.db": 3}),
        as_index({"registry.db": {"sha256": "x", "bytes": "y"}}),
        as_index({"registry.db": {"sha256": "x", "bytes": -1}}), b'{"format": 1, "format": 1}',
    ],
)  # fmt: skip
def test_a_broken_index_is_refused(home: Home, index: bytes) -> None:
    check_refused(home, forge(home.folder / "f.tar", {}, index=index), UsageError)


def test_a_newer_form_is_refused(home: Home) -> None:
    check_refused(home, forge(home.folder / "f.tar", {}, index=as_index({}, 2)), RegistryError)


def test_a_backup_without_a_sound_database_is_refused(home: Home) -> None:
    path = home.folder / "f.tar"
    check_refused(home, forge(path, {"note": b"x"}), UsageError)
    check_refused(home, forge(path, {"registry.db": b"no database " * 500}), RegistryError)
    theirs = home.folder / "theirs.db"
    database = sqlite3.connect(theirs)
    database.execute("CREATE TABLE t (x)")
    database.close()
    check_refused(home, forge(path, {"registry.db": theirs.read_bytes()}), RegistryError)


def links(name: str, target: str, kind: bytes) -> Callable[[tarfile.TarFile], None]:
    def put(archive: tarfile.TarFile) -> None:
        add(archive, name, b"", type=kind, linkname=target)

    return put


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.LNKTYPE, "/etc/passwd"),
        (tarfile.LNKTYPE, "../secret"),
        (tarfile.LNKTYPE, "models/m/1/x"),
        (tarfile.CHRTYPE, ""),
        (tarfile.FIFOTYPE, ""),
        (tarfile.DIRTYPE, ""),
    ],
)
def test_links_and_devices_are_refused(home: Home, kind: bytes, target: str) -> None:
    secret = home.file(b"secret", "secret")
    path = home.folder / "f.tar"
    with tarfile.open(path, "w") as archive:
        links("models/m/1/x", target, kind)(archive)
        add(archive, "vsat-backup.json", as_index({"models/m/1/x": record(b"secret")}))
    check_refused(home, path, DamagedError)
    assert secret.stat().st_nlink == 1


@pytest.mark.skipif(os.name == "nt", reason="folders are exchanged in two steps there")
def test_folders_are_exchanged_also_where_the_system_cant_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vsat import files

    for at_once in (True, False):
        one, other = tmp_path / f"one{at_once}", tmp_path / f"other{at_once}"
        for folder in (one, other):
            folder.mkdir()
            (folder / folder.name).touch()
        if not at_once:
            monkeypatch.setattr(files, "_exchange_at_once", lambda a, b: False)
        files.exchange(one, other)
        assert os.listdir(one) == [other.name]
        assert os.listdir(other) == [one.name]
