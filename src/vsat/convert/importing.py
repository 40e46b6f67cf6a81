"""Models that people already have become versions: recognised, converted, registered."""

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from vsat.assembly import export_bundle
from vsat.bundle import CARD_NAME, MANIFEST_NAME, SEPARATION, Manifest, read_bundle
from vsat.convert.card import CardFacts, read_card
from vsat.convert.conversion import Conversion, Fact
from vsat.convert.families import recognise
from vsat.convert.packing import read_hub_folder
from vsat.convert.reading import check_graph, read_checkpoint, unpack_archive
from vsat.errors import ConversionError, UsageError
from vsat.files import STAGING_PREFIX, check_name, make_folders, map_os_errors, sha256_of
from vsat.networks import build
from vsat.registry import ModelRegistry

ARCHIVE_SUFFIX, GRAPH_SUFFIX = ".vsat", ".onnx"
CHECKPOINT_SUFFIXES = {".pt", ".pth", ".th", ".bin", ".ckpt", ".safetensors"}
MEANINGLESS = {"pytorch_model", "model", "best_model", "checkpoint", "best", "last", "weights"}
MAX_DERIVED_ID = 80  # characters of an id that is made of a file's name
FROM_YOU = "you"
BUNDLE, GRAPH = "vsat bundle", "ONNX graph"


@dataclass(frozen=True)
class Imported:
    """A version that came in, and what was found out on the way.

    Attributes:
        model_id: of the version.
        version: its number.
        is_new: False where a version of the same content was there already; then it is that one.
        family: as people call it.
        sample_rate: Hz, and where it was found.
        sources: how many voices it gives, and where that was found.
        licence: None where nothing says.
        warnings: what the person should know, full sentences.
    """

    model_id: str
    version: int
    is_new: bool
    family: str
    sample_rate: Fact
    sources: Fact
    licence: Fact | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wishes:
    """What the person says of a model; it goes before what its files say.

    Attributes:
        model_id: None for one that is made of the file's name.
        sample_rate: in Hz.
        licence: for example Apache-2.0.
        metadata: kept with the version.
    """

    model_id: str | None = None
    sample_rate: int | None = None
    licence: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Candidate:
    """What can be registered: a bundle's folder or a bare graph, and what is known of it."""

    model_id: str
    place: Path
    digest: str | None  # of a bundle's content
    metadata: dict[str, Any]
    family: str
    sample_rate: Fact
    sources: Fact
    licence: Fact | None
    warnings: tuple[str, ...] = ()


def import_model(
    path: Path,
    registry: ModelRegistry,
    model_id: str | None = None,
    *,
    sample_rate: int | None = None,
    licence: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    make_current: bool = False,
    because: str = "",
) -> Imported:
    """Register a published model: a checkpoint, a folder of a hub, a bundle, `.vsat` or ONNX.

    Nothing in it is run on the way, and what it is shows in its content, not in its name. Nothing
    is registered unless all of it is understood.

    Args:
        path: a file or a folder.
        registry: where it becomes a version.
        model_id: None for one that is made of the file's name.
        sample_rate: in Hz; goes before what the files say.
        licence: goes before what the files say.
        metadata: is kept with the version.
        make_current: make it the current version in the same step.
        because: why, for the history.

    Raises:
        ConversionError: it is of no known family, incomplete, or with parts left over.
        UnsafeFileError: it holds more than a model has to.
        UsageError: there is nothing, or the sample rate is neither stated nor given.
        BundleError: it is a bundle, and not a whole one.
        SelfTestError: it would become current and doesn't work.
        StorageError: the disk is full, read-only or out of reach.
    """
    if not path.exists():
        raise UsageError(f"There is nothing at {path}.", hint="Check the path.")
    wishes = Wishes(model_id, sample_rate, licence, dict(metadata or {}))
    with _staging(registry.home) as staging:
        candidate = _candidate(path, wishes, staging)
        there = _same_content(candidate, registry)
        version = there or registry.register_model(
            candidate.model_id,
            candidate.place,
            candidate.metadata,
            make_current=make_current,
            because=because or f"imported from {path.name}",
        )
    return Imported(
        candidate.model_id,
        version,
        there is None,
        candidate.family,
        candidate.sample_rate,
        candidate.sources,
        candidate.licence,
        candidate.warnings,
    )


def id_from(path: Path) -> str:
    """A model id made of the name of a file or folder, or of its folder's where that says nothing.

    >>> id_from(Path("ConvTasNet (best).pth")), id_from(Path("tiger-speech/model.safetensors"))
    ('ConvTasNet_best', 'tiger-speech')

    Raises:
        UsageError: no id can be made of it.
    """
    for part in (path, path.absolute().parent):
        stem = part.name if part.is_dir() else part.name.partition(".")[0]
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_-")[:MAX_DERIVED_ID]
        if name and name.lower() not in MEANINGLESS:
            return check_name(name)
    raise UsageError(f"The name of {path} makes no model id.", hint="Choose one with --as ID.")


def _candidate(path: Path, wishes: Wishes, staging: Path) -> _Candidate:
    suffix = path.suffix.lower() if path.is_file() else ""
    if path.is_dir() and (path / MANIFEST_NAME).exists():
        (staging / "bundle").mkdir()
        return _bundle(read_hub_folder(path, staging / "bundle"), wishes)
    if suffix == ARCHIVE_SUFFIX:
        return _bundle(unpack_archive(path, staging), wishes)
    if graph := path if suffix == GRAPH_SUFFIX else _only_graph(path):
        return _graph(graph, wishes, staging)
    return _converted(path, wishes, staging)


def _only_graph(folder: Path) -> Path | None:
    """The graph of a folder that holds one, and no checkpoint that would be worth more."""
    if not folder.is_dir():
        return None
    graphs = [path for path in folder.iterdir() if path.suffix.lower() == GRAPH_SUFFIX]
    others = any(path.suffix.lower() in CHECKPOINT_SUFFIXES for path in folder.iterdir())
    return graphs[0] if len(graphs) == 1 and not others else None


def _bundle(folder: Path, wishes: Wishes) -> _Candidate:
    """A bundle in the staging folder; what the person says is written into its manifest."""
    said = {"sample_rate": wishes.sample_rate, "licence": wishes.licence}
    given: dict[str, Any] = {key: value for key, value in said.items() if value is not None}
    manifest = read_bundle(folder, verify=True).manifest
    if given:
        manifest = replace(manifest, **given)
        (folder / MANIFEST_NAME).unlink()
        (folder / MANIFEST_NAME).write_bytes(manifest.to_json())
    found_in = {key: FROM_YOU if key in given else MANIFEST_NAME for key in said}
    licence = manifest.licence
    return _Candidate(
        model_id=check_name(wishes.model_id or manifest.id),
        place=folder,
        digest=manifest.digest,
        metadata={**manifest.metadata, **wishes.metadata},
        family=BUNDLE,
        sample_rate=Fact(manifest.sample_rate, found_in["sample_rate"]),
        sources=Fact(manifest.sources, MANIFEST_NAME),
        licence=Fact(licence, found_in["licence"]) if licence else None,
    )


def _graph(path: Path, wishes: Wishes, staging: Path) -> _Candidate:
    facts = check_graph(path, staging)
    if facts.has_channel_axis:
        raise ConversionError(
            f"{path} takes (batch, 1, samples), and vsat's engines give (batch, samples).",
            hint="Export it again with an input of two axes.",
        )
    card = _card_beside(path)
    sample_rate = _stated(card.sample_rate, wishes.sample_rate)
    if sample_rate is None:
        raise _no_rate(GRAPH)
    sources = Fact(facts.sources, "its output") if facts.sources else card.sources
    if sources is None:
        raise ConversionError(
            f"Nothing says how many voices {path} gives.",
            hint="Register it with `vsat register ID PATH --sources N --sample-rate HZ`.",
        )
    licence = _stated(card.licence, wishes.licence)
    metadata = {"origin": _origin_of(path), **wishes.metadata}
    metadata |= {"sample_rate": sample_rate.value, "sources": sources.value}
    if licence:
        metadata["licence"] = licence.value
    name = check_name(wishes.model_id or id_from(path))
    return _Candidate(name, path, None, metadata, GRAPH, sample_rate, sources, licence)


def _converted(path: Path, wishes: Wishes, staging: Path) -> _Candidate:
    name = check_name(wishes.model_id or id_from(path))
    checkpoint = read_checkpoint(path, staging)
    found = recognise(checkpoint)
    card = read_card(checkpoint.card)
    stated = found.sample_rate if found.sample_rate.value is not None else card.sample_rate
    sample_rate = _stated(stated, wishes.sample_rate)
    if sample_rate is None:
        raise _no_rate(found.family)
    licence = _stated(found.licence or card.licence, wishes.licence)
    manifest = Manifest(
        id=name,
        version=1,
        task=SEPARATION,
        sample_rate=sample_rate.value,
        sources=found.sources.value,
        architecture=found.architecture,
        licence=licence.value if licence else None,
        description=f"{found.family}, imported from {path.name}",
        metadata={"origin": _origin_of(path), "family": found.family, **wishes.metadata},
    )
    bundle = export_bundle(
        _network(found, path), manifest, staging / "bundle", card=checkpoint.card, quantise=False
    )
    return _Candidate(
        name, bundle.path, bundle.manifest.digest, manifest.metadata, found.family, sample_rate,
        found.sources, licence, found.warnings,
    )  # fmt: skip


def _stated(found: Fact | None, said: object) -> Fact | None:
    """What the person says, else what was found."""
    return Fact(said, FROM_YOU) if said is not None else found


def _no_rate(family: str) -> UsageError:
    return UsageError(
        f"This {family} does not say its sample rate.",
        hint="Give it in Hz, for example --rate 8000; the model's card usually names it.",
    )


def _card_beside(path: Path) -> CardFacts:
    card = path.parent / CARD_NAME
    if not card.is_file():
        return CardFacts()
    with map_os_errors(f"reading {card}"):
        return read_card(card.read_text(encoding="utf-8", errors="replace"))


def _network(found: Conversion, path: Path) -> torch.nn.Module:
    network = build(found.architecture.name, found.architecture.parameters)
    tensors = {key: torch.from_numpy(value.copy()) for key, value in found.tensors.items()}
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise ConversionError(
            f"The weights of {path} don't fit a {found.family}: {error}",
            hint="Get the file again; if it is whole, it is of a variant that vsat doesn't know.",
        ) from error
    return network


def _origin_of(path: Path) -> dict[str, str]:
    """Where a version was made from, as its metadata keep it."""
    origin = {"path": str(path.absolute())}
    return {**origin, "sha256": sha256_of(path)} if path.is_file() else origin


def _same_content(candidate: _Candidate, registry: ModelRegistry) -> int | None:
    """The number of the newest version of this model with the same content, if there is one."""
    if candidate.digest is None or candidate.model_id not in registry.list_models():
        return None
    of_content = f'digest = "{candidate.digest}"'
    there = registry.find_versions(of_content, model_id=candidate.model_id)
    return there[-1].version if there else None


@contextmanager
def _staging(home: Path) -> Iterator[Path]:
    """A folder beside the versions, under a name that says it is unfinished; gone at the end."""
    with map_os_errors(f"preparing an import in {home}"):
        make_folders(home)
    with tempfile.TemporaryDirectory(prefix=STAGING_PREFIX, dir=home) as folder:
        yield Path(folder)
