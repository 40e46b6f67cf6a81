"""Damage is found, refused, remembered, and mended from where the files came."""

from pathlib import Path

import pytest
from homes import OTHER, Home, check_whole, damage

from vsat.errors import DamagedError, ModelNotFoundError, RegistryError
from vsat.registry import ModelRegistry


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    for content in (b"one", b"two", b"three"):
        home.add("m", content)
    home.use("m", 2)
    home.use("m", 3)
    return home


def actions(home: Home) -> list[tuple[str, int]]:
    return [(row["action"], row["version"]) for row in home.registry.history("m")][5:]


def test_loading_a_damaged_version_quarantines_it(home: Home) -> None:
    damage(home.path("m", 3))
    before = home.registry.list_models()
    with pytest.raises(DamagedError, match="digest") as error:
        home.registry.get_bundle("m")
    assert "vsat repair m@3" in error.value.hint
    assert "stays the current version until then" in error.value.hint
    assert home.registry.resolve("m").is_quarantined
    assert home.registry.list_models() == before  # the pointer moves only if a person says so
    assert actions(home) == [("quarantine", 3)]
    assert "digest" in home.registry.history("m")[-1]["because"]
    for ask in (home.registry.get_model_path, home.registry.get_bundle):
        with pytest.raises(DamagedError, match="found damaged"):
            ask("m")
    assert actions(home) == [("quarantine", 3)]  # once
    with pytest.raises(DamagedError):
        ModelRegistry(home.registry.home).get_model_path("m@3")


def test_a_quarantined_version_cant_become_current(home: Home) -> None:
    damage(home.path("m", 2))
    assert [d["version"] for d in home.registry.verify()] == [2]
    assert actions(home) == [("quarantine", 2)]
    with pytest.raises(DamagedError):
        home.registry.set_current_version("m", 2)
    assert home.registry.rollback("m") == 1  # passes over it
    with pytest.raises(RegistryError):
        home.registry.rollback("m")


def test_whole_again_by_hand_is_still_refused_until_it_is_looked_at(home: Home) -> None:
    path = home.path("m", 3)
    content = path.read_bytes()
    damage(path)
    home.registry.verify()
    path.write_bytes(content)
    with pytest.raises(DamagedError):
        home.registry.get_bundle("m")
    (done,) = home.registry.upkeep.repair("m@3")
    assert done.outcome == "repaired"
    home.registry.get_bundle("m")
    assert actions(home) == [("quarantine", 3), ("repair", 3)]


def test_a_file_comes_back_from_where_it_was_registered(home: Home) -> None:
    kept = home.file(b"three", "kept.bin")
    home.registry.register_model("m", kept, OTHER)
    damage(home.path("m", 4, "kept.bin"))
    home.file(b"other")  # no longer what versions 1 to 3 were registered from
    damage(home.path("m", 3))
    outcomes = {r.version: (r.outcome, r.detail) for r in home.registry.upkeep.repair()}
    assert outcomes[4] == ("repaired", f"kept.bin from {kept}")
    assert outcomes[3][0] == "lost"
    home.registry.get_bundle("m@4")
    assert home.path("m", 4, "kept.bin").stat().st_mode & 0o222 == 0
    assert not home.path("m", 4, "kept.bin").samefile(kept)
    assert home.registry.resolve("m@3").is_quarantined
    (again,) = home.registry.upkeep.repair("m@3")  # now that 4 is whole, 3 is too
    assert (again.outcome, again.detail) == ("repaired", "model.bin from m@4")
    assert home.path("m", 3).samefile(home.path("m", 4, "kept.bin"))
    check_whole(home.registry)


def test_a_source_that_changed_is_not_taken(home: Home) -> None:
    home.file(b"thrxx")
    damage(home.path("m", 3))
    (done,) = home.registry.upkeep.repair("m")
    assert (done.version, done.outcome) == (3, "lost")
    assert "model.bin" in done.detail
    assert home.registry.resolve("m").is_quarantined
    assert [d["version"] for d in home.registry.verify()] == [3]


def test_every_kind_of_damage_is_mended(home: Home) -> None:
    for number in range(1, 7):
        home.registry.register_model("k", home.file(b"content %d" % number, f"{number}.bin"), OTHER)
    damage(home.path("k", 1, "1.bin"))
    home.path("k", 2, "2.bin").unlink()
    damage(home.path("k", 3, "model.json"))
    home.path("k", 4, "extra").write_bytes(b"")
    home.path("k", 5, "5.bin").unlink()
    home.path("k", 5, "5.bin").symlink_to(home.folder / "5.bin")
    for path in home.path("k", 6, "x").parent.iterdir():
        path.unlink()
    home.path("k", 6, "x").parent.rmdir()
    assert {d["version"] for d in home.registry.verify("k")} == {1, 2, 3, 4, 5, 6}
    assert [r.version for r in home.registry.find_versions("quarantined")] == [1, 2, 3, 4, 5, 6]
    done = home.registry.upkeep.repair("k", because="the disk was dying")
    assert [(r.version, r.outcome) for r in done] == [(n, "repaired") for n in range(1, 7)]
    assert home.registry.find_versions("quarantined") == []
    assert home.registry.history("k")[-1]["because"] == "the disk was dying"
    assert not home.path("k", 5, "5.bin").is_symlink()
    check_whole(home.registry)
    assert home.registry.upkeep.repair("k") == []
    assert [r.outcome for r in home.registry.upkeep.repair("k@1")] == ["sound"]


def test_a_bundle_comes_back_whole_from_its_folder(home: Home) -> None:
    home.add_bundle("b", b"graph", licence="MIT", description="a card", metadata={"x": 1})
    folder = home.path("b", 1, "model.onnx").parent
    for path in folder.iterdir():
        damage(path)
    (done,) = home.registry.upkeep.repair("b")
    assert done.outcome == "repaired"
    assert home.registry.get_bundle("b").manifest.licence == "MIT"
    check_whole(home.registry)


def test_the_shipped_model_comes_back_from_the_package(tmp_path: Path) -> None:
    from bundles import write_bundle

    from vsat.registry import DEFAULT_MODEL_ID

    home = Home(tmp_path)
    write_bundle(home.package / DEFAULT_MODEL_ID, id=DEFAULT_MODEL_ID)
    path = home.registry.get_model_path(DEFAULT_MODEL_ID)
    damage(path)
    with pytest.raises(DamagedError):
        home.registry.get_bundle(DEFAULT_MODEL_ID)
    assert [r.outcome for r in home.registry.upkeep.repair()] == ["repaired"]
    home.registry.get_bundle(DEFAULT_MODEL_ID)


def test_what_is_not_there_cant_be_repaired(home: Home) -> None:
    for name in ("no", "m@9"):
        with pytest.raises(ModelNotFoundError):
            home.registry.upkeep.repair(name)


def test_a_version_that_was_mended_meanwhile_is_not_quarantined(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vsat.registry import damage as damages

    damage(home.path("m", 3))
    truly = damages.quarantine

    def after_repair(record, store, change):  # type: ignore[no-untyped-def]
        path = home.path("m", 3)
        path.unlink()
        path.write_bytes(b"three")
        return truly(record, store, change)

    monkeypatch.setattr(damages, "quarantine", after_repair)
    with pytest.raises(DamagedError):
        home.registry.get_bundle("m")
    assert not home.registry.resolve("m").is_quarantined
    home.registry.get_bundle("m")


def test_repair_leaves_what_is_whole_alone(home: Home) -> None:
    before = {p: p.stat().st_ino for p in home.path("m", 2).parent.iterdir()}
    assert home.registry.upkeep.repair() == []
    assert {p: p.stat().st_ino for p in home.path("m", 2).parent.iterdir()} == before
    assert actions(home) == []
