"""What the content of a `model.json` must be, field by field."""

import re
from collections.abc import Mapping
from typing import Any, NoReturn

from vsat.bundle.strict_json import check_json
from vsat.errors import BundleError, UsageError
from vsat.files import check_name

FORMAT = 1
MANIFEST_NAME = "model.json"
ONNX_NAME = "model.onnx"
WEIGHTS_NAME = "weights.safetensors"
CARD_NAME = "README.md"
SEPARATION, OTHER = "separation", "other"
MAX_MANIFEST_BYTES = 1 << 20
SAMPLE_RATES_HZ = (4_000, 192_000)  # from the telephone's half to the studio's highest
SOURCES = (1, 16)
MAX_FILE_BYTES = 1 << 50

HINT = "Get the bundle again from where it came."

_SEPARATION_FILES = {ONNX_NAME, WEIGHTS_NAME, CARD_NAME}
KEYS = {
    "format", "id", "version", "task", "sample_rate", "sources", "architecture", "licence",
    "description", "lineage", "files", "metadata",
}  # fmt: skip
_LINEAGE_KEYS = {"base", "base_digest", "data_fingerprint", "configuration", "seed"}
_HEX = re.compile(r"[0-9a-f]{64}")
_ARCHITECTURE = re.compile(r"[a-z][a-z0-9_]{0,63}")


def refuse(problem: str, *, cause: BaseException | None = None) -> NoReturn:
    """Raise the error that says what a manifest is not.

    Raises:
        BundleError: always.
    """
    raise BundleError(f"{MANIFEST_NAME} {problem}.", hint=HINT) from cause


def check_document(document: object) -> None:
    """Check the whole content of a manifest.

    Raises:
        BundleError: it is not exactly what a manifest must be.
    """
    try:
        check_json(document)
    except ValueError as error:
        refuse(str(error), cause=error)
    if not isinstance(document, dict):
        refuse("is not an object")
    _check_keys("it", document, KEYS)
    if not _is_integer(document["format"]) or document["format"] != FORMAT:
        refuse(f"has format {document['format']!r:.40}; this vsat reads format {FORMAT}")
    _check_name("id", document["id"])
    _check_range("version", document["version"], (1, 1 << 53))
    if document["task"] not in (SEPARATION, OTHER):
        refuse(f"has the unknown task {document['task']!r:.40}")
    _check_optional("licence", document["licence"], str)
    if not isinstance(document["description"], str):
        refuse("has a description that is not text")
    if not isinstance(document["metadata"], dict):
        refuse("has metadata that is not an object")
    _check_signal(document)
    _check_architecture(document["architecture"])
    _check_lineage(document["lineage"])
    _check_files(document["files"], document["task"])


def _check_keys(where: str, found: Mapping[str, object], expected: set[str]) -> None:
    for key in sorted(expected ^ found.keys()):
        problem = "lacks" if key in expected else "has the unknown"
        refuse(f"is not as it must be: {where} {problem} key {ascii(key)[:60]}")


def _check_signal(document: dict[str, Any]) -> None:
    required = document["task"] == SEPARATION
    if required or document["sample_rate"] is not None:
        _check_range("sample_rate", document["sample_rate"], SAMPLE_RATES_HZ)
    if required or document["sources"] is not None:
        _check_range("sources", document["sources"], SOURCES)


def _check_architecture(architecture: object) -> None:
    if architecture is None:
        return
    if not isinstance(architecture, dict):
        refuse("has an architecture that is not an object")
    _check_keys("the architecture", architecture, {"name", "parameters"})
    name = architecture["name"]
    if not isinstance(name, str) or not _ARCHITECTURE.fullmatch(name):
        refuse(f"has an architecture of the impossible name {name!r:.60}")
    if not isinstance(architecture["parameters"], dict):
        refuse("has architecture parameters that are not an object")


def _check_lineage(lineage: object) -> None:
    if lineage is None:
        return
    if not isinstance(lineage, dict):
        refuse("has a lineage that is not an object")
    _check_keys("the lineage", lineage, _LINEAGE_KEYS)
    for key in ("base", "base_digest", "data_fingerprint"):
        _check_optional(f"lineage.{key}", lineage[key], str)
    _check_optional("lineage.configuration", lineage["configuration"], dict)
    if lineage["seed"] is not None and not _is_integer(lineage["seed"]):
        refuse("has a lineage.seed that is not an integer")


def _check_files(files: object, task: str) -> None:
    if not isinstance(files, dict):
        refuse("has files that are not an object")
    if task == OTHER and len(files) != 1:
        refuse(f"lists {len(files)} files; an opaque model has exactly one")
    if task == SEPARATION and ONNX_NAME not in files:
        refuse(f"doesn't list {ONNX_NAME}")
    for name, record in files.items():
        if task == SEPARATION and name not in _SEPARATION_FILES:
            refuse(f"lists the file {ascii(name)[:60]}, which a bundle can't have")
        _check_name("file name", name)
        if name.casefold() == MANIFEST_NAME:
            refuse("lists itself")
        _check_file(name, record)


def _check_file(name: str, record: object) -> None:
    if not isinstance(record, dict):
        refuse(f"has a record of {name} that is not an object")
    _check_keys(f"the record of {name}", record, {"sha256", "bytes"})
    if not isinstance(record["sha256"], str) or not _HEX.fullmatch(record["sha256"]):
        refuse(f"has a record of {name} without a SHA-256 digest")
    _check_range(f"size of {name}", record["bytes"], (0, MAX_FILE_BYTES))


def _check_name(what: str, name: object) -> None:
    try:
        if check_name(name, what) != name:
            refuse(f"has the {what} {ascii(name)[:60]} in a form that isn't composed (NFC)")
    except UsageError as error:
        refuse(f"has an unsafe {what}: {error.message.rstrip('.')}", cause=error)


def _check_optional(what: str, value: object, kind: type) -> None:
    if value is not None and not isinstance(value, kind):
        refuse(f"has a {what} of the wrong type {type(value).__name__}")


def _check_range(what: str, value: object, limits: tuple[int, int]) -> None:
    if not _is_integer(value) or not limits[0] <= value <= limits[1]:  # type: ignore[operator]
        refuse(f"has the {what} {value!r:.40}, not an integer from {limits[0]} to {limits[1]}")


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
