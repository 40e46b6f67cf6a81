"""`vsat models`, `show` and `history`: what there is, and what was done."""

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
from vsat.errors import BundleError

if TYPE_CHECKING:
    from vsat.bundle import Manifest
    from vsat.registry import ModelRegistry, VersionRecord


SHOWN_ALREADY = {"description", "licence", "sample_rate", "sources", "task"}  # of the metadata


@click.command(short_help="List the models.")
@json_option
@click.pass_obj
def models(invocation: Invocation, as_json: bool) -> None:
    """List the models, the version of each that is current, and how many there are."""
    found = invocation.registry().list_models()
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


@click.command(short_help="Show a model or a version.")
@click.argument("model", metavar="ID[@VERSION]")
@json_option
@click.pass_obj
def show(invocation: Invocation, model: str, as_json: bool) -> None:
    """Show what is known of a version; without one, of the current one, and list all."""
    registry = invocation.registry()
    record = registry.resolve(model)
    manifest = _manifest(registry, record)
    versions = [] if "@" in model else registry.records(record.model_id)
    if as_json:
        listed = [{"version": other.version, "created_at": other.created_at} for other in versions]
        print_json(_details(record, manifest) | {"versions": listed})
        return
    print_fields(_fields(record, manifest))
    if len(versions) > 1:
        click.echo()
        _print_versions(versions)


def _manifest(registry: "ModelRegistry", record: "VersionRecord") -> "Manifest | None":
    """What the version's own folder says of it; a damaged one is still shown, with a warning."""
    try:
        return registry.get_bundle(record.model_id, record.version).manifest
    except BundleError as error:
        warn(f"{error.message} Run: vsat verify {record.model_id}")
        return None


def _details(record: "VersionRecord", manifest: "Manifest | None") -> dict[str, Any]:
    details: dict[str, Any] = {
        "model_id": record.model_id,
        "version": record.version,
        "is_current": record.is_current,
        "task": record.task,
        "sample_rate": record.sample_rate,
        "sources": record.sources,
        "created_at": record.created_at,
        "size_bytes": record.size_bytes,
        "digest": record.digest,
        "path": str(record.path),
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
        + (" (current)" if record.is_current else ""),
        "description": details.get("description"),
        "task": record.task,
        "sample rate": record.sample_rate and f"{record.sample_rate} Hz",
        "sources": record.sources,
        "licence": details.get("licence"),
        "architecture": architecture and architecture["name"],
        "tuned from": lineage and lineage["base"],
        "registered": record.created_at,
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
    rows = []
    for record in records:
        is_current = "current" if record.is_current else ""
        description = str(record.metadata.get("description", "")).split("\n")[0][:60]
        size = size_text(record.size_bytes)
        rows.append((record.version, is_current, record.created_at, size, description))
    print_table(("version", "", "registered", "size", "description"), rows, right="version size")


@click.command(short_help="Show what was current when, and why.")
@click.argument("model", metavar="[ID]", required=False)
@json_option
@click.pass_obj
def history(invocation: Invocation, model: str | None, as_json: bool) -> None:
    """Show what was done, of one model or of all: the oldest first."""
    events = invocation.registry().history(model)
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
