"""`vsat doctor`: looks at everything that can go wrong on a machine, and tidies up."""

import stat
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import click

from vsat.cli.application import Invocation
from vsat.cli.failures import FAILED
from vsat.cli.leftovers import find_leftovers, remove_leftover, split_by_use
from vsat.cli.meter import meter
from vsat.cli.output import json_option, print_json, print_table, say, size_text
from vsat.errors import VsatError
from vsat.files import free_bytes

DATABASE_NAME = "registry.db"
LITTLE_SPACE_BYTES = 500 * 10**6  # a bundle, a recording's voices and the database fit in it


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    check: str
    state: Literal["ok", "attention", "bad"]
    detail: str
    hint: str = ""


@click.command(short_help="Check the registry and the machine.")
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path), metavar="[FOLDER...]")
@click.option("--fix", is_flag=True, help="Remove what was left unfinished and is not in use.")
@json_option
@click.pass_obj
def doctor(invocation: Invocation, folders: Sequence[Path], fix: bool, as_json: bool) -> int:
    """Check the database, every file, the permissions, the free space and the engine.

    Looks for what an interrupted registration left, and in each FOLDER for what an interrupted
    separation did. Ends with 1 if something is bad.
    """
    home = invocation.registry().home
    checks: dict[str, Callable[[], Finding]] = {
        "folder": lambda: check_folder(home),
        "database": lambda: check_database(invocation),
        "files": lambda: check_files(invocation),
        "unfinished": lambda: check_leftovers(invocation, folders, fix=fix),
        "free space": lambda: check_space(home),
        "engine": check_engine,
    }
    with meter("Checking"):
        findings = [_guarded(name, check) for name, check in checks.items()]
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        _print(findings)
    return FAILED if any(finding.state == "bad" for finding in findings) else 0


def _guarded(name: str, check: Callable[[], Finding]) -> Finding:
    """Run a check; one that fails is a finding, and the others still run."""
    try:
        return check()
    except VsatError as error:
        return Finding(name, "bad", error.message, error.hint)
    except OSError as error:
        return Finding(name, "bad", f"{error.strerror}: {error.filename}")


def check_folder(home: Path) -> Finding:
    """Whether the registry's folder can be used by its owner, and changed by no one else."""
    if not home.exists():
        return Finding("folder", "ok", f"{home} is made when the first model is registered")
    others = [
        path
        for path in (home, home / "models", home / DATABASE_NAME)
        if path.exists() and path.stat().st_mode & stat.S_IWOTH
    ]
    if others:
        listed = ", ".join(map(str, others))
        hint = "Run: chmod o-w " + listed.replace(",", "")
        return Finding("folder", "attention", f"Anybody may write to {listed}", hint)
    probe = find_writable(home)
    if not probe:
        hint = "Separating works; registering needs a folder that can be written to."
        return Finding("folder", "attention", f"{home} can't be written to", hint)
    return Finding("folder", "ok", str(home))


def find_writable(folder: Path) -> bool:
    """Whether files can be made in a folder: tried, since permissions don't tell everything."""
    import tempfile

    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def check_database(invocation: Invocation) -> Finding:
    """Whether the database is whole."""
    from vsat.registry.store import Store

    registry = invocation.registry()
    database = registry.home / DATABASE_NAME
    if not registry.home.exists():
        return Finding("database", "ok", "nothing is registered yet")
    registry.list_models()  # makes or upgrades it where needed
    store = Store(database, lambda: "")
    found = [str(row[0]) for row in store.rows("PRAGMA integrity_check(5)")]
    lost = [
        f"a row of {row[0]} belongs to nothing" for row in store.rows("PRAGMA foreign_key_check")
    ]
    store.close()
    problems = [problem for problem in (*found, *lost) if problem != "ok"]
    if problems:
        hint = "Put a backup of that file back; the folders under 'models' are untouched."
        return Finding("database", "bad", f"{database}: {'; '.join(problems)}", hint)
    return Finding("database", "ok", f"{database} is whole")


def check_files(invocation: Invocation) -> Finding:
    """Whether each registered file is what was recorded of it."""
    registry = invocation.registry()
    if not registry.home.exists():
        return Finding("files", "ok", "nothing is registered yet")
    damaged = registry.verify()
    if damaged:
        return Finding("files", "bad", f"{len(damaged)} damaged or missing", "Run: vsat verify")
    count = sum(int(entry["versions_count"]) for entry in registry.list_models().values())
    return Finding("files", "ok", f"all files of {count} versions are what was registered")


def check_leftovers(invocation: Invocation, folders: Sequence[Path], *, fix: bool) -> Finding:
    """Whether something was left unfinished; removes it if asked to."""
    registry = invocation.registry()
    home = registry.home
    idle, used = split_by_use(find_leftovers(home, folders), home / DATABASE_NAME)
    if home.exists():
        idle = sorted({*idle, *registry.left_over()})
    still = f"; {len(used)} in use" if used else ""
    if not idle:
        return Finding("unfinished", "ok", f"nothing was left{still}")
    if not fix:
        detail = f"{len(idle)} left, such as {idle[0]}{still}"
        return Finding("unfinished", "attention", detail, "Run: vsat doctor --fix")
    if home.exists():
        registry.remove_left_over()
    for path in idle:
        remove_leftover(path)
    return Finding("unfinished", "ok", f"{len(idle)} removed{still}")


def check_space(home: Path) -> Finding:
    """Whether there is room for more."""
    free = free_bytes(home)
    if free < LITTLE_SPACE_BYTES:
        hint = "Delete versions that you don't need: vsat df, vsat rm"
        return Finding("free space", "attention", f"only {size_text(free)}", hint)
    return Finding("free space", "ok", size_text(free))


def check_engine() -> Finding:
    """Whether something is installed that runs models."""
    from vsat.engines import available_engines

    names = available_engines()
    if not names:
        return Finding("engine", "bad", "none is installed", "Run: pip install openvino")
    return Finding("engine", "ok", ", ".join(f"{name} {_version_of(name)}" for name in names))


def _version_of(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _print(findings: Sequence[Finding]) -> None:
    rows = [(finding.check, finding.state, finding.detail) for finding in findings]
    print_table(("check", "state", "found"), rows)
    for finding in findings:
        if finding.hint:
            say(f"{finding.check}: {finding.hint}")
