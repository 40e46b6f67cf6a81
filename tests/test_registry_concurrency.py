"""Many processes and forks on one registry: nothing is lost, nothing doubled, all succeed."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from vsat.registry import ModelRegistry
from vsat.registry.schema import LATEST, migrate, schema_number

OTHER = {"task": "other"}
PROCESSES = 32
EACH, EACH_SLOWLY = 3, 20  # registrations of each process

OLD_JOURNAL, NEW_JOURNAL = "3.40.1", "3.51.3"  # SQLite's versions that lead to each

WRITER = """
import sqlite3, sys
sqlite3.sqlite_version_info = tuple(map(int, sys.argv[4].split(".")))
from pathlib import Path
from vsat.registry import ModelRegistry
home, source, each = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
registry = ModelRegistry(home)
for turn in range(each):
    at_once = turn % 2 == 1
    number = registry.register_model("shared", source, {"task": "other"}, make_current=at_once)
    registry.set_current_version("shared", number)
    assert registry.get_model_path("shared").exists()
    assert registry.list_models()["shared"]["versions_count"] > turn
    print(number)
"""

WITHOUT_LOCKS = """
import fcntl, sys, threading
from contextlib import nullcontext

def do_nothing(*_):
    return 0

fcntl.flock = fcntl.lockf = fcntl.fcntl = do_nothing
from pathlib import Path
from vsat.registry import ModelRegistry, store
store._writing = nullcontext()
registry, source = ModelRegistry(Path(sys.argv[1])), Path(sys.argv[2])
failures = []

def register():
    try:
        for _ in range(5):
            number = registry.register_model("shared", source, {"task": "other"})
            registry.set_current_version("shared", number)
    except BaseException as error:
        failures.append(error)

threads = [threading.Thread(target=register) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failures, failures
"""

IMPATIENT = """
import sqlite3, sys
sqlite3.sqlite_version_info = tuple(map(int, sys.argv[2].split(".")))
from vsat.registry import ModelRegistry, store
store.BUSY_TIMEOUT_S = 0
registry = ModelRegistry(sys.argv[1])
print(registry.get_model_path("m").name, registry.list_models(), len(registry.history("m")))
print(len(registry.get_model_versions("m")))
"""

KILLED = """
import sys
from vsat.registry import ModelRegistry
registry = ModelRegistry(sys.argv[1])
print("ready", flush=True)
while True:
    number = registry.register_model("m", sys.argv[2], {"task": "other"})
    registry.set_current_version("m", number)
    if number > 2:
        registry.delete_version("m", number - 1)
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def check_whole(home: Path) -> ModelRegistry:
    database = sqlite3.connect(home / "registry.db")
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    database.close()
    registry = ModelRegistry(home)
    assert registry.verify() == []
    return registry


@pytest.mark.parametrize("sqlite", [OLD_JOURNAL, NEW_JOURNAL])
@pytest.mark.parametrize("each", [EACH, pytest.param(EACH_SLOWLY, marks=pytest.mark.slow)])
def test_many_processes_register_at_once(tmp_path: Path, sqlite: str, each: int) -> None:
    home, sources = tmp_path / "home", []
    for number in range(PROCESSES):
        sources.append(tmp_path / f"{number}.bin")
        sources[-1].write_bytes(b"content %d" % (number // 2))  # two of each, to be linked
    running = [start(WRITER, home, source, each, sqlite) for source in sources]
    for process in running:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in running:  # all of them make the database, too
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    given = []
    for process in running:
        output, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
        given += [int(line) for line in output.split()]
    assert sorted(given) == list(range(1, PROCESSES * each + 1))
    registry = check_whole(home)
    assert registry.list_models()["shared"]["versions_count"] == PROCESSES * each
    assert list((home / "models").glob("*/.staging-*")) == []
    rows = registry.history("shared")
    changes = [row for row in rows if row["previous"] != row["current"]]
    assert [row["previous"] for row in changes[1:]] == [row["current"] for row in changes[:-1]]


def test_another_process_may_make_the_tables_at_any_moment(tmp_path: Path) -> None:
    class Interrupted(sqlite3.Connection):
        def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
            if "sqlite_master" in statement:  # the schema's number was read just before
                other = sqlite3.connect(tmp_path / "db", isolation_level=None, timeout=0)
                with suppress(sqlite3.OperationalError):  # kept out, as it should be
                    migrate(other, "now")
                other.close()
            return super().execute(statement, *parameters)

    connection = sqlite3.connect(tmp_path / "db", isolation_level=None, factory=Interrupted)
    migrate(connection, "now")
    assert schema_number(connection) == LATEST
    assert len(connection.execute("SELECT * FROM migrations").fetchall()) == LATEST
    connection.close()


def test_a_killed_process_leaves_a_whole_registry(tmp_path: Path) -> None:
    home, source = tmp_path / "home", tmp_path / "m.bin"
    source.write_bytes(b"x" * 100_000)
    for attempt in range(8):
        process = start(KILLED, home, source)
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.05 + 0.017 * attempt)  # each time at another place
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        registry = check_whole(home) if home.exists() else ModelRegistry(home)
        if "m" in registry.list_models():
            assert registry.get_model_path("m").read_bytes() == source.read_bytes()
        registry.register_model("after", source, OTHER)
    for folder in (home / "models").glob("*/.staging-*"):
        os.utime(folder, (0, 0))
    registry = check_whole(home)
    registry.remove_left_over()
    registry.register_model("m", source, OTHER)  # takes away what is at its own number
    recorded = {int(entry["version"]) for entry in registry.get_model_versions("m")}
    assert {int(name) for name in os.listdir(home / "models" / "m")} == recorded


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child_uses_the_registry_it_inherits(tmp_path: Path) -> None:
    source = tmp_path / "m.bin"
    source.write_bytes(b"x")
    registry = ModelRegistry(tmp_path / "home")
    registry.register_model("m", source, OTHER)
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            try:
                number = registry.register_model("m", source, OTHER)
                os._exit(0 if registry.get_model_path("m", number).exists() else 1)
            except BaseException:
                os._exit(2)
        children.append(child)
        registry.register_model("m", source, OTHER)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    assert registry.list_models()["m"]["versions_count"] == 9
    registry.close()
    check_whole(registry.home)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_forking_waits_for_another_threads_transaction(tmp_path: Path) -> None:
    source = tmp_path / "m.bin"
    source.write_bytes(b"x")
    registry = ModelRegistry(tmp_path / "home")
    done, failures = threading.Event(), []

    def register_on() -> None:
        try:
            while not done.is_set():
                registry.register_model("m", source, OTHER)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=register_on)
    thread.start()
    try:
        for _ in range(10):
            child = os.fork()
            if child == 0:
                try:
                    registry.register_model("child", source, OTHER)
                    os._exit(0)
                except BaseException:
                    os._exit(2)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        done.set()
        thread.join()
    assert failures == []
    assert registry.list_models()["child"]["versions_count"] == 10
    check_whole(registry.home)


def test_readers_work_while_others_write(tmp_path: Path) -> None:
    source = tmp_path / "m.bin"
    source.write_bytes(b"x")
    registry = ModelRegistry(tmp_path / "home")
    registry.register_model("shared", source, OTHER)
    writers = [start(WRITER, tmp_path / "home", source, 10, OLD_JOURNAL) for _ in range(3)]
    for process in writers:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    seen = [0]
    while any(process.poll() is None for process in writers):
        record = registry.resolve("shared")
        assert record.main_path.exists()
        seen.append(record.version)
    for process in writers:
        assert process.communicate(timeout=60)[1] == ""
        assert process.returncode == 0
    assert registry.list_models()["shared"]["versions_count"] == 31


@pytest.mark.parametrize("sqlite", [OLD_JOURNAL, NEW_JOURNAL])
def test_readers_do_not_wait_for_a_change_that_is_being_made(
    tmp_path: Path, sqlite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", tuple(map(int, sqlite.split("."))))
    source = tmp_path / "m.bin"
    source.write_bytes(b"x")
    registry = ModelRegistry(tmp_path / "home")
    registry.register_model("m", source, OTHER)
    with registry._store.writing() as connection:
        connection.execute("UPDATE models SET versions_count = 7")
        process = start(IMPATIENT, tmp_path / "home", sqlite)
        output, errors = process.communicate(timeout=60)
        connection.execute("UPDATE models SET versions_count = 1")
    assert process.returncode == 0, errors
    assert output == "m.bin {'m': {'current_version': 1, 'versions_count': 1}} 1\n1\n"
    registry.close()


def test_nothing_depends_on_locks_of_our_own(tmp_path: Path) -> None:
    # What it does depend on is that SQLite's transactions hold; SQLite locks the database itself,
    # from C, and no program can make it safe where these locks silently do nothing.
    source = tmp_path / "m.bin"
    source.write_bytes(b"x")
    running = [start(WITHOUT_LOCKS, tmp_path / "home", source) for _ in range(4)]
    for process in running:
        errors = process.communicate(timeout=240)[1]
        assert process.returncode == 0, errors
    registry = check_whole(tmp_path / "home")
    assert registry.list_models()["shared"]["versions_count"] == 4 * 3 * 5
    registry.close()
