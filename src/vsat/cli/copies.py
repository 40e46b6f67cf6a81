"""`vsat backup` and `restore`: the whole registry in one file, and back."""

from dataclasses import asdict
from pathlib import Path

import click

from vsat.cli.application import Invocation
from vsat.cli.leftovers import check_unused
from vsat.cli.meter import meter
from vsat.cli.output import json_option, print_json, say, size_text, warn


@click.command(short_help="Write the whole registry into one file.")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@click.pass_obj
def backup(invocation: Invocation, file: Path, as_json: bool) -> None:
    """Write models, history and settings, as they are at one moment, into FILE, a tar archive.

    FILE must not exist yet. Damaged files are left out, and named.
    """
    with meter("Writing") as progress:
        done = invocation.registry().upkeep.backup(file, progress=progress)
    for name in done.damaged:
        warn(f"{name} is damaged and not in the backup. Run: vsat repair")
    if as_json:
        print_json(asdict(done))
    else:
        click.echo(done.path)
        say(f"{done.n_files} files, {size_text(done.size_bytes)}")


@click.command(short_help="Bring the registry back from a backup.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--replace", is_flag=True, help="Also where there is a registry; that is kept beside it."
)
@json_option
@click.pass_obj
def restore(invocation: Invocation, file: Path, replace: bool, as_json: bool) -> None:
    """Bring models, history and settings back from FILE, whole or not at all.

    Each file is compared with the digest that the backup gives. No version's number that was given
    out before is given out again.
    """
    registry = invocation.registry()
    check_unused(registry.home / "registry.db")
    with meter("Restoring") as progress:
        done = registry.upkeep.restore(file, replace=replace, progress=progress)
    if as_json:
        print_json(asdict(done))
        return
    click.echo(done.path)
    if done.replaced:
        say(f"What was there before is now in {done.replaced}")
