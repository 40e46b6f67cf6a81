"""`vsat testset`: recordings that versions are judged on, and that stay what they are."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsat.cli.application import Invocation
from vsat.cli.failures import NOT_TRUSTED
from vsat.cli.meter import meter
from vsat.cli.output import json_option, print_fields, print_json, print_table, say

if TYPE_CHECKING:
    from vsat.evaluation import Pinned


@click.group(short_help="Pin recordings that versions are judged on.")
def testset() -> None:
    """Keep test sets: recordings whose digests are noted, so that a changed file is noticed."""


@testset.command()
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--voices", is_flag=True, help="The folder holds single voices: mix them.")
@click.option(
    "--count", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Of mixtures."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of their draw.")
@json_option
@click.pass_obj
def add(
    invocation: Invocation,
    name: str,
    folder: Path,
    voices: bool,
    count: int,
    seed: int,
    as_json: bool,
) -> None:
    """Make the test set NAME of the recordings in FOLDER.

    References are found by the usual layouts: mix/ beside s1/ and s2/ with the same file names, or
    talk.wav beside talk.s1.wav and talk.s2.wav. With --voices, recordings of one voice each (a
    folder for each speaker, or a file) are mixed by the seed, the same every time.
    """
    from vsat.evaluation.pinned import pin

    with meter("Pinning") as progress:
        made = pin(
            invocation.registry(),
            name,
            folder,
            voices=voices,
            count=count,
            seed=seed,
            progress=progress,
        )
    if as_json:
        print_json(_document(made))
    else:
        say(f"{name}: {_size(made)}. Try: vsat evaluate ID --on {name}")


@testset.command("list")
@json_option
@click.pass_obj
def list_(invocation: Invocation, as_json: bool) -> None:
    """List the test sets."""
    from vsat.evaluation.pinned import all_pinned

    found = all_pinned(invocation.registry())
    if as_json:
        print_json([_document(one) for one in found])
    elif not found:
        say("There is none yet. Try: vsat testset add NAME FOLDER")
    else:
        rows = [(one.name, _size(one), one.created_at[:10], one.folder) for one in found]
        print_table(("name", "recordings", "pinned", "folder"), rows)


@testset.command()
@click.argument("name")
@json_option
@click.pass_obj
def show(invocation: Invocation, name: str, as_json: bool) -> int:
    """Show a test set, and whether its files are still what they were."""
    from vsat.evaluation.pinned import changed, pinned

    found = pinned(invocation.registry(), name)
    with meter("Comparing digests") as progress:
        problems = changed(found, progress)
    if as_json:
        print_json(_document(found) | {"changed": problems})
    else:
        print_fields(
            {
                "test set": found.name,
                "recordings": _size(found),
                "pinned": found.created_at,
                "folder": found.folder,
                "fingerprint": found.fingerprint,
            }
        )
        for problem in problems:
            click.echo(f"changed  {problem}")
    return NOT_TRUSTED if problems else 0


@testset.command()
@click.argument("name")
@json_option
@click.pass_obj
def rm(invocation: Invocation, name: str, as_json: bool) -> None:
    """Forget a test set. Its recordings stay, and so do the scores on them."""
    invocation.registry().evaluations.unpin(name)
    if as_json:
        print_json({"removed": name})
    else:
        say(f"The test set {name} is forgotten; its recordings are where they were.")


def _size(test_set: "Pinned") -> str:
    known = "with references" if test_set.has_references else "without references"
    if any(example.parts for example in test_set.examples):
        known = "mixed from single voices"
    return f"{len(test_set.examples)} {known}"


def _document(test_set: "Pinned") -> dict[str, Any]:
    return {
        "name": test_set.name,
        "folder": str(test_set.folder),
        "fingerprint": test_set.fingerprint,
        "created_at": test_set.created_at,
        "recordings": [example.name for example in test_set.examples],
        "has_references": test_set.has_references,
    }
