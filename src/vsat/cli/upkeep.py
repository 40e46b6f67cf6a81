"""`vsat verify` and `df`: whether the files are what they were, and the room that they take."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vsat.cli.application import Invocation
from vsat.cli.failures import NOT_TRUSTED
from vsat.cli.meter import meter
from vsat.cli.output import json_option, print_json, print_table, say, size_text
from vsat.files import map_os_errors

if TYPE_CHECKING:
    from vsat.registry import ModelRegistry

FileKey = tuple[int, int]  # device and inode: the same for all hard links of one file


@click.command(short_help="Check that the files are what was registered.")
@click.argument("model", metavar="[ID[@VERSION]]", required=False)
@json_option
@click.pass_obj
def verify(invocation: Invocation, model: str | None, as_json: bool) -> int:
    """Read every registered file again, of all models or of one, and compare the digests.

    Ends with 3 if one of them is damaged or missing.
    """
    registry = invocation.registry()
    with meter("Verifying") as progress:
        damaged = registry.verify(model, progress=progress)
    if as_json:
        print_json(damaged)
    elif damaged:
        rows = [
            (f"{entry['model_id']}@{entry['version']}", entry["file"], entry["problem"])
            for entry in damaged
        ]
        print_table(("version", "file", "problem"), rows)
        say("Register it again from where it came, make that current, and `vsat rm` this one.")
    else:
        say("All files are what was registered.")
    return NOT_TRUSTED if damaged else 0


@dataclass(frozen=True)
class Usage:
    """The room that a version takes.

    Attributes:
        size_bytes: of all its files.
        alone_bytes: of the files that no other version shares: what deleting it would free.
    """

    model_id: str
    version: int
    size_bytes: int
    alone_bytes: int


@click.command(short_help="Show the room that each version takes.")
@json_option
@click.pass_obj
def df(invocation: Invocation, as_json: bool) -> None:
    """Show the room that each version takes. Equal files of versions are kept, and count, once.

    The column "alone" is what deleting the version would free.
    """
    registry = invocation.registry()
    usages, total_bytes = measure(registry)
    if as_json:
        versions = [vars(usage) for usage in usages]
        print_json({"home": registry.home, "versions": versions, "total_bytes": total_bytes})
        return
    rows = [
        (usage.model_id, usage.version, size_text(usage.size_bytes), size_text(usage.alone_bytes))
        for usage in usages
    ]
    if rows:
        print_table(("model", "version", "size", "alone"), rows, right="version size alone")
    say(f"{size_text(total_bytes)} in {registry.home}")


def measure(registry: "ModelRegistry") -> tuple[list[Usage], int]:
    """Measure each version, and all of them with every file counted once, in bytes."""
    sizes: dict[FileKey, int] = {}
    users: dict[FileKey, set[tuple[str, int]]] = defaultdict(set)
    versions = []
    for model_id in registry.list_models():
        for record in registry.records(model_id):
            version = (model_id, record.version)
            versions.append(version)
            for key, size in _files_in(record.path):
                sizes[key] = size
                users[key].add(version)
    usages = []
    for version in versions:
        mine = [key for key, owners in users.items() if version in owners]
        alone = sum(sizes[key] for key in mine if len(users[key]) == 1)
        usages.append(Usage(*version, sum(sizes[key] for key in mine), alone))
    return usages, sum(sizes.values())


def _files_in(folder: Path) -> list[tuple[FileKey, int]]:
    """The files of a version, whatever they are; none if the folder is gone."""
    if not folder.is_dir():
        return []
    with map_os_errors(f"reading {folder}"):
        found = [path.lstat() for path in folder.iterdir()]
    return [((status.st_dev, status.st_ino), status.st_size) for status in found]
