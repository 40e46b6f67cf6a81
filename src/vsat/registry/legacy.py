"""A registry in the old JSON form is taken over once, and is left as it was.

    {"id": {"versions": [{"version", "path", "metadata", "created_at"}, ...],
            "current_version": ..., "created_at": ...}, ...}

Versions keep their numbers where these are free. An ONNX graph whose metadata give its sample rate
and that passes the self-test becomes a separation model; any other file is kept as opaque.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vsat.bundle import OTHER, strict_json
from vsat.errors import EngineError, RegistryError, StorageError, UsageError, VsatError
from vsat.files import check_name, map_os_errors, open_regular
from vsat.registry import catalogue, timeline
from vsat.registry.intake import checked_metadata, read_submission
from vsat.registry.records import Change, time_text
from vsat.registry.shelf import Shelf, Terms

OLD_NAME = "registry.json"
ORIGIN = "import"
MAX_BYTES = 64 << 20  # of the old registry; it holds a few hundred bytes a version
MAX_NUMBER = 1_000_000  # a higher one in the old form is not kept


@dataclass(frozen=True)
class Imported:
    """What became of one version of the old registry.

    Attributes:
        model_id: as it was written there.
        old_version: as it was written there.
        version: its number now; None if it could not be imported.
        problem: why not; empty if it was.
    """

    model_id: str
    old_version: object
    version: int | None
    problem: str = ""


def locate(path: Path) -> tuple[Path | None, Path]:
    """The old registry that a path names or holds, if there is one, and the home."""
    if path.suffix.lower() == ".json" and not path.is_dir():
        return (path if path.exists() else None), path.parent
    old = path / OLD_NAME
    return (old if old.is_file() else None), path


def import_once(path: Path, shelf: Shelf, change: Change, *, named: bool) -> list[Imported]:
    """Take over an old registry, unless it was taken over before as it is now.

    What can't be imported is logged and doesn't prevent the rest; where the home can't be written
    nothing happens.

    Args:
        path: the file.
        shelf: where its models go.
        change: what the history says of them.
        named: whether a person named the file; one only found in the home may be another's.

    Raises:
        RegistryError: the file was named and is not a registry in the old form.
        StorageError: the disk is full or out of reach.
    """
    with map_os_errors(f"reading {path}"), open_regular(path) as file:
        content = file.read(MAX_BYTES + 1)
    digest = hashlib.sha256(content).hexdigest()
    statement = "SELECT 1 FROM arrivals WHERE kind = ? AND digest = ?"
    if shelf.store.row(statement, (ORIGIN, digest)) or not shelf.store.writable:
        return []
    try:
        document = parse_old(content, path)
    except RegistryError as error:
        if named:
            raise
        _log(error.message)
        return []
    outcome = list(_import_models(document, path.parent, shelf, change))
    with shelf.store.writing() as connection:
        catalogue.note_arrival(connection, ORIGIN, digest, change.at)
    for one in outcome:
        if one.problem:
            what = f"{one.model_id[:60]!a} version {ascii(one.old_version)[:20]}"
            _log(f"{path}: {what} was not imported. {one.problem}")
    return outcome


def parse_old(content: bytes, path: Path) -> dict[str, Any]:
    """Read an old registry's content.

    Raises:
        RegistryError: it is not in the old form.
    """
    try:
        return _checked_old(content)
    except ValueError as error:
        raise RegistryError(
            f"The old registry {path} {error}.", hint="Mend that file or move it elsewhere."
        ) from error


def _checked_old(content: bytes) -> dict[str, Any]:
    if len(content) > MAX_BYTES:
        raise ValueError(f"is larger than {MAX_BYTES} bytes")
    document = strict_json(content)
    if not isinstance(document, dict):
        raise ValueError("is not an object")  # noqa: TRY004
    for name, model in document.items():
        if not isinstance(model, dict) or not isinstance(model.get("versions"), list):
            raise ValueError(f"has no list of versions for {name[:60]!a}")  # noqa: TRY004
    return document


def _import_models(
    document: Mapping[str, Any], folder: Path, shelf: Shelf, change: Change
) -> Iterator[Imported]:
    for name, model in document.items():
        numbers: dict[str, int] = {}  # by the number as text: the old form may have either
        for entry in sorted(model["versions"], key=_number_of):
            outcome = _import_version(name, entry, folder, shelf, change)
            if outcome.version is not None:
                numbers[str(outcome.old_version)] = outcome.version
            yield outcome
        current = numbers.get(str(model.get("current_version")))
        if current is not None:
            _make_current(check_name(name), current, shelf, change)


def _import_version(
    name: str, entry: object, folder: Path, shelf: Shelf, change: Change
) -> Imported:
    old = entry.get("version") if isinstance(entry, dict) else None
    try:
        if not isinstance(entry, dict):
            raise UsageError("The version is not an object.")
        terms = Terms(
            origin=ORIGIN,
            at_least=_number_of(entry) or 1,
            arrival=(f"{ORIGIN} version", _identity(name, entry)),
            created_at=_time_of(entry.get("created_at")),
        )
        path = _path_in(entry, folder)
        number = _add(check_name(name), path, entry.get("metadata"), shelf, change, terms)
        return Imported(name, old, number or _number_of(entry) or None)
    except StorageError:
        raise
    except VsatError as error:
        return Imported(name, old, None, error.message)


def _add(
    name: str, path: Path, metadata: object, shelf: Shelf, change: Change, terms: Terms
) -> int:
    given = checked_metadata(metadata) if isinstance(metadata, Mapping) else {}
    if path.suffix.lower() == ".onnx" and given.get("task") != OTHER:
        try:
            graph = read_submission(name, path, given)
            return shelf.add(graph, change, replace(terms, must_work=True))
        except (UsageError, EngineError):
            pass  # kept all the same, as what it is: a file
    opaque = read_submission(name, path, {"task": OTHER})
    manifest = replace(opaque.manifest, metadata=given)
    return shelf.add(replace(opaque, manifest=manifest), change, terms)


def _make_current(name: str, number: int, shelf: Shelf, change: Change) -> None:
    with shelf.store.writing() as connection:
        key = catalogue.key_of(connection, name, number)
        if key is None or timeline.current_of(connection, key) == number:
            return
        if catalogue.origin_of_current(connection, key) == ORIGIN:  # else a person chose it
            timeline.point_at(connection, key, number, change)


def _number_of(entry: object) -> int:
    """The old number where it can be kept; 0 where it can't."""
    number = entry.get("version") if isinstance(entry, dict) else None
    if isinstance(number, str) and number.isascii() and number.isdigit() and len(number) < 8:
        number = int(number)
    usable = isinstance(number, int) and not isinstance(number, bool)
    return number if usable and 0 < number <= MAX_NUMBER else 0  # type: ignore[operator,return-value]


def _identity(name: str, entry: Mapping[str, Any]) -> str:
    content = json.dumps([name, entry], sort_keys=True)
    return hashlib.sha256(content.encode("ascii")).hexdigest()


def _path_in(entry: Mapping[str, Any], folder: Path) -> Path:
    text = entry.get("path")
    if not isinstance(text, str) or not text or "\0" in text:
        raise UsageError("The version has no path.")
    beside = folder / text  # an absolute path stays as it is
    return beside if beside.exists() else Path(text).absolute()


def _time_of(value: object) -> str | None:
    """The old time in our form; None where it is no time. One without a zone was local."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
        elif isinstance(value, int | float):
            moment = datetime.fromtimestamp(value, UTC)
        else:
            return None
        return time_text(moment)
    except (ValueError, OverflowError, OSError):
        return None


def _log(problem: str) -> None:
    import logging  # only here: it is rarely needed and takes its time

    logging.getLogger("vsat").warning(problem)
