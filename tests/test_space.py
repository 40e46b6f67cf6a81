"""Room: what versions take, what may go, and the quota."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from homes import OTHER, Home, check_whole

from vsat.errors import InUseError, RegistryError, StorageError, UsageError
from vsat.registry import VersionRecord, space


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


LINEAGE = dict.fromkeys(("base", "base_digest", "data_fingerprint", "configuration", "seed"))


def seven_versions(home: Home) -> None:
    """1 was current, then 3; 2 is the parent of b@1; 4 to 7 are just there."""
    for number in range(1, 8):
        home.add_bundle("m", b"graph %d" % number)
    home.use("m", 3)
    home.add_bundle("b", b"tuned", lineage={**LINEAGE, "base": "m@2"})


def gone(usages: Sequence[space.Usage]) -> list[str]:
    return [f"{usage.model_id}@{usage.version}" for usage in usages]


def test_what_versions_take_counts_links_once(home: Home) -> None:
    for content in (b"x" * 1000, b"x" * 1000, b"y" * 500):
        home.add("m", content)
    usages, total = home.registry.upkeep.usages()
    by_version = {usage.version: usage for usage in usages}
    manifests = {n: home.path("m", n, "model.json").stat().st_size for n in (1, 2, 3)}
    assert total == 1500 + sum(manifests.values())
    assert by_version[1].size_bytes == 1000 + manifests[1]
    assert by_version[1].alone_bytes == manifests[1]
    assert by_version[3].alone_bytes == 500 + manifests[3]


def test_pruning_keeps_the_newest_the_current_the_previous_and_the_parents(home: Home) -> None:
    seven_versions(home)
    plan = home.registry.upkeep.prune(2, dry_run=True)
    assert gone(plan) == ["m@4", "m@5"]
    assert home.numbers("m") == [1, 2, 3, 4, 5, 6, 7]
    assert home.registry.upkeep.prune(2, because="full") == plan
    assert home.numbers("m") == [1, 2, 3, 6, 7]
    rows = [row for row in home.registry.history("m") if row["action"] == "prune"]
    assert [(row["version"], row["because"]) for row in rows] == [(4, "full"), (5, "full")]
    assert gone(home.registry.upkeep.prune(0, "m")) == ["m@6", "m@7"]
    assert home.registry.rollback("m") == 1
    assert gone(home.registry.upkeep.prune(0)) == ["m@3"]
    assert home.add_bundle("m", b"new") == 8  # numbers are not used again
    check_whole(home.registry)


def test_a_parent_is_known_by_its_digest_too(home: Home) -> None:
    for number in range(1, 5):
        home.add_bundle("m", b"graph %d" % number)
    digest = home.registry.resolve("m@2").digest
    home.add_bundle(
        "b", b"tuned", lineage={**LINEAGE, "base": "elsewhere@7", "base_digest": digest}
    )
    assert gone(home.registry.upkeep.prune(1, dry_run=True)) == ["m@3"]


def test_pruning_one_model_spares_the_parents_of_others(home: Home) -> None:
    seven_versions(home)
    assert gone(home.registry.upkeep.prune(0, "m", dry_run=True)) == ["m@4", "m@5", "m@6", "m@7"]
    assert home.registry.upkeep.prune(0, "b") == []


def test_damaged_versions_dont_count_as_kept(home: Home) -> None:
    from homes import damage

    for number in range(1, 6):
        home.add("m", b"content %d" % number)
    damage(home.path("m", 5))
    home.registry.verify()
    assert gone(home.registry.upkeep.prune(2, dry_run=True)) == ["m@2"]  # 4 and 3 stay, and 5


def test_what_prune_frees_counts_shared_files_when_the_last_goes(home: Home) -> None:
    for content in (b"a", b"x" * 1000, b"x" * 1000, b"z"):
        home.add("m", content)
    second, third = home.registry.upkeep.prune(1, dry_run=True)
    assert second.alone_bytes < 1000 < third.alone_bytes


@pytest.mark.parametrize("keep", [-1, True, 1.5, "3"])
def test_what_is_no_number_to_keep_is_refused(home: Home, keep: int) -> None:
    with pytest.raises(UsageError):
        home.registry.upkeep.prune(keep)


def test_what_is_needed_since_the_plan_stays(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    seven_versions(home)
    truly = space.candidates

    def and_then(records, keep, rows):  # type: ignore[no-untyped-def]
        plan = truly(records, keep, rows)
        home.use("m", 5)  # makes 5 current, and 3 the one before
        home.use("m", 6)  # makes 6 current, and 5 the one before
        return plan

    monkeypatch.setattr(space, "candidates", and_then)
    assert gone(home.registry.upkeep.prune(0, "m")) == ["m@4", "m@7"]
    assert home.numbers("m") == [1, 2, 3, 5, 6]
    with pytest.raises(InUseError):
        home.registry.delete_version("m", 6)


def test_an_unknown_lineage_stops_pruning(home: Home) -> None:
    seven_versions(home)
    with home.registry._store.writing() as connection:  # as an old registry with a lost folder
        connection.execute("UPDATE versions SET particulars = NULL WHERE version = 7")
    with pytest.raises(RegistryError, match="m@7"):
        home.registry.upkeep.prune(1)
    assert home.numbers("m") == [1, 2, 3, 4, 5, 6, 7]


# The quota.


def megabytes(home: Home, n: int, model_id: str = "m") -> int:
    return home.add(model_id, bytes([n]) * 1_000_000)


def test_a_quota_evicts_the_oldest_that_may_go_and_says_so_before(home: Home) -> None:
    for number in range(1, 6):
        megabytes(home, number)
    home.registry.upkeep.quota.set(5_500_000)
    assert home.registry.upkeep.quota.limit() == 5_500_000
    assert home.registry.upkeep.quota.plan() == []
    told: list[list[str]] = []

    def before(plan: Sequence[VersionRecord]) -> None:
        told.append([f"{record.model_id}@{record.version}" for record in plan])
        assert home.numbers("m") == [1, 2, 3, 4, 5]

    path = home.file(b"\6" * 1_000_000)
    home.clock.next()
    assert home.registry.register_model("m", path, OTHER, before_eviction=before) == 6
    assert told == [["m@2"]]  # 1 is current
    assert home.numbers("m") == [1, 3, 4, 5, 6]
    row = home.registry.history("m")[-1]
    assert (row["action"], row["version"]) == ("evict", 2)
    assert "m@6" in row["because"]
    assert home.registry.register_model("m", path, OTHER) == 7  # a link takes no room
    assert home.numbers("m") == [1, 3, 4, 5, 6, 7]
    check_whole(home.registry)


def test_a_plan_that_is_refused_prevents_all_of_it(home: Home) -> None:
    megabytes(home, 1)
    megabytes(home, 2)
    home.registry.upkeep.quota.set(2_100_000)

    def refuse(plan: Sequence[VersionRecord]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        home.registry.register_model(
            "m", home.file(b"3" * 1_000_000), OTHER, before_eviction=refuse
        )
    assert home.numbers("m") == [1, 2]


def test_where_nothing_may_go_registering_is_refused(home: Home) -> None:
    megabytes(home, 1, "a")
    megabytes(home, 2, "b")
    home.registry.upkeep.quota.set(2_500_000)
    with pytest.raises(StorageError, match=r"quota of 2\.5 MB .* 0\.5 MB") as error:
        megabytes(home, 3, "c")
    assert "vsat config quota" in error.value.hint
    assert list(home.registry.list_models()) == ["a", "b"]
    home.registry.upkeep.quota.set(None)
    assert megabytes(home, 3, "c") == 1
    check_whole(home.registry)


def test_what_is_tuned_from_a_version_doesnt_evict_it(home: Home) -> None:
    for number in range(1, 5):
        home.add_bundle("m", b"%d" % number * 1000)
    home.registry.upkeep.quota.set(home.registry.upkeep.usages()[1] + 100)
    home.add_bundle("b", b"t" * 1000, lineage={**LINEAGE, "base": "m@2"})
    assert home.numbers("m") == [1, 2, 4]


def test_a_version_that_fails_evicts_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 4):
        megabytes(home, number)
    home.registry.upkeep.quota.set(3_100_000)
    monkeypatch.setattr("vsat.files.free_bytes", lambda path: 1 << 20)
    with pytest.raises(StorageError):
        megabytes(home, 4)
    assert home.numbers("m") == [1, 2, 3]


def test_a_quota_without_a_listener_is_logged(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(1, 4):
        megabytes(home, number)
    home.registry.upkeep.quota.set(3_100_000)
    megabytes(home, 4)
    assert "m@2" in caplog.text


@pytest.mark.parametrize("wrong", [0, -5, True, 1.5, "3GB", 1 << 70])
def test_what_is_no_quota_is_refused(home: Home, wrong: int) -> None:
    with pytest.raises(UsageError):
        home.registry.upkeep.quota.set(wrong)
    assert home.registry.upkeep.quota.limit() is None


def test_the_room_of_all_is_counted_as_versions_come_and_go(home: Home) -> None:
    for content in (b"x" * 1000, b"x" * 1000, b"y"):
        home.add("m", content)
    home.registry.delete_version("m", 2)
    home.add("n", b"z")
    ((counted,),) = home.registry._store.rows("SELECT sum(size_bytes) FROM models")
    assert counted == sum(record.size_bytes for record in home.registry.find_versions())


def test_a_quota_stays_with_the_home(home: Home) -> None:
    home.registry.upkeep.quota.set(10_000)
    assert home.opened().upkeep.quota.limit() == 10_000
