"""`vsat search`: well-known models, from the catalogue that ships with vsat."""

from dataclasses import asdict

import click

from vsat.cli.output import json_option, print_json, print_table, say


@click.command(short_help="Find a well-known model by a word.")
@click.argument("word", default="")
@click.option(
    "--rate", "sample_rate", type=click.IntRange(min=1), metavar="HZ", help="Of this sample rate."
)
@click.option("--sources", type=click.IntRange(min=1), help="That give so many voices.")
@click.option("--licence", help="Under this licence, for example apache-2.0.")
@json_option
def search(
    word: str, sample_rate: int | None, sources: int | None, licence: str | None, as_json: bool
) -> None:
    """List published models whose name, address, family or test set has WORD in it, the best first.

    Without WORD, list all. It asks no server. Scores are those that were published: what a model
    gives on your recordings may differ, and scores on different test sets can't be compared.
    """
    from vsat.convert.catalogue import search_catalogue

    found = search_catalogue(word, sample_rate=sample_rate, sources=sources, licence=licence)
    if as_json:
        print_json([asdict(entry) for entry in found])
        return
    if not found:
        say("The catalogue has no such model. Without WORD and options, vsat search lists it all.")
        return
    rows = [
        (
            entry.address,
            entry.score and f"{entry.score.db:.1f} dB {entry.score.measure}",
            entry.score and entry.score.data,
            f"{entry.sample_rate} Hz",
            entry.sources,
            entry.size_mb and f"{entry.size_mb:g} MB",
            entry.licence,
        )
        for entry in found
    ]
    header = ("address", "published", "on", "rate", "sources", "size", "licence")
    print_table(header, rows, right="published rate sources size")
    say("Get one with: vsat pull ADDRESS")
