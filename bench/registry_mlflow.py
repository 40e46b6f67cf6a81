"""The registry beside MLflow's on SQLite, on one disk and in one run; and at 100,000 versions.

    python bench/registry_mlflow.py [--environment DIR] [--folder DIR] [--runs 40]

MLflow and DVC are installed into an environment of their own, which is kept if it is named. Each
run does every work on both sides in turn; ratios are of the medians.

What is compared is not the same work. vsat copies the model's file (2 kB, each time another),
checks it, and makes files, folders and rows durable; MLflow writes down where the file is. On a
disk that takes long to sync both wait for it most of the time; with `--folder /dev/shm` neither.

The database of 100,000 versions is one that has them in its tables, with their files and history,
put there by SQL; their folders are not made, and nothing that is measured looks at them.
"""

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median

from machine import describe, summary

import vsat

LISTED, MANY = 1_000, 100_000  # versions
OTHER = {"task": "other"}
WITH_BYTECODE = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


class Peer:
    """MLflow in a process of its own."""

    def __init__(self, python: Path, folder: Path) -> None:
        worker = Path(__file__).with_name("mlflow_worker.py")
        self._process = subprocess.Popen(
            [python, worker, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={k: v for k, v in WITH_BYTECODE.items() if k != "PYTHONPATH"},
            text=True,
        )
        self.version = self._line()

    def took(self, work: str, model: str, times: int) -> list[float]:
        """Do a work some times; the seconds that each took."""
        assert self._process.stdin
        self._process.stdin.write(f"{work} {model} {times}\n")
        self._process.stdin.flush()
        return list(json.loads(self._line()))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline().strip()
        assert line, "MLflow's process has ended"
        return line


class Ours:
    """A registry with the model `m`, and the model `many` of 1,000 versions."""

    def __init__(self, folder: Path) -> None:
        self.registry = vsat.ModelRegistry(folder / "home")
        self._source = folder / "source.bin"
        self._count = 0
        for model in ("m", "many"):
            self.register(model)
        fill(self.registry, "many", LISTED)

    def register(self, model: str) -> None:
        """Register a new file and make it current, in one step."""
        self._count += 1
        self._source.write_bytes(b"%8d" % self._count * 256)
        self.registry.register_model(model, self._source, OTHER, make_current=True)

    def register_then_use(self, model: str) -> None:
        """Register a new file, and make it current in a second step."""
        self._count += 1
        self._source.write_bytes(b"%8d" % self._count * 256)
        number = self.registry.register_model(model, self._source, OTHER)
        self.registry.set_current_version(model, number)

    def took(self, work: str, model: str, times: int) -> list[float]:
        """Do a work some times; the seconds that each took."""
        works: dict[str, Callable[[str], object]] = {
            "register": self.register,
            "register, then use": self.register_then_use,
            "read": self.registry.get_model_path,
            "list": lambda name: self.registry.get_model_versions(name, limit=LISTED),
        }
        took = []
        for _ in range(times):
            begin = time.perf_counter()
            works[work](model)
            took.append(time.perf_counter() - begin)
        return took


def fill(registry: vsat.ModelRegistry, model: str, count: int) -> None:
    """Put rows into a registry as if `model`, which has one version, had `count`."""
    registry.close()
    with closing(sqlite3.connect(registry.home / "registry.db", isolation_level=None)) as database:
        statement = "SELECT model_key FROM models WHERE model_id = ?"
        ((key,),) = database.execute(statement, (model,)).fetchall()
        fresh = {"version": "n", "digest": "lower(hex(randomblob(32)))"}
        fresh["sha256"] = fresh["digest"]
        database.execute("BEGIN")
        for table in ("versions", "files", "history"):
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            columns = [name for name in columns if name != "event"]
            values = [fresh.get(name, name) for name in columns]
            database.execute(
                f"""WITH RECURSIVE numbers (n) AS
                    (SELECT 2 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
                    INSERT INTO {table} ({", ".join(columns)}) SELECT {", ".join(values)}
                    FROM numbers, {table} WHERE model_key = {key} AND version = 1"""
            )
        database.execute(
            "UPDATE models SET last_version = ?, versions_count = ? WHERE model_key = ?",
            (count, count, key),
        )
        database.execute("COMMIT")


def environment(folder: Path) -> Path:
    """Make an environment with MLflow and, if it can be had, DVC; return where its programs are."""
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    if not (programs / "mlflow").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        for package in ("mlflow", "dvc"):
            command = [programs / "python", "-m", "pip", "install", "--quiet", package]
            subprocess.run(command, check=package == "mlflow")
    return programs


def beside(peer: Peer, ours: Ours, runs: int) -> None:
    peer.took("make", "m", 1)
    peer.took("make", "many", 1)
    peer.took("fill", "many", LISTED)
    rows = {
        "register + make current": ("register", "register", 1),
        "register, then make current": ("register, then use", "register", 1),
        "read current": ("read", "read", 5),
        "list 1,000 versions": ("list", "list", 1),
    }
    for title, (our_work, its_work, times) in rows.items():
        model = "many" if our_work == "list" else "m"
        our_s, its_s = [], []
        for _ in range(runs):
            our_s += ours.took(our_work, model, times)
            its_s += peer.took(its_work, model, times)
        report(title, our_s, its_s, "MLflow")


def report(title: str, our_s: list[float], its_s: list[float], other: str) -> None:
    ours = f"{summary([1e3 * s for s in our_s])} ms"
    print(f"  {title:27} vsat {ours:38} {other} {summary([1e3 * s for s in its_s])} ms", end="")
    print(f"   {median(its_s) / median(our_s):.2f} times", flush=True)


def syncs(folder: Path) -> list[float]:
    """Milliseconds that the disk takes to make small new files durable."""
    took = []
    for number in range(20):
        with open(folder / f"sync{number}", "xb") as file:
            file.write(os.urandom(4096))
            file.flush()
            begin = time.perf_counter()
            os.fsync(file.fileno())
            took.append(1e3 * (time.perf_counter() - begin))
    return took


def at_many(few: Ours, many: Ours, runs: int) -> None:
    many.register("huge")
    fill(many.registry, "huge", MANY)
    print(f"  Beside a model of {MANY:,} versions in the same registry:")
    for work, times in (("register", 1), ("read", 20), ("list", 1)):
        few_s, many_s = [], []
        for _ in range(runs):
            few_s += few.took(work, "many" if work == "list" else "m", times)
            many_s += many.took(work, "many" if work == "list" else "m", times)
        report(work, many_s, few_s, "without")
    print(f"  Of the model of {MANY:,} versions itself:")
    for work, times in (("register", 1), ("read", 20), ("list", 1)):
        few_s, many_s = [], []
        for _ in range(runs):
            few_s += few.took(work, "many", times)
            many_s += many.took(work, "huge", times)
        report(work, many_s, few_s, "with 1,000")


def start_up(programs: Path, home: Path, runs: int) -> None:
    commands = {
        "vsat models": [sys.executable, "-m", "vsat", "--home", str(home), "models"],
        "mlflow --version": [str(programs / "mlflow"), "--version"],
        "dvc --version": [str(programs / "dvc"), "--version"],
    }
    usable = {name: command for name, command in commands.items() if shutil.which(command[0])}
    took: dict[str, list[float]] = {name: [] for name in usable}
    for number in range(runs + 1):
        for name, command in usable.items():
            its_own = {k: v for k, v in WITH_BYTECODE.items() if k != "PYTHONPATH"}
            begin = time.perf_counter()
            subprocess.run(
                command,
                check=True,
                capture_output=True,
                env=WITH_BYTECODE if name == "vsat models" else its_own,
            )
            if number:  # the first leaves the bytecode behind
                took[name].append(time.perf_counter() - begin)
    for name, times in took.items():
        print(f"  {name:28} {summary(times)} s", end="")
        print(f"   {median(times) / median(took['vsat models']):.1f} times")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--environment", type=Path, help="kept; it is made where it is missing")
    parser.add_argument("--folder", type=Path, help="on the disk that is measured")
    parser.add_argument("--runs", type=int, default=40)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as made,
        tempfile.TemporaryDirectory(dir=arguments.folder, prefix="vsat-bench-") as name,
    ):
        programs = environment((arguments.environment or Path(made)).absolute())
        folder = Path(name)
        (folder / "many").mkdir()
        (folder / "model.bin").write_bytes(b"x" * 2048)
        peer = Peer(programs / "python", folder)
        few, many = Ours(folder), Ours(folder / "many")
        print(f"{describe()}, MLflow {peer.version}, SQLite {sqlite3.sqlite_version}, in {folder}")
        print(f"One sync of a new file of 4 KiB there: {summary(syncs(folder))} ms")
        beside(peer, few, arguments.runs)
        peer.close()
        at_many(few, many, arguments.runs)
        start_up(programs, few.registry.home, max(3, arguments.runs // 8))


if __name__ == "__main__":
    main()
