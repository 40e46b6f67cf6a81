"""One version on disk: a folder with `model.json`, the model's file and what goes with it."""

from vsat.bundle.checks import (
    CARD_NAME,
    FORMAT,
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    ONNX_NAME,
    OTHER,
    SAMPLE_RATES_HZ,
    SEPARATION,
    SOURCES,
    WEIGHTS_NAME,
)
from vsat.bundle.folder import Bundle, fits, read_bundle
from vsat.bundle.manifest import Architecture, FileRecord, Manifest, parse_manifest
from vsat.bundle.strict_json import MAX_NESTING, check_json, strict_json

__all__ = [
    "CARD_NAME",
    "FORMAT",
    "MANIFEST_NAME",
    "MAX_MANIFEST_BYTES",
    "MAX_NESTING",
    "ONNX_NAME",
    "OTHER",
    "SAMPLE_RATES_HZ",
    "SEPARATION",
    "SOURCES",
    "WEIGHTS_NAME",
    "Architecture",
    "Bundle",
    "FileRecord",
    "Manifest",
    "check_json",
    "fits",
    "parse_manifest",
    "read_bundle",
    "strict_json",
]
