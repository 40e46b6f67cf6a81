"""`vsat pull`: a model from a hub becomes a version."""

from functools import partial

import click

from vsat.cli.application import Invocation
from vsat.cli.importing import Check, as_document, no_check_option, show
from vsat.cli.meter import meter
from vsat.cli.output import json_option, print_json, say, warn
from vsat.cli.registering import say_whether_current


@click.command(short_help="Get a model from a hub.")
@click.argument("reference", metavar="hf:ORG/NAME[@REVISION]")
@click.option("--as", "model_id", metavar="ID", help="Its id here; the NAME unless you say.")
@click.option(
    "--rate",
    "sample_rate",
    type=click.IntRange(min=1),
    metavar="HZ",
    help="Its sample rate, where nothing says it or what says it is wrong.",
)
@click.option("--licence", help="For example Apache-2.0, where nothing says it.")
@no_check_option
@json_option
@click.pass_obj
def pull(
    invocation: Invocation,
    reference: str,
    model_id: str | None,
    sample_rate: int | None,
    licence: str | None,
    no_check: bool,
    as_json: bool,
) -> None:
    """Fetch a model from a repository on a hub and register it as the next version of ID.

    Only the files of one model are fetched, through the cache of huggingface_hub; the token, the
    mirror and the offline mode that you set for it (HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE) hold
    here too. The version remembers the repository and the commit.
    """
    from vsat.updates.pull import pull as pull_from_hub  # first: says which extra is missing

    from vsat.convert.importing import import_model  # isort: skip

    registry = invocation.registry()
    check = Check(registry, skipped=no_check)
    with meter("Fetching") as progress:
        done = pull_from_hub(
            reference,
            registry,
            partial(import_model, before_registering=check.before_registering),
            model_id=model_id,
            sample_rate=sample_rate,
            licence=licence,
            progress=progress,
        )
    imported = done.imported
    record = registry.resolve(imported.model_id, imported.version)
    if done.from_cache:
        warn("The hub gave no answer; this is what was fetched before.")
    found = check.after(imported)
    if as_json:
        print_json(
            as_document(imported, found)
            | {"is_current": record.is_current, "from_cache": done.from_cache}
            | done.origin.as_metadata()
        )
        return
    show(imported, found)
    say(f"From {done.origin.reference}, commit {done.origin.commit[:12]}.")
    say_whether_current(record)
