"""`vsat register`: a file or a folder becomes the next version of a model."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsat.cli.application import Invocation
from vsat.cli.changing import because_option
from vsat.cli.output import json_option, print_json, say, size_text
from vsat.errors import UsageError

if TYPE_CHECKING:
    from vsat.registry import VersionRecord


@click.command(short_help="Register a model's next version.")
@click.argument("model_id", metavar="ID")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--sample-rate", type=click.IntRange(min=1), help="In Hz; a bare .onnx needs it.")
@click.option("--sources", type=click.IntRange(min=1), help="How many voices it gives.")
@click.option("--licence", help="For example Apache-2.0.")
@click.option("--description", help="What you want to remember of it.")
@click.option(
    "--task",
    type=click.Choice(["separation", "other"]),
    help="'other' keeps any single file without ever running it.",
)
@click.option(
    "--metadata",
    multiple=True,
    metavar="KEY=VALUE|JSON",
    help="Anything else to keep: KEY=VALUE, where VALUE may be JSON, or an object in JSON. "
    "May be given several times.",
)
@click.option("--use", "make_current", is_flag=True, help="Make it the current version.")
@because_option
@json_option
@click.pass_obj
def register(
    invocation: Invocation,
    /,
    model_id: str,
    path: Path,
    metadata: Sequence[str],
    make_current: bool,
    because: str,
    as_json: bool,
    **named: Any,
) -> None:
    """Copy PATH into the registry as the next version of the model ID.

    PATH is a bundle (a folder with model.json), a self-contained .onnx file that takes `mixture`
    (batch, samples) and gives `estimates` (batch, sources, samples), or with --task other any
    file. The first version of a model becomes current at once.

    Where a quota is set (vsat config quota) and there is no room, the oldest versions that may go
    are named, and deleted once this one is in.
    """
    registry = invocation.registry()
    version = registry.register_model(
        model_id,
        path,
        collect(metadata, named),
        because=because,
        before_eviction=_announce,
    )
    if not as_json:
        click.echo(f"{model_id}@{version}")
    if make_current:
        registry.set_current_version(model_id, version, because=because)
    record = registry.resolve(model_id, version)
    if as_json:
        print_json(
            {"model_id": record.model_id, "version": version, "is_current": record.is_current}
        )
        return
    say_whether_current(record)


def say_whether_current(record: "VersionRecord") -> None:
    """Tell the person whether a new version is used already, or how to use it."""
    if record.is_current:
        say("It is the current version.")
    else:
        say(f"Make it the current version with: vsat use {record.model_id}@{record.version}")


def _announce(plan: "Sequence[VersionRecord]") -> None:
    say("The quota is reached; for this one to fit, these go:")
    for record in plan:
        size = size_text(record.size_bytes)
        say(f"  {record.model_id}@{record.version}, of {record.created_at[:10]}, {size}")


def collect(given: Sequence[str], named: dict[str, Any]) -> dict[str, Any]:
    """Put together the metadata; options of their own go before what --metadata says.

    Raises:
        UsageError: an entry is neither KEY=VALUE nor an object in JSON.
    """
    collected: dict[str, Any] = {}
    for entry in given:
        collected.update(_entry(entry))
    collected.update({key: value for key, value in named.items() if value is not None})
    return collected


def _entry(text: str) -> dict[str, Any]:
    if text.lstrip().startswith("{"):
        return _object(text)
    key, equals, value = text.partition("=")
    if not (equals and key.strip()):
        raise UsageError(
            f"--metadata {text!r} is neither KEY=VALUE nor an object in JSON.",
            hint="Write, for example, --metadata room=kitchen or --metadata '{\"room\": 3}'.",
        )
    try:
        return {key.strip(): json.loads(value)}
    except ValueError:
        return {key.strip(): value}


def _object(text: str) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise UsageError(f"--metadata is not valid JSON: {error}.") from error
    return value
