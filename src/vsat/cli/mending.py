"""`vsat verify` and `repair`: whether the files are what they were, and getting them back."""

from dataclasses import asdict

import click

from vsat.cli.application import Invocation
from vsat.cli.changing import because_option
from vsat.cli.failures import NOT_TRUSTED
from vsat.cli.meter import meter
from vsat.cli.output import json_option, print_json, print_table, say


@click.command(short_help="Check that the files are what was registered.")
@click.argument("model", metavar="[ID[@VERSION]]", required=False)
@json_option
@click.pass_obj
def verify(invocation: Invocation, model: str | None, as_json: bool) -> int:
    """Read every registered file again, of all models or of one, and compare the digests.

    Versions that are damaged are not used any more until they are repaired. Ends with 3 if one is.
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
        say("They are not used until they are repaired. Run: vsat repair")
    else:
        say("All files are what was registered.")
    return NOT_TRUSTED if damaged else 0


@click.command(short_help="Get damaged versions back from where they came.")
@click.argument("model", metavar="[ID[@VERSION]]", required=False)
@because_option
@json_option
@click.pass_obj
def repair(invocation: Invocation, model: str | None, because: str, as_json: bool) -> int:
    """Find damaged versions, of all models or of one, and get their files back.

    A file comes from an equal one of another version, from the path that was registered if it is
    still the same there, or from what ships with vsat. Nothing that is whole is touched. Ends with
    3 if a version stays damaged.
    """
    registry = invocation.registry()
    with meter("Verifying") as progress:
        done = registry.upkeep.repair(model, because=because, progress=progress)
    lost = [one for one in done if one.outcome == "lost"]
    if as_json:
        print_json([asdict(one) for one in done])
    elif done:
        rows = [(f"{one.model_id}@{one.version}", one.outcome, one.detail) for one in done]
        print_table(("version", "outcome", "detail"), rows)
        if lost:
            say("Register what is lost again from elsewhere, and remove it with: vsat rm")
    else:
        say("Nothing is damaged.")
    return NOT_TRUSTED if lost else 0
