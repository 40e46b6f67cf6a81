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
from vsat.cli.leftovers import check_unused, find_leftovers, remove_leftover, split_by_use
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
@click.option(
    "--fix", is_flag=True, help="Remove what was left unfinished; repair damaged versions."
)
@click.option(
    "--rebuild",
    is_flag=True,
    help="First make a new database from the versions' folders, if it is damaged or gone.",
)
@json_option
@click.pass_obj
def doctor(
    invocation: Invocation, folders: Sequence[Path], fix: bool, rebuild: bool, as_json: bool
) -> int:
    """Check the database, every file, the permissions, the free space and the engine.

    Looks for what an interrupted registration left, and in each FOLDER for what an interrupted
    separation did. Ends with 1 if something is bad.

    With --rebuild, what was current, the history and the settings are taken from the old database
    as far as it can be read; it is kept beside the new one.
    """
    home = invocation.registry().home
    checks: dict[str, Callable[[], Finding]] = {
        **({"rebuilt": lambda: rebuild_database(invocation)} if rebuild else {}),
        "folder": lambda: check_folder(home),
        "database": lambda: check_database(invocation),
        "files": lambda: check_files(invocation, fix=fix),
        "unfinished": lambda: check_leftovers(invocation, folders, fix=fix),
        "records": lambda: check_records(invocation),
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


def rebuild_database(invocation: Invocation) -> Finding:
    """Make a new database from the versions' folders."""
    registry = invocation.registry()
    check_unused(registry.home / DATABASE_NAME)
    done = registry.upkeep.rebuild()
    parts = [f"a new database with {done.versions} versions"]
    if done.kept:
        parts.append(f"the old one is {done.kept}")
    parts += [f"{len(done.quarantined)} damaged"] if done.quarantined else []
    parts += [f"not a version: {line}" for line in done.skipped]
    if not (done.guessed or done.skipped):
        return Finding("rebuilt", "ok", "; ".join(parts))
    hint = "Look at what is left there."
    if done.guessed:
        parts.append(f"the newest sound version is current now of {', '.join(done.guessed)}")
        hint = "Choose what is current: vsat use ID@VERSION"
    return Finding("rebuilt", "attention", "; ".join(parts), hint)


def check_database(invocation: Invocation) -> Finding:
    """Whether the database is whole."""
    registry = invocation.registry()
    database = registry.home / DATABASE_NAME
    if not registry.home.exists():
        return Finding("database", "ok", "nothing is registered yet")
    problems = registry.integrity_check()
    if problems:
        hint = "Run: vsat doctor --rebuild"
        return Finding("database", "bad", f"{database}: {'; '.join(problems)}", hint)
    return Finding("database", "ok", f"{database} is whole")


def check_files(invocation: Invocation, *, fix: bool) -> Finding:
    """Whether each registered file is what was recorded of it; repairs them if asked to."""
    registry = invocation.registry()
    if not registry.home.exists():
        return Finding("files", "ok", "nothing is registered yet")
    repaired = registry.upkeep.repair() if fix and registry.writable else []
    damaged = registry.verify()
    waiting = registry.find_versions("quarantined")
    if damaged or waiting:
        detail = f"{len(damaged)} damaged or missing, {len(waiting)} versions not used"
        return Finding("files", "bad", detail, "Run: vsat verify, then vsat repair")
    count = sum(int(entry["versions_count"]) for entry in registry.list_models().values())
    detail = f"all files of {count} versions are what was registered"
    return Finding("files", "ok", f"{len(repaired)} repaired; {detail}" if repaired else detail)


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


def check_records(invocation: Invocation) -> Finding:
    """Whether each version's folder is known to the database."""
    registry = invocation.registry()
    unknown = registry.without_record() if registry.home.exists() else []
    if not unknown:
        return Finding("records", "ok", "each version on disk is recorded")
    detail = f"{len(unknown)} versions on disk are not recorded, such as {unknown[0]}"
    hint = f"Take it in again: vsat register {unknown[0].parent.name} {unknown[0]}; or remove it"
    return Finding("records", "attention", detail, hint)


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
