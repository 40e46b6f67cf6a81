"""Models that people already have become versions: recognised, converted, registered."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vsat.bundle import MANIFEST_NAME, Bundle, read_bundle
from vsat.convert.candidate import FROM_YOU, Candidate, Wishes
from vsat.convert.conversion import Fact
from vsat.convert.packing import read_hub_folder
from vsat.convert.reading import unpack_archive
from vsat.errors import MissingExtraError, UsageError
from vsat.files import STAGING_PREFIX, check_name, make_folders, map_os_errors
from vsat.registry import ModelRegistry

ARCHIVE_SUFFIX, GRAPH_SUFFIX = ".vsat", ".onnx"
CHECKPOINT_SUFFIXES = {".pt", ".pth", ".th", ".bin", ".ckpt", ".safetensors"}
BUNDLE = "vsat bundle"


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
    before_registering: Callable[[Bundle], None] | None = None,
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
        before_registering: called with the bundle of a version that is new, before it is one; what
            it raises prevents that. A bare graph becomes a bundle only when it is registered.

    Raises:
        ConversionError: it is of no known family, incomplete, or with parts left over.
        UnsafeFileError: it holds more than a model has to.
        UsageError: there is nothing, the id can't be one, or nothing says the sample rate.
        BundleError: it is a bundle, and not a whole one.
        SelfTestError: it would become current and doesn't work.
        StorageError: the disk is full, read-only or out of reach.
    """
    if not path.exists():
        raise UsageError(f"There is nothing at {path}.", hint="Check the path.")
    if model_id is not None:
        check_name(model_id)
    wishes = Wishes(model_id, sample_rate, licence, dict(metadata or {}))
    with _staging(registry.home) as staging:
        candidate = _candidate(path, wishes, staging)
        there = _same_content(candidate, registry)
        if before_registering and candidate.digest and there is None:
            before_registering(read_bundle(candidate.place))
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


def _candidate(path: Path, wishes: Wishes, staging: Path) -> Candidate:
    suffix = path.suffix.lower() if path.is_file() else ""
    if path.is_dir() and (path / MANIFEST_NAME).exists():
        (staging / "bundle").mkdir()
        return _bundle(read_hub_folder(path, staging / "bundle"), wishes)
    if suffix == ARCHIVE_SUFFIX:
        return _bundle(unpack_archive(path, staging), wishes)
    graph = path if suffix == GRAPH_SUFFIX else _only_graph(path)
    with _needing_extra():
        if graph:
            from vsat.convert.bare_graph import describe_graph

            return describe_graph(graph, wishes, staging)
        from vsat.convert.converting import convert
    return convert(path, wishes, staging)


@contextmanager
def _needing_extra() -> Iterator[None]:
    """What reads other projects' models is loaded when there is one: it is large, and an extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"Converting models needs {error.name}, which is not installed.",
            hint="Run: pip install 'vsat[convert]'",
        ) from error


def _only_graph(folder: Path) -> Path | None:
    """The graph of a folder that holds one, and no checkpoint that would be worth more."""
    if not folder.is_dir():
        return None
    graphs = [path for path in folder.iterdir() if path.suffix.lower() == GRAPH_SUFFIX]
    others = any(path.suffix.lower() in CHECKPOINT_SUFFIXES for path in folder.iterdir())
    return graphs[0] if len(graphs) == 1 and not others else None


def _bundle(folder: Path, wishes: Wishes) -> Candidate:
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
    return Candidate(
        model_id=wishes.model_id or check_name(manifest.id),
        place=folder,
        digest=manifest.digest,
        metadata={**manifest.metadata, **wishes.metadata},
        family=BUNDLE,
        sample_rate=Fact(manifest.sample_rate, found_in["sample_rate"]),
        sources=Fact(manifest.sources, MANIFEST_NAME),
        licence=Fact(licence, found_in["licence"]) if licence else None,
    )


def _same_content(candidate: Candidate, registry: ModelRegistry) -> int | None:
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
