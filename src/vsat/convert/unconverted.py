"""Published files that are registered as they are: vsat's own bundles, and bare ONNX graphs."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vsat.bundle import CARD_NAME, MANIFEST_NAME, read_bundle
from vsat.convert.card import CardFacts, read_card
from vsat.convert.packing import read_hub_folder
from vsat.errors import ConversionError
from vsat.files import map_os_errors
from vsat.registry import ModelRegistry


def register_unconverted(
    path: Path,
    registry: ModelRegistry,
    model_id: str | None = None,
    *,
    sample_rate: int | None = None,
    licence: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> int:
    """Register a folder of files that need no conversion; return the version's number.

    Args:
        path: a folder with `model.json`, as `vsat export` writes it, or with one .onnx file.
        registry: where it is registered.
        model_id: None for the bundle's own id, or the graph's name.
        sample_rate: Hz; goes before what the files say.
        licence: goes before what the files say.
        metadata: is added to what the bundle has.

    Raises:
        ConversionError: it is neither, or nothing says the graph's sample rate.
        BundleError: the bundle is not whole.
        VsatError: whatever `ModelRegistry.register_model` raises.
    """
    said = {"sample_rate": sample_rate, "licence": licence}
    given = {key: value for key, value in said.items() if value is not None}
    if (path / MANIFEST_NAME).is_file():
        return _register_bundle(path, registry, model_id, given, dict(metadata or {}))
    graphs = sorted(path.glob("*.onnx"))
    if len(graphs) == 1:
        facts = {**_facts_of(path), **given, **(metadata or {})}
        return _register_graph(graphs[0], registry, model_id, facts)
    raise ConversionError(
        f"{path} holds neither a bundle nor one ONNX graph.",
        hint="Name a folder that `vsat export` wrote, or one with a single .onnx file.",
    )


def _register_bundle(
    path: Path,
    registry: ModelRegistry,
    model_id: str | None,
    given: Mapping[str, Any],
    metadata: dict[str, Any],
) -> int:
    with TemporaryDirectory(prefix="vsat-bundle-") as place:
        folder = read_hub_folder(path, Path(place))
        manifest = read_bundle(folder).manifest
        kept = {**manifest.metadata, **metadata}
        if given:
            (folder / MANIFEST_NAME).write_bytes(replace(manifest, **given).to_json())
        return registry.register_model(model_id or manifest.id, folder, kept)


def _register_graph(
    graph: Path, registry: ModelRegistry, model_id: str | None, facts: dict[str, Any]
) -> int:
    if "sample_rate" not in facts:
        raise ConversionError(
            f"Nothing says the sample rate of {graph.name}.", hint="Say it with --rate HZ."
        )
    return registry.register_model(model_id or graph.stem, graph, facts)


def _facts_of(folder: Path) -> dict[str, Any]:
    """Sample rate and licence, as far as the card says them."""
    card = folder / CARD_NAME
    facts = CardFacts()
    if card.is_file():
        with map_os_errors(f"reading {card}"):
            facts = read_card(card.read_text(encoding="utf-8", errors="replace"))
    found = {"sample_rate": facts.sample_rate, "licence": facts.licence}
    return {key: fact.value for key, fact in found.items() if fact is not None}
