"""What was current when: history by time, and back to a date; each step is a day of 2026."""

import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from homes import Home, damage

from vsat.errors import DamagedError, ModelNotFoundError, RegistryError, UsageError
from vsat.registry.moments import moment_text
from vsat.registry.timeline import CURRENT_AT


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """1 is current from the 1st, 2 from the 4th, 3 from the 5th, at noon."""
    home = Home(tmp_path)
    for content in (b"one", b"two", b"three"):
        home.add("m", content)
    home.use("m", 2)
    home.use("m", 3)
    return home


@pytest.mark.parametrize(
    ("moment", "version"),
    [
        ("2026-01-01", 1),  # the end of that day
        ("2026-01-01T12:00:00Z", 1),
        ("2026-01-03", 1),
        ("2026-01-04T11:59:59.999Z", 1),
        ("2026-01-04T12:00", 2),
        ("2026-01-04", 2),
        ("2026-01-05T13:00:00+02:00", 2),  # is 11:00 in UTC
        ("2030-01-01", 3),
        (datetime(2026, 1, 4, 23, tzinfo=UTC), 2),
        (datetime(2026, 1, 4, 12, 30, tzinfo=timezone(timedelta(hours=1))), 1),
    ],
)
def test_what_was_current_at_a_time(home: Home, moment: Any, version: int) -> None:
    assert home.registry.version_at("m", moment) == version


def test_before_the_first_there_was_none(home: Home) -> None:
    with pytest.raises(RegistryError, match="no current version") as error:
        home.registry.version_at("m", "2025-12-31")
    assert "vsat history" in error.value.hint
    with pytest.raises(RegistryError):
        home.registry.rollback("m", to="2025-12-31")


@pytest.mark.parametrize("wrong", ["yesterday", "2026-13-01", "", "2026-01-32", 3, None, "20"])
def test_what_is_no_time_is_refused(home: Home, wrong: Any) -> None:
    with pytest.raises(UsageError, match="not a time"):
        home.registry.version_at("m", wrong)


def test_a_day_has_a_first_and_a_last_moment() -> None:
    assert moment_text("2026-03-01", end_of_day=False) == "2026-03-01T00:00:00.000Z"
    assert moment_text("2026-03-01", end_of_day=True) == "2026-03-01T23:59:59.999Z"
    assert moment_text("2026-03-01T07:00", end_of_day=True) == "2026-03-01T07:00:00.000Z"


def test_rolling_back_to_a_date(home: Home) -> None:
    home.use("m", 1)
    home.use("m", 2)
    home.clock.next()
    assert home.registry.rollback("m", to="2026-01-05", because="it was best then") == 3
    assert home.registry.resolve("m").version == 3
    row = home.registry.history("m")[-1]
    assert (row["action"], row["previous"], row["current"]) == ("rollback", 2, 3)
    assert row["because"] == "it was best then"
    assert home.registry.rollback("m") == 2  # from there on further back than then
    assert home.registry.rollback("m") == 1


def test_rolling_back_to_now_changes_nothing(home: Home) -> None:
    before = home.registry.history()
    assert home.registry.rollback("m", to="2026-01-05") == 3
    assert home.registry.history() == before


def test_what_was_current_then_may_be_gone_or_damaged(home: Home) -> None:
    damage(home.path("m", 1))
    with pytest.raises(DamagedError):
        home.registry.rollback("m", to="2026-01-02")
    home.registry.delete_version("m", 2)
    assert home.registry.version_at("m", "2026-01-04") == 2
    with pytest.raises(ModelNotFoundError):
        home.registry.rollback("m", to="2026-01-04")
    assert home.registry.resolve("m").version == 3


def test_the_history_is_had_in_pages_from_its_end(home: Home) -> None:
    whole = home.registry.history("m")
    assert len(whole) == 5
    assert home.registry.history("m", limit=2) == whole[3:]
    assert home.registry.history("m", limit=2, offset=1) == whole[2:4]
    assert home.registry.history(limit=1) == whole[4:]
    assert home.registry.history("m", since="2026-01-04") == whole[3:]
    assert home.registry.history(since="2026-01-05T12:00:00.001Z") == []
    assert home.registry.history("m@2", since="2026-01-02", limit=1) == [whole[3]]
    with pytest.raises(UsageError):
        home.registry.history(limit=-1)


def test_what_is_long_past_is_not_read_to_know_what_is_new(home: Home) -> None:
    database = sqlite3.connect(home.registry.home / "registry.db")
    plan = database.execute(f"EXPLAIN QUERY PLAN {CURRENT_AT}", ("m", "2030")).fetchall()
    assert "history_of_switches" in str(plan)
    statement = "SELECT coalesce(min(+event), 0) FROM history WHERE at >= '2026'"
    assert "history_by_time" in str(database.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall())
    database.close()


def test_a_registration_may_say_why(home: Home) -> None:
    home.registry.register_model("n", home.file(b"x"), {"task": "other"}, because="from Ada")
    assert home.registry.history("n")[0]["because"] == "from Ada"
