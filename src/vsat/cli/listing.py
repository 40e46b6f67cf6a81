"""`vsat models`, `show` and `history`: what there is, and what was done."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from vsat.cli.application import Invocation
from vsat.cli.output import (
    json_option,
    print_fields,
    print_json,
    print_table,
    say,
    size_text,
    warn,
)
from vsat.errors import BundleError, ModelNotFoundError

if TYPE_CHECKING:
    from vsat.bundle import Manifest
    from vsat.registry import ModelRegistry, VersionRecord


SHOWN_ALREADY = {"description", "licence", "sample_rate", "sources", "task"}  # of the metadata


limit_option: Callable[[Any], Any] = click.option(
    "--limit", type=click.IntRange(min=0), help="At most so many."
)
offset_option: Callable[[Any], Any] = click.option(
    "--offset", type=click.IntRange(min=0), default=0, help="Leave out so many before."
)


@click.command(short_help="List the models, or the versions that pass a filter.")
@click.option(
    "--filter",
    "filter_text",
    metavar="TEXT",
    help="Versions of which this is so, such as 'tuned and val_si_sdr_db > 8'.",
)
@click.option(
    "--on", "test_set", metavar="NAME", help="Rank versions by what they scored on a test set."
)
@limit_option
@offset_option
@json_option
@click.pass_obj
def models(
    invocation: Invocation,
    filter_text: str | None,
    test_set: str | None,
    limit: int | None,
    offset: int,
    as_json: bool,
) -> None:
    """List the models, the version of each that is current, and how many there are.

    With --filter, list versions instead. It compares (= != < <= > >=) a number, true, false or text
    with id, version, task, sample_rate, sources, size_bytes, created_at, digest, origin, state or
    any key of the metadata; tuned, current, quarantined, or a key alone, stand for themselves; and,
    or, not and brackets combine.
    """
    registry = invocation.registry()
    if test_set is not None:
        from vsat.cli.ranking import show_ranking  # only here: it loads what measures

        show_ranking(registry, test_set, filter_text, limit=limit, offset=offset, as_json=as_json)
        return
    if filter_text is not None:
        versions = registry.find_versions(filter_text, limit=limit, offset=offset)
        _list_versions(versions, as_json=as_json)
        return
    found = registry.list_models(limit=limit, offset=offset)
    if as_json:
        print_json(found)
    elif not found:
        say("No model is registered yet. `vsat separate FILE` registers the one that came along.")
    else:
        rows = [
            (model_id, entry["current_version"], entry["versions_count"])
            for model_id, entry in found.items()
        ]
        print_table(("model", "current", "versions"), rows, right="current versions")


def _list_versions(records: "list[VersionRecord]", *, as_json: bool) -> None:
    if as_json:
        print_json([_details(record, None) for record in records])
        return
    if not records:
        say("No version is like that.")
        return
    rows = [(record.model_id, *_row(record)) for record in records]
    header = ("model", "version", "", "registered", "size", "description")
    print_table(header, rows, right="version size")


@click.command(short_help="Show a model or a version.")
@click.argument("model", metavar="ID[@VERSION]")
@click.option("--at", metavar="DATE", help="The version that was current then (UTC).")
@json_option
@click.pass_obj
def show(invocation: Invocation, model: str, at: str | None, as_json: bool) -> None:
    """Show what is known of a version; without one, of the current one, and list all.

    With --at 2026-03-01, show the version that was current at the end of that day; a time such as
    2026-03-01T12:30 will do too.
    """
    registry = invocation.registry()
    record = registry.resolve(model) if at is None else _record_at(registry, model, at)
    manifest = _manifest(registry, record)
    versions = [] if "@" in model or at else registry.records(record.model_id)
    measured = registry.measurements(record.digest)
    if as_json:
        listed = [{"version": other.version, "created_at": other.created_at} for other in versions]
        print_json(_details(record, manifest) | {"versions": listed, "measured": measured})
        return
    figures = {f"measured {key}": f"{value:.6g}" for key, value in measured.items()}
    print_fields(_fields(record, manifest) | figures)
    if len(versions) > 1:
        click.echo()
        _print_versions(versions)


def _record_at(registry: "ModelRegistry", model: str, at: str) -> "VersionRecord":
    version = registry.version_at(model, at)
    try:
        return registry.resolve(model, version)
    except ModelNotFoundError as error:
        raise ModelNotFoundError(
            f"{model}@{version} was current at {at}; it has been deleted since.",
            hint=f"Run `vsat history {model}@{version}` for when and why.",
        ) from error


def _manifest(registry: "ModelRegistry", record: "VersionRecord") -> "Manifest | None":
    """What the version's own folder says of it; a damaged one is still shown, with a warning."""
    try:
        return registry.get_bundle(record.model_id, record.version).manifest
    except BundleError as error:
        warn(f"{error.message} Run: vsat repair {record.model_id}@{record.version}")
        return None


def _details(record: "VersionRecord", manifest: "Manifest | None") -> dict[str, Any]:
    details: dict[str, Any] = {
        "model_id": record.model_id,
        "version": record.version,
        "is_current": record.is_current,
        "state": record.state,
        "task": record.task,
        "sample_rate": record.sample_rate,
        "sources": record.sources,
        "created_at": record.created_at,
        "size_bytes": record.size_bytes,
        "digest": record.digest,
        "path": str(record.path),
        "came_from": record.came_from,
        "metadata": record.metadata,
    }
    if manifest is None:
        return details
    architecture = manifest.architecture
    return details | {
        "description": manifest.description,
        "licence": manifest.licence,
        "architecture": architecture
        and {"name": architecture.name, "parameters": architecture.parameters},
        "lineage": manifest.lineage,
        "files": {
            name: {"sha256": file.sha256, "bytes": file.bytes}
            for name, file in manifest.files.items()
        },
    }


def _fields(record: "VersionRecord", manifest: "Manifest | None") -> dict[str, object]:
    details = _details(record, manifest)
    architecture = details.get("architecture")
    lineage = details.get("lineage")
    return {
        "model": f"{record.model_id}@{record.version}"
        + (f" ({marks})" if (marks := _marks(record)) else ""),
        "description": details.get("description"),
        "task": record.task,
        "sample rate": record.sample_rate and f"{record.sample_rate} Hz",
        "sources": record.sources,
        "licence": details.get("licence"),
        "architecture": architecture and architecture["name"],
        "tuned from": lineage and lineage["base"],
        "registered": record.created_at,
        "came from": record.came_from,
        "size": size_text(record.size_bytes),
        "files": ", ".join(details.get("files", {})),
        "folder": record.path,
        "digest": record.digest,
        **{
            f"metadata {key}": value
            for key, value in record.metadata.items()
            if key not in SHOWN_ALREADY
        },
    }


def _print_versions(records: "list[VersionRecord]") -> None:
    rows = [_row(record) for record in records]
    print_table(("version", "", "registered", "size", "description"), rows, right="version size")


def _row(record: "VersionRecord") -> tuple[object, ...]:
    description = str(record.metadata.get("description", "")).split("\n")[0][:60]
    size = size_text(record.size_bytes)
    return record.version, _marks(record), record.created_at, size, description


def _marks(record: "VersionRecord") -> str:
    marks = {"current": record.is_current, "damaged": record.is_quarantined}
    return ", ".join(mark for mark, holds in marks.items() if holds)


@click.command(short_help="Show what was current when, and why.")
@click.argument("model", metavar="[ID[@VERSION]]", required=False)
@click.option("--since", metavar="DATE", help="Not before then, such as 2026-03-01 (UTC).")
@limit_option
@offset_option
@json_option
@click.pass_obj
def history(
    invocation: Invocation,
    model: str | None,
    since: str | None,
    limit: int | None,
    offset: int,
    as_json: bool,
) -> None:
    """Show what was done, of one model or of all: the oldest first.

    With --limit, the newest so many; with --offset, these before the newest so many.
    """
    registry = invocation.registry()
    events = registry.history(model, since=since, limit=limit, offset=offset)
    if as_json:
        print_json(events)
        return
    if not events:
        say("Nothing has happened yet.")
        return
    rows = [
        (
            event["at"],
            f"{event['model_id']}@{event['version']}",
            event["action"],
            event["previous"],
            event["because"],
            event["by"],
        )
        for event in events
    ]
    print_table(("at", "version", "action", "current before", "because", "by"), rows)
