"""`vsat export`: a version as files for elsewhere."""

from dataclasses import asdict
from pathlib import Path

import click

from vsat.cli.application import Invocation
from vsat.cli.output import json_option, print_json, say, size_text

FORMS = ("folder", "vsat", "onnx", "hf-folder")


@click.command(short_help="Write a version as files for elsewhere.")
@click.argument("model", metavar="ID[@VERSION]")
@click.option(
    "--to",
    "target",
    required=True,
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="What to write; its name says which form, unless --form does.",
)
@click.option(
    "--form",
    type=click.Choice(FORMS),
    help="folder: the bundle; vsat: the same in one file; onnx: the graph alone; "
    "hf-folder: as hubs expect it, with a card.",
)
@click.option("--force", is_flag=True, help="Replace a file, or the folder of an earlier export.")
@json_option
@click.pass_obj
def export(
    invocation: Invocation,
    model: str,
    target: Path,
    form: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write a version to PATH, whole or not at all, after its files were hashed once more.

    PATH becomes an archive if it ends in .vsat, the inference graph alone if it ends in .onnx, a
    folder that can be pushed to a hub if it ends in hf-folder, and else a folder that vsat
    register takes again. Of one version, the archive is the same on every machine.
    """
    from vsat.convert.exporting import Form, export_version

    chosen = Form(form) if form else None
    done = export_version(invocation.registry(), model, target, form=chosen, replace=force)
    if as_json:
        print_json(asdict(done))
        return
    click.echo(done.path)
    say(f"{done.version}, {size_text(done.size_bytes)}")
    if done.form is Form.GRAPH:
        say(f"It says no sample rate; to register it again: --sample-rate {done.sample_rate}")
    elif done.form is Form.HUB:
        say(f"To publish it: hf upload ORG/NAME {done.path}")
