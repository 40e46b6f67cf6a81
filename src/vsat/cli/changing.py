"""`vsat use`, `rollback` and `rm`: which version is current, and which one goes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from vsat.cli.application import Invocation
from vsat.cli.failures import FAILED
from vsat.cli.meter import meter
from vsat.cli.output import json_option, print_json, say

if TYPE_CHECKING:
    from vsat.registry import ModelRegistry

because_option: Callable[[Any], Any] = click.option(
    "--because", default="", metavar="TEXT", help="Why, for the history."
)


@click.command(short_help="Make a version the current one.")
@click.argument("model", metavar="ID@VERSION")
@click.option(
    "--if-better-on",
    "test_set",
    metavar="NAME",
    help="Only if it is better than the current one on a test set, or a folder of recordings.",
)
@because_option
@json_option
@click.pass_obj
def use(
    invocation: Invocation, model: str, test_set: str | None, because: str, as_json: bool
) -> int:
    """Make a version the one that is used where only the ID is named.

    The version is loaded and run once before, unless it was before; one that fails does not become
    current. With --if-better-on, a verdict other than "better" changes nothing and exits with 1.
    """
    registry = invocation.registry()
    if test_set is None:
        registry.set_current_version(model, because=because)
    elif not _promoted(registry, model, test_set, because):
        return FAILED
    record = registry.resolve(model)
    _conclude(record.model_id, record.version, as_json=as_json)
    return 0


def _promoted(registry: "ModelRegistry", model: str, test_set: str, because: str) -> bool:
    """Make a version current if it is better; say the verdict."""
    from vsat.evaluation.promotion import promote_if_better

    with meter("Comparing") as progress:
        promotion = promote_if_better(registry, model, test_set, because, progress)
    say(promotion.sentence)
    if not promotion.done:
        say(f"{promotion.current} stays current.")
    return promotion.done


@click.command(short_help="Return to the version that was current before, or at a date.")
@click.argument("model", metavar="ID")
@click.option("--to", metavar="DATE", help="To what was current then, such as 2026-03-01 (UTC).")
@because_option
@json_option
@click.pass_obj
def rollback(
    invocation: Invocation, model: str, to: str | None, because: str, as_json: bool
) -> None:
    """Make the version current that was so before; again leads further back.

    Versions that were deleted or found damaged are passed over. With --to, return to the version
    that was current at the end of that day, or at a time such as 2026-03-01T12:30.
    """
    version = invocation.registry().rollback(model, to=to, because=because)
    _conclude(model, version, as_json=as_json)


@click.command(short_help="Delete a version.")
@click.argument("model", metavar="ID@VERSION")
@because_option
@json_option
@click.pass_obj
def rm(invocation: Invocation, model: str, because: str, as_json: bool) -> None:
    """Delete a version, never the current one. Its number is not used again."""
    from vsat.registry.reference import parse_reference

    invocation.registry().delete_version(model, because=because)
    if as_json:
        model_id, version = parse_reference(model)
        print_json({"model_id": model_id, "deleted_version": version})
    else:
        say(f"{model} is deleted.")


def _conclude(model_id: str, version: int, *, as_json: bool) -> None:
    if as_json:
        print_json({"model_id": model_id, "current_version": version})
    else:
        say(f"{model_id} now means {model_id}@{version}.")
