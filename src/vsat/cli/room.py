"""`vsat df`, `prune` and `config`: the room that versions take, and what goes when it is scarce."""

import re
from typing import TYPE_CHECKING

import click

from vsat.cli.application import Invocation
from vsat.cli.changing import because_option
from vsat.cli.output import json_option, print_json, print_table, say, size_text
from vsat.errors import StorageError, UsageError

if TYPE_CHECKING:
    from vsat.registry.upkeep import Upkeep

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
NO_QUOTA = ("none", "off")


@click.command(short_help="Show the room that each version takes.")
@json_option
@click.pass_obj
def df(invocation: Invocation, as_json: bool) -> None:
    """Show the room that each version takes. Equal files of versions are kept, and count, once.

    The column "alone" is what deleting the version would free.
    """
    registry = invocation.registry()
    registry.list_models()  # lets in what comes by itself
    usages, total_bytes = registry.upkeep.usages()
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


@click.command(short_help="Delete all but the newest versions.")
@click.argument("model", metavar="[ID]", required=False)
@click.option(
    "--keep", type=click.IntRange(min=0), required=True, help="How many of each model stay."
)
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@because_option
@json_option
@click.pass_obj
def prune(
    invocation: Invocation,
    model: str | None,
    keep: int,
    dry_run: bool,
    because: str,
    as_json: bool,
) -> None:
    """Delete all but the newest versions of one model, or of each.

    Never the current version, the one that a rollback leads to, or one that another version was
    tuned from. Damaged versions don't count among those that stay.
    """
    gone = invocation.registry().upkeep.prune(keep, model, dry_run=dry_run, because=because)
    freed = sum(usage.alone_bytes for usage in gone)
    if as_json:
        versions = [
            {"model_id": one.model_id, "version": one.version, "freed_bytes": one.alone_bytes}
            for one in gone
        ]
        print_json({"dry_run": dry_run, "versions": versions, "freed_bytes": freed})
        return
    if gone:
        rows = [(one.model_id, one.version, size_text(one.alone_bytes)) for one in gone]
        print_table(("model", "version", "frees"), rows, right="version frees")
    verb = "would be freed" if dry_run else "freed"
    say(f"{size_text(freed)} {verb}." if gone else "Nothing may go.")


@click.command(short_help="Show or change a setting of the registry.")
@click.argument("name", metavar="[NAME]", required=False)
@click.argument("value", metavar="[VALUE]", required=False)
@json_option
@click.pass_obj
def config(invocation: Invocation, name: str | None, value: str | None, as_json: bool) -> None:
    """Show the settings, or one of them; with a VALUE, change it.

    quota: how much room all versions may take, such as 3GB, or none. When a registration would
    exceed it, the oldest versions that `vsat prune` might delete are named and then deleted. When
    it is set nothing goes yet: what would go is shown.
    """
    if name not in (None, "quota"):
        raise UsageError(f"There is no setting {name!r:.40}.", hint="There is: quota.")
    upkeep = invocation.registry().upkeep
    if value is not None:
        upkeep.quota.set(parse_size(value))
    quota = upkeep.quota.limit()
    if as_json:
        print_json({"quota": quota})
        return
    click.echo(f"quota  {'none' if quota is None else size_text(quota)}")
    if value is not None and quota is not None:
        _show_plan(upkeep, quota)


def _show_plan(upkeep: "Upkeep", quota: int) -> None:
    """What would have to go already, if something came in that takes no room."""
    total = upkeep.usages()[1]
    if total <= quota:
        say(f"{size_text(total)} are taken.")
        return
    try:
        plan = upkeep.quota.plan()
    except StorageError as error:
        say(f"{size_text(total)} are taken. {error.message}")
        return
    say(f"{size_text(total)} are taken. With the next registration these go:")
    for record in plan:
        say(f"  {record.model_id}@{record.version}, {size_text(record.size_bytes)}")


def parse_size(text: str) -> int | None:
    """A number of bytes from what a person writes; None for "none".

    Raises:
        UsageError: it is no size.

    >>> parse_size("3GB"), parse_size("1.5 MB"), parse_size("none")
    (3000000000, 1500000, None)
    """
    if text.strip().lower() in NO_QUOTA:
        return None
    match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([kmgt]?)b?", text.strip().lower())
    if match is None:
        raise UsageError(f"{text!r:.40} is no size.", hint="Write, for example, 3GB or none.")
    return round(float(match[1]) * UNITS[match[2]])
