"""Runs vsat under strace, which kills it at a system call or lets the call fail.

A run that is only traced tells which calls change the disk; each of them is then tried in a run of
its own. strace counts the calls of each name apart, so a point is a name and a number.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

CHANGING = (
    "write", "pwrite64", "writev", "pwritev", "fsync", "fdatasync", "sync_file_range", "ftruncate",
    "truncate", "fallocate", "rename", "renameat", "renameat2", "unlink", "unlinkat", "link",
    "linkat", "symlink", "symlinkat", "mkdir", "mkdirat", "rmdir", "chmod", "fchmod", "fchmodat",
    "fchmodat2", "utimensat", "copy_file_range", "sendfile", "open", "openat", "creat",
)  # fmt: skip
SYNCING = ("fsync", "fdatasync", "sync_file_range")
KILL, EIO, ENOSPC = "signal=SIGKILL", "error=EIO", "error=ENOSPC"
FAULTS = {"kill": KILL, "eio": EIO, "enospc": ENOSPC}
JOURNALS = {"rollback": "3.40.1", "wal": "3.51.3"}  # versions of SQLite that lead to each
WAIT_S = 60  # for a child; each takes a fraction of a second
_CALL = re.compile(r"^(?:\[pid +\d+\] |\d+ +)?(\w+)\((.*)$")


@dataclass(frozen=True)
class Point:
    """A call that changes the disk: the `number`th of its name in a run."""

    name: str
    number: int
    line: str  # as strace showed it

    def __str__(self) -> str:
        return f"{self.name} {self.number}: {self.line}"


@dataclass(frozen=True)
class Outcome:
    """How a child ended: with a code, or by a signal as a negative number; and what it said."""

    code: int
    output: str


def reason_not_to_run() -> str:
    """Why nothing can be injected here; empty if it can."""
    if sys.platform != "linux" or shutil.which("strace") is None:
        return "strace is not installed"
    command = ["strace", "-e", "trace=?rename", "-e", "inject=?rename:error=EIO:when=1", "true"]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"strace can't trace here: {tried.stderr[-200:]}"


def quick_folder() -> Path:
    """A folder in memory if there is one: a killed process leaves the same files there."""
    memory = Path("/dev/shm")
    usable = memory.is_dir() and os.access(memory, os.W_OK)
    return Path(tempfile.mkdtemp(prefix="vsat-crash-", dir=memory if usable else None))


class Nursery:
    """A process that forks a child for each run.

    Args:
        sqlite_version: what vsat takes the version of SQLite for: it decides the journal.
        folder: for what the children print.
    """

    def __init__(self, sqlite_version: str, folder: Path) -> None:
        self._output = folder / "output"
        self._trace = folder / "trace"
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("nursery.py")), sqlite_version],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == "ready"

    def close(self) -> None:
        """End the process; its children have ended."""
        self._process.communicate(timeout=WAIT_S)

    def run(self, home: Path, *work: object) -> Outcome:
        """Run a command of vsat."""
        return self._run("vsat", _arguments(home, work))

    def state(self, home: Path) -> dict[str, object]:
        """What a registry holds, and whether it is whole."""
        outcome = self._run("state", str(home))
        assert outcome.code == 0, outcome.output
        found: dict[str, object] = json.loads(outcome.output)
        return found

    def trace(self, home: Path, *work: object) -> tuple[Outcome, list[Point]]:
        """Run a command; give the calls that changed the home or the folder that it is in."""
        names = ",".join(f"?{name}" for name in CHANGING)
        outcome = self._traced([f"trace={names}"], _arguments(home, work))
        return outcome, points_in(self._trace.read_text(errors="replace"), home)

    def inject(self, point: Point, fault: str, home: Path, *work: object) -> Outcome:
        """Run a command with a fault at a point.

        Raises:
            AssertionError: the run never came to that point.
        """
        options = [f"trace={point.name}", f"inject={point.name}:{fault}:when={point.number}"]
        outcome = self._traced(options, _arguments(home, work))
        hit = outcome.code == -9 if fault == KILL else "(INJECTED)" in self._trace.read_text()
        assert hit, f"{point} was not reached: {outcome}"
        return outcome

    def _traced(self, expressions: list[str], arguments: list[str]) -> Outcome:
        self._ask("vsat", arguments, waits=True)
        child = self._answer()
        options = [part for expression in expressions for part in ("-e", expression)]
        tracer = subprocess.Popen(
            ["strace", "-y", "-o", str(self._trace), *options, "-p", str(child)],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert tracer.stderr
        attached = tracer.stderr.readline()
        assert "attached" in attached, attached
        self._say("go")
        outcome = self._outcome()
        tracer.communicate(timeout=WAIT_S)
        return outcome

    def _run(self, what: str, given: object) -> Outcome:
        self._ask(what, given, waits=False)
        return self._outcome()

    def _ask(self, what: str, given: object, *, waits: bool) -> None:
        request = {"what": what, "with": given, "waits": waits, "output": str(self._output)}
        self._say(json.dumps(request))

    def _outcome(self) -> Outcome:
        code = self._answer()
        assert isinstance(code, int)
        return Outcome(code, self._output.read_text(errors="replace"))

    def _say(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _answer(self) -> object:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the process that forks has ended"
        return json.loads(line)


def _arguments(home: Path, work: tuple[object, ...]) -> list[str]:
    return ["--home", str(home), *map(str, work)]


def points_in(trace: str, home: Path) -> list[Point]:
    """The calls in what strace wrote that changed a home or the folder that it is in."""
    counts: Counter[str] = Counter()
    points = []
    for line in trace.splitlines():
        found = _CALL.match(line)
        if not found:
            continue
        name, rest = found.groups()
        counts[name] += 1
        opens = name in ("open", "openat")
        changes = not opens or "O_CREAT" in rest or "O_TRUNC" in rest
        if changes and f"{home.parent}" in rest:
            shown = line.replace(f"{home}", "HOME").replace(f"{home.parent}", "PLACE")
            points.append(Point(name, counts[name], shown[:400]))
    return points
