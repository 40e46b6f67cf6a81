"""The language of filters: what it says, what it refuses, and that nothing of it gets into SQL."""

import doctest
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from homes import Home
from hypothesis import given
from hypothesis import strategies as st

from vsat.errors import UsageError
from vsat.registry import ModelRegistry, filtering
from vsat.registry.filtering import condition_of
from vsat.registry.store import Row, Store


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("filters"))
    home.add("a", b"1", val_si_sdr_db=7.5, room="kitchen", good=True, tags=[], nested={"x": 3})
    home.add("a", b"2", val_si_sdr_db=9, room="hall", good=False, tags=["t"], nested={"x": 4})
    home.add("a", b"3", val_si_sdr_db="9", note="it's")
    lineage = dict.fromkeys(("base_digest", "data_fingerprint", "configuration", "seed"))
    home.add_bundle("b", b"base", metadata={"val_si_sdr_db": 8.25})
    home.add_bundle("b", b"tuned", lineage={"base": "b@1", **lineage}, metadata={"größe": 10})
    return home


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("val_si_sdr_db > 8", "a@2 b@1"),
        ("val_si_sdr_db >= 7.5", "a@1 a@2 b@1"),
        ("val_si_sdr_db = 9", "a@2"),
        ('val_si_sdr_db = "9"', "a@3"),
        ("val_si_sdr_db != 9", "a@1 b@1"),
        ("val_si_sdr_db < -1e3", ""),
        ("val_si_sdr_db", "a@1 a@2 a@3 b@1"),
        ("not val_si_sdr_db", "b@2"),
        ("task = separation", "b@1 b@2"),
        ("task=separation and tuned", "b@2"),
        ("tuned and val_si_sdr_db > 8", ""),
        ("task = other AND NOT (room = kitchen or room = hall)", "a@3"),
        ("room = kitchen or room = hall and good", "a@1"),
        ("(room = kitchen or room = hall) and not good", "a@2"),
        ("good = false", "a@2"),
        ("good != false", "a@1"),
        ("tags", "a@2"),
        ("nested.x > 3", "a@2"),
        ("nested", "a@1 a@2"),
        ('note = "it\'s"', "a@3"),
        ("größe = 10", "b@2"),
        ("current", "a@1 b@1"),
        ("quarantined", ""),
        ("id = b and version = 2", "b@2"),
        ("created_at >= 2026-01-04", "b@1 b@2"),
        ("sample_rate = 16000", "b@1 b@2"),
        ("sample_rate < abc", ""),
        ('room = "x\' OR 1=1 --"', ""),
    ],
)
def test_a_filter_finds(home: Home, text: str, expected: str) -> None:
    found = home.registry.find_versions(text)
    assert " ".join(f"{record.model_id}@{record.version}" for record in found) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a name is expected"),
        ("and", "a name is expected"),
        ("a >", "a value is expected"),
        ("a > > 3", "a value is expected"),
        ("a > 3 b", "'and', 'or' or the end"),
        ("(a > 3", r"'\)' is expected"),
        ("a > 3)", "'and', 'or' or the end"),
        ("3 > a", "a name is expected"),
        ("a'b", "it can't be read"),
        ("a > 'b", "it can't be read"),
        ("a; DROP TABLE versions", "a name is expected"),
        ("tuned = 3", "stands alone"),
        ("a < true", "only = or !="),
        ("not " * 30 + "a", "levels"),
        ("(" * 30 + "a" + ")" * 30, "levels"),
        ("a and " * 300 + "a", "longer than"),
        (3, "is text"),
    ],
)
def test_what_is_no_filter_is_refused_with_its_place(home: Home, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as refusal:
        home.registry.find_versions(text)
    assert "--filter" in refusal.value.hint


@given(st.text(alphabet=st.sampled_from("ab1 .<>=!()'\"-;%&or not and true tuned$"), max_size=40))
def test_whatever_is_written_is_sql_that_runs_or_a_clear_error(text: str) -> None:
    try:
        condition = condition_of(text)
    except UsageError:
        return
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE models (model_key, model_id, current_version)")
    database.execute(
        "CREATE TABLE versions (model_key, version, task, sample_rate, sources, size_bytes,"
        " created_at, digest, origin, state, base, metadata)"
    )
    database.execute("INSERT INTO models VALUES (1, 'a', 1)")
    database.execute("INSERT INTO versions (model_key, metadata, state) VALUES (1, '{}', 'sound')")
    statement = f"SELECT {condition.sql} FROM models m JOIN versions v USING (model_key)"
    ((answer,),) = database.execute(statement, condition.parameters).fetchall()
    assert answer in (0, 1)
    database.close()


def test_lists_come_in_pages(home: Home) -> None:
    registry = home.registry
    assert [r.version for r in registry.find_versions(model_id="a", limit=2)] == [1, 2]
    assert [r.version for r in registry.find_versions(model_id="a", limit=2, offset=2)] == [3]
    assert list(registry.list_models(limit=1)) == ["a"]
    assert list(registry.list_models(limit=1, offset=1)) == ["b"]
    assert [v["version"] for v in registry.get_model_versions("a", limit=1, offset=1)] == [2]
    assert registry.find_versions("val_si_sdr_db > 8", limit=0) == []
    for wrong in (-1, 1.5, "3", True, 1 << 64):
        with pytest.raises(UsageError):
            registry.list_models(limit=wrong)  # type: ignore[arg-type]
        with pytest.raises(UsageError):
            registry.find_versions(offset=wrong)  # type: ignore[arg-type]


@pytest.fixture
def asked(home: Home, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[object, ...]]]:
    """The statements that the registry asks its database."""
    seen: list[tuple[str, tuple[object, ...]]] = []
    truly = Store.rows

    def rows(store: Store, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        seen.append((statement, tuple(parameters)))
        return truly(store, statement, parameters)

    monkeypatch.setattr(Store, "rows", rows)
    return seen


def ask_for_pages(registry: ModelRegistry, model_id: str) -> None:
    registry.list_models(limit=10)
    registry.find_versions(limit=10)
    registry.find_versions("version > 0", limit=10)
    registry.find_versions("version > 0", model_id=model_id, limit=10)
    registry.get_model_versions(model_id, limit=10)
    registry.history(limit=10)
    registry.history(model_id, limit=10)
    registry.history(f"{model_id}@1", limit=10)
    registry.version_at(model_id, "2030-01-01")


def test_no_page_is_sorted_by_hand(home: Home, asked: list[tuple[str, tuple[object, ...]]]) -> None:
    """Pages are read from an index: no plan has a step that sorts everything first."""
    ask_for_pages(home.registry, "a")
    database = sqlite3.connect(home.registry.home / "registry.db")
    for statement, parameters in asked:
        plan = database.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
        assert "TEMP B-TREE" not in str(plan), statement
    database.close()
    assert len(asked) > 8


def test_the_cost_of_a_page_does_not_grow_with_what_follows(
    tmp_path: Path, home: Home, asked: list[tuple[str, tuple[object, ...]]]
) -> None:
    """Counted in steps of SQLite's machine, not in time."""
    ask_for_pages(home.registry, "a")
    pages = [one for one in asked if "LIMIT ?" in one[0] or "current IS NOT previous" in one[0]]
    assert len(pages) == 9
    few, many = (steps_of(pages, tmp_path / str(n), home, n) for n in (50, 5_000))
    for (statement, _), least, most in zip(pages, few, many, strict=True):
        assert most <= 1.5 * least, statement


def steps_of(
    pages: list[tuple[str, tuple[object, ...]]], path: Path, home: Home, n_versions: int
) -> list[int]:
    home.registry.close()
    shutil.copyfile(home.registry.home / "registry.db", path)
    database = sqlite3.connect(path, isolation_level=None)
    for table in ("versions", "history"):
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        new = {"version": "n.value", "event": "n.value"}
        chosen = ", ".join(new.get(name, name) for name in columns)
        database.execute(
            "WITH RECURSIVE n(value) AS (SELECT 100 UNION ALL SELECT value + 1 FROM n LIMIT ?)"
            f" INSERT INTO {table} SELECT {chosen} FROM {table}, n"
            " WHERE model_key = 1 AND version = 1",
            (n_versions,),
        )
        if table == "history":  # most of what happens leaves the current version as it is
            database.execute("DROP TRIGGER history_is_not_changed")
            database.execute("UPDATE history SET previous = 1, current = 1 WHERE event >= 100")
    counted = []
    for statement, parameters in pages:
        counted.append(0)

        def count() -> int:
            counted[-1] += 1
            return 0

        database.set_progress_handler(count, 1)
        database.execute(statement, parameters).fetchall()
    database.close()
    return counted


def test_examples_in_docstrings_hold() -> None:
    from vsat.registry import moments

    for module in (filtering, moments):
        result = doctest.testmod(module)
        assert result.attempted
        assert not result.failed
