"""The commands that are interrupted, the homes that they start from, and what must hold then."""

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from bundles import write_bundle
from homes import of_schema_1
from injection import FAULTS, KILL, SYNCING, Nursery, Outcome, Point

OTHER = ("--task", "other")
DONE, FAILED, WRONG_USAGE, NOT_TRUSTED = 0, 1, 2, 3
LOG = "<HOME/registry.db-wal>"
TELLING = ("models", "versions", "history")


@dataclass(frozen=True)
class Scenario:
    """A command and the home that it is run in.

    Attributes:
        prepare: makes the home from nothing.
        arguments: of the command, given the folder of what is registered.
        whole: whether it is one change: after a fault all of it or nothing has happened.
        repeatable: whether it ends the same however often it is run.
        gone: whether another run may find that nothing is left to be done, and say so.
        damaged: whether files or the database are damaged before.
    """

    prepare: Callable[[Nursery, Path, Path], None]
    arguments: Callable[[Path], tuple[object, ...]]
    whole: bool = True
    repeatable: bool = False
    gone: bool = False
    damaged: bool = False


def _nothing(nursery: Nursery, home: Path, sources: Path) -> None:
    pass


def _three_versions(nursery: Nursery, home: Path, sources: Path) -> None:
    for name in ("first", "second", "third"):
        _do(nursery, home, "register", "m", sources / f"{name}.bin", *OTHER, "--use")
    _do(nursery, home, "register", "m", sources / "fourth.bin", *OTHER)
    _do(nursery, home, "register", "other", sources / "first.bin", *OTHER)


def _separation(nursery: Nursery, home: Path, sources: Path) -> None:
    for name in ("bundle_1", "bundle_2"):
        _do(nursery, home, "register", "voices", sources / name)


def _old_form(nursery: Nursery, home: Path, sources: Path) -> None:
    home.mkdir()
    listed = [
        {"version": number, "path": str(sources / f"{name}.bin"), "metadata": {"n": number},
         "created_at": "2024-05-01T10:00:00"}
        for number, name in ((1, "first"), (3, "second"))
    ]  # fmt: skip
    old = {
        "old": {"versions": listed, "current_version": 3, "created_at": "2024-05-01T10:00:00"},
        "older": {"versions": listed[:1], "current_version": 1, "created_at": "2024-04-01"},
    }
    (home / "registry.json").write_text(json.dumps(old))


def _damaged(nursery: Nursery, home: Path, sources: Path) -> None:
    _three_versions(nursery, home, sources)
    for name in ("m/3/third.bin", "m/1/model.json"):
        path = home / "models" / name
        path.chmod(0o600)
        path.write_bytes(b"damaged")


def _backed_up(nursery: Nursery, home: Path, sources: Path) -> None:
    _three_versions(nursery, home, sources)
    (sources / "backup").unlink(missing_ok=True)
    _do(nursery, home, "backup", sources / "backup")
    _do(nursery, home, "rm", "m@2")


def _without_database(nursery: Nursery, home: Path, sources: Path) -> None:
    _three_versions(nursery, home, sources)
    (home / "registry.db").write_bytes(b"damaged")


def _schema_1(nursery: Nursery, home: Path, sources: Path) -> None:
    of_schema_1(home.parent / "old").rename(home)


SCENARIOS = {
    "register the first": Scenario(
        _nothing, lambda sources: ("register", "m", sources / "first.bin", *OTHER)
    ),
    "register": Scenario(
        _three_versions, lambda sources: ("register", "m", sources / "fifth.bin", *OTHER)
    ),
    "register what is there": Scenario(
        _three_versions, lambda sources: ("register", "m", sources / "first.bin", *OTHER)
    ),
    "register a bundle": Scenario(
        _separation, lambda sources: ("register", "new", sources / "bundle_3"), whole=False
    ),
    "register and use": Scenario(
        _three_versions,
        lambda sources: ("register", "m", sources / "fifth.bin", *OTHER, "--use"),
        whole=False,
    ),
    "use": Scenario(_three_versions, lambda _: ("use", "m@4"), repeatable=True),
    "use a bundle": Scenario(
        _separation, lambda _: ("use", "voices@2"), whole=False, repeatable=True
    ),
    "rollback": Scenario(_three_versions, lambda _: ("rollback", "m")),
    "delete": Scenario(_three_versions, lambda _: ("rm", "m@2"), repeatable=True, gone=True),
    "repair": Scenario(_damaged, lambda _: ("repair",), whole=False, repeatable=True, damaged=True),
    "prune": Scenario(
        _three_versions, lambda _: ("prune", "--keep", 1), whole=False, repeatable=True
    ),
    "restore": Scenario(
        _backed_up,
        lambda sources: ("restore", "--replace", sources / "backup"),
        repeatable=True,
    ),
    "rebuild": Scenario(
        _without_database,
        lambda _: ("doctor", "--rebuild"),
        whole=False,
        repeatable=True,
        gone=True,
        damaged=True,
    ),
    "upgrade": Scenario(_schema_1, lambda _: ("models",), whole=False, repeatable=True),
    "import": Scenario(_old_form, lambda _: ("models",), whole=False, repeatable=True),
}
QUICK = ("register", "delete")


def make_sources(folder: Path) -> Path:
    """Make what is registered: files, and bundles that share one."""
    folder.mkdir(parents=True)
    for name in ("first", "second", "third", "fourth", "fifth"):
        (folder / f"{name}.bin").write_bytes(name.encode() * 1000)
    for number in (1, 2, 3):
        contents = {"model.onnx": b"graph %d" % number, "weights.safetensors": b"the same"}
        write_bundle(folder / f"bundle_{number}", contents)
    return folder


class Trial:
    """One scenario, tried with faults at one point after the other.

    Args:
        nursery: forks the runs.
        scenario: what is run.
        folder: for the homes; what is registered is in its folder `sources`.
    """

    def __init__(self, nursery: Nursery, scenario: Scenario, folder: Path) -> None:
        self._nursery = nursery
        self._scenario = scenario
        self._prepared = folder / "prepared"
        self._home = folder / "place" / "home"
        sources = folder / "sources"
        shutil.rmtree(self._prepared, ignore_errors=True)
        scenario.prepare(nursery, self._prepared, sources)
        self._command = (self._home, *scenario.arguments(sources))
        self._fresh_home()
        outcome, self.points = nursery.trace(*self._command)
        assert outcome.code == DONE, outcome
        assert self.points
        self._after = nursery.state(self._home)
        assert not self._problems_with(self._after)
        self._fresh_home()
        self._before = nursery.state(self._home)
        assert bool(self._problems_with(self._before)) == scenario.damaged

    def run(self, point: Point, fault: str) -> list[str]:
        """Try one fault; give what was wrong then, nothing if all was well."""
        self._fresh_home()
        outcome = self._nursery.inject(point, FAULTS[fault], *self._command)
        state = self._nursery.state(self._home)
        wrong = [
            *self._problems_with_end(outcome, point, fault, state),
            *self._problems_with(state, may_be_damaged=self._scenario.damaged),
            *self._problems_with_change(state),
            *self._tidied(),
            *self._done_again(state),
            *(self._tidied() if self._scenario.damaged else self._left()),
        ]
        return [f"{fault} at {point}: {problem}" for problem in wrong]

    def _fresh_home(self) -> None:
        shutil.rmtree(self._home.parent, ignore_errors=True)
        self._home.parent.mkdir()
        if self._prepared.exists():
            shutil.copytree(self._prepared, self._home, copy_function=shutil.copy2)

    def _problems_with_end(
        self, outcome: Outcome, point: Point, fault: str, state: dict[str, object]
    ) -> Iterable[str]:
        if "Traceback" in outcome.output or "should not have happened" in outcome.output:
            yield f"it fell over: {outcome.output}"
        if FAULTS[fault] == KILL:
            return
        if outcome.code not in (DONE, FAILED):
            yield f"it ended with {outcome.code}: {outcome.output}"
        says_why = "error: " in outcome.output or "  bad  " in outcome.output  # as doctor does
        if outcome.code == FAILED and not says_why:
            yield f"it ended without saying why: {outcome.output}"
        if outcome.code == DONE and not _same(state, self._after):
            yield "it ended well and has not done what it was told"
        if outcome.code == DONE and point.name in SYNCING and self._counts(point):
            yield "something was not made durable, and it ended well"

    def _counts(self, point: Point) -> bool:
        """Whether what a call makes durable is needed.

        After the last commit only files are removed that nobody needs any more. And
        SQLite itself takes no notice if it can't sync the folder of its journal, or if it can't
        bring what is durable in its write-ahead log into the database: the log stays.
        """
        if point.name == "fdatasync" and ("<HOME>" in point.line or self._is_of_log(point)):
            return False
        commits = [
            number
            for number, other in enumerate(self.points)
            if other.name in SYNCING
            and "HOME/registry.db" in other.line
            and not self._is_of_log(other)
        ]
        return self.points.index(point) <= commits[-1]

    def _is_of_log(self, point: Point) -> bool:
        """Whether a call syncs a log without news, or the database that the log is brought into."""
        before = self.points[: self.points.index(point)]
        if not any(LOG in other.line for other in before):
            return False
        if LOG not in point.line:
            return "<HOME/registry.db>" in point.line
        return next(other for other in reversed(before) if LOG in other.line).name in SYNCING

    def _problems_with(
        self, state: dict[str, object], *, may_be_damaged: bool = False
    ) -> list[str]:
        problems = []
        broken = state["integrity"] != ["ok"] or state["orphans"]
        if broken and not may_be_damaged:
            problems.append(f"the database is damaged: {state['integrity']} {state['orphans']}")
        if state["damage"] and not may_be_damaged:
            problems.append(f"files are damaged: {state['damage']}")
        return problems

    def _problems_with_change(self, state: dict[str, object]) -> Iterable[str]:
        if self._scenario.whole:
            if not (_same(state, self._before) or _same(state, self._after)):
                yield f"it is half done: {state}"
            return
        allowed = _currents(self._before) | _currents(self._after)
        for model, number in _currents(state):
            fresh = model not in {name for name, _ in _currents(self._before)}
            if (model, number) not in allowed and not fresh:
                yield f"{model}@{number} is current"

    def _tidied(self) -> Iterable[str]:
        outcome = self._nursery.run(self._home, "doctor", "--fix")
        state = self._nursery.state(self._home)
        if state["integrity"] == ["ok"]:  # else it says so, and touches nothing
            if outcome.code != DONE and not self._scenario.damaged:
                yield f"doctor: {outcome}"
            yield from self._left()

    def _left(self) -> Iterable[str]:
        versions = self._nursery.state(self._home)["versions"]
        assert isinstance(versions, list)
        recorded = {f"{name}/{number}" for name, number, _ in versions}
        models = self._home / "models"
        found = {str(path.relative_to(models)) for path in models.glob("*/*")}
        if found != recorded:
            yield f"folders without a record, or the other way: {sorted(found ^ recorded)}"
        left = [path for path in self._home.parent.rglob("*") if path.name.startswith((".", "tmp"))]
        if left:
            yield f"something temporary is left: {left}"

    def _done_again(self, state: dict[str, object]) -> Iterable[str]:
        outcome = self._nursery.run(*self._command)
        done_already = _same(state, self._after)
        if outcome.code != DONE and not (self._scenario.gone and done_already):
            yield f"run again: {outcome}"
        again = self._nursery.state(self._home)
        yield from self._problems_with(again)
        if (self._scenario.repeatable or _same(state, self._before)) and not _same(
            again, self._after, ("models", "versions")
        ):
            yield f"run again, it gives something else: {again}"


def _same(one: dict[str, object], other: dict[str, object], of: Iterable[str] = TELLING) -> bool:
    return all(one[key] == other[key] for key in of)


def _currents(state: dict[str, object]) -> set[tuple[str, int]]:
    models = state["models"]
    assert isinstance(models, list)
    return {(name, current) for name, current, _, _ in models}


def _do(nursery: Nursery, home: Path, *arguments: object) -> None:
    outcome = nursery.run(home, *arguments)
    assert outcome.code == DONE, outcome
