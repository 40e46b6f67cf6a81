"""A version's folder: what is read, and what is refused."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bundles import manifest, record_of, write_bundle
from hypothesis import given, settings
from hypothesis import strategies as st

from vsat.bundle import Architecture, Manifest, parse_manifest, read_bundle
from vsat.errors import BundleError, DamagedError

GRAPH = {"sha256": "0" * 64, "bytes": 1}
LINEAGE = {
    "base": "voices@1", "base_digest": "0" * 64, "data_fingerprint": None,
    "configuration": {"a": 1}, "seed": 7,
}  # fmt: skip


def document(**changes: Any) -> dict[str, Any]:
    return {**json.loads(manifest().to_json()), **changes}


def parsed(**changes: Any) -> Manifest:
    return parse_manifest(json.dumps(document(**changes)).encode())


def test_a_manifest_comes_back_as_it_was() -> None:
    whole = manifest(
        {"model.onnx": b"graph", "weights.safetensors": b"weights"},
        architecture=Architecture("frame_mask", {"width": 384}),
        licence="Apache-2.0",
        description="Größe 日本語",
        lineage=LINEAGE,
        metadata={"any": [1, 2.5, None, {"thing": True}]},
    )
    assert parse_manifest(whole.to_json()) == whole


def test_the_digest_is_of_the_content_alone() -> None:
    one = manifest()
    assert replace(one, id="other", version=9, metadata={"a": 1}).digest == one.digest
    for change in (
        {"sample_rate": 8000},
        {"sources": 3},
        {"description": "x"},
        {"files": {"model.onnx": record_of(b"another")}},
        {"lineage": LINEAGE},
    ):
        assert replace(one, **change).digest != one.digest


WRONG: dict[str, Any] = {
    "format": [2, 0, "1", True, None],
    "id": ["", "../x", "CON", "x" * 101, 3, None, "e\u0301", "\u202ex"],
    "version": [0, -1, 1.0, "1", True, None, 1 << 60],
    "task": ["speech", None, 1, [], {}],
    "sample_rate": [None, 0, 1, 3999, 192_001, 16000.0, "16000", True],
    "sources": [None, 0, 17, 2.0, "2", True],
    "architecture": ["frame_mask", [], {"name": "frame_mask"},
                     {"name": "os.system", "parameters": {}},
                     {"name": 1, "parameters": {}}, {"name": "a", "parameters": []},
                     {"name": "a", "parameters": {}, "class": "x"}],
    "licence": [1, [], {}],
    "description": [None, 1],
    "lineage": ["x", {}, {**LINEAGE, "more": 1}, {**LINEAGE, "seed": 1.5}, {**LINEAGE, "base": 3},
                {**LINEAGE, "configuration": "x"}],
    "metadata": [None, [], "x"],
    "files": [None, [], {}, {"weights.safetensors": GRAPH}, {"model.onnx": GRAPH, "evil.py": GRAPH},
              {"model.onnx": {"sha256": "0" * 63, "bytes": 1}},
              {"model.onnx": {"sha256": "A" * 64, "bytes": 1}},
              {"model.onnx": {"sha256": "0" * 64, "bytes": -1}},
              {"model.onnx": {"sha256": "0" * 64}},
              {"model.onnx": {**GRAPH, "url": "x"}}, {"model.onnx": {"sha256": 0, "bytes": 1}},
              {"model.onnx": {"sha256": "0" * 64, "bytes": True}},
              {"model.onnx": GRAPH, "../x": GRAPH},
              {"model.onnx": GRAPH, "model.json": GRAPH}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in WRONG.items() for value in values], ids=ascii
)
def test_a_wrong_value_is_refused(key: str, value: Any) -> None:
    with pytest.raises(BundleError) as refusal:
        parsed(**{key: value})
    assert refusal.value.hint


@pytest.mark.parametrize("key", list(document()))
def test_a_missing_key_is_refused(key: str) -> None:
    content = document()
    del content[key]
    with pytest.raises(BundleError, match=key):
        parse_manifest(json.dumps(content).encode())


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(BundleError, match="extra"):
        parsed(extra=1)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b" " * (1 << 20) + b"{}",
    ],
    ids=lambda content: repr(content[:10]),
)
def test_what_is_no_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError):
        parse_manifest(content)


@pytest.mark.parametrize(
    "metadata",
    ['{"a":1,"a":2}', '{"a":NaN}', '{"a":Infinity}', '{"a":1e999}', '{"a":"\\ud800"}',
     '{"a":' + "9" * 5000 + "}", '{"a":' * 25 + "1" + "}" * 25],
    ids=lambda text: text[:16],
)  # fmt: skip
def test_json_with_two_meanings_is_refused(metadata: str) -> None:
    content = json.dumps(document(metadata="HERE")).replace('"HERE"', metadata)
    with pytest.raises(BundleError):
        parse_manifest(content.encode())


def test_what_could_not_be_read_is_not_written() -> None:
    for wrong in ({"sample_rate": 1}, {"metadata": {"a": float("nan")}}, {"id": "../x"}):
        with pytest.raises(BundleError):
            manifest(**wrong).to_json()
    with pytest.raises(BundleError, match="larger"):
        manifest(metadata={"a": "x" * (1 << 20)}).to_json()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 60), 1 << 60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=8,
)


@settings(max_examples=50)
@given(st.dictionaries(st.text(st.characters(codec="utf-8")), json_values))
def test_any_metadata_comes_back(metadata: dict[str, Any]) -> None:
    assert parse_manifest(manifest(metadata=metadata).to_json()).metadata == metadata


@settings(max_examples=50)
@given(st.sampled_from(sorted(document())), json_values)
def test_any_value_is_taken_or_refused_but_never_crashes(key: str, value: Any) -> None:
    try:
        found = parsed(**{key: value})
    except BundleError:
        return
    assert parse_manifest(found.to_json()) == found


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_without_a_crash(content: bytes) -> None:
    with pytest.raises(BundleError):
        parse_manifest(content)


def test_a_bundle_is_read(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b", {"model.onnx": b"graph", "weights.safetensors": b"w"})
    bundle = read_bundle(folder, verify=True)
    assert bundle.main_path == bundle.onnx_path == folder / "model.onnx"
    assert bundle.weights_path == folder / "weights.safetensors"
    assert read_bundle(write_bundle(tmp_path / "c")).weights_path is None


def test_an_opaque_bundle_has_one_file_and_no_graph(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"task": "other", "sample_rate": None, "sources": None}
    bundle = read_bundle(write_bundle(tmp_path / "b", {"llm.gguf": b"x"}, **changes), verify=True)
    assert bundle.main_path == tmp_path / "b" / "llm.gguf"
    with pytest.raises(BundleError):
        bundle.onnx_path  # noqa: B018
    with pytest.raises(BundleError, match="exactly one"):
        manifest({"a": b"x", "b": b"y"}, **changes).to_json()


def test_a_bit_flip_is_found(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b")
    (folder / "model.onnx").write_bytes(b"grapi")
    read_bundle(folder)  # the sizes alone fit
    with pytest.raises(DamagedError, match="digest"):
        read_bundle(folder, verify=True)


def test_a_truncated_file_is_found_without_hashing(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b")
    (folder / "model.onnx").write_bytes(b"gra")
    with pytest.raises(DamagedError, match="3 bytes instead of 5"):
        read_bundle(folder)


def test_a_folder_with_more_or_less_than_its_manifest_says_is_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b")
    (folder / "extra").write_bytes(b"")
    with pytest.raises(BundleError, match="extra"):
        read_bundle(folder)
    (folder / "extra").unlink()
    (folder / "model.onnx").unlink()
    with pytest.raises(BundleError, match="missing"):
        read_bundle(folder)


def test_links_pipes_and_folders_inside_a_bundle_are_refused(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"graph")
    for number, make in enumerate(
        (lambda path: path.symlink_to(elsewhere), lambda path: os.mkfifo(path), Path.mkdir)
    ):
        folder = write_bundle(tmp_path / str(number))
        (folder / "model.onnx").unlink()
        make(folder / "model.onnx")
        with pytest.raises(BundleError, match="regular file"):
            read_bundle(folder)


def test_a_manifest_that_is_a_link_is_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b")
    (folder / "model.json").rename(tmp_path / "moved")
    (folder / "model.json").symlink_to(tmp_path / "moved")
    with pytest.raises(BundleError):
        read_bundle(folder)


def test_what_is_no_bundle_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path, tmp_path / "no", tmp_path / "file"):
        with pytest.raises(BundleError, match=r"model\.json"):
            read_bundle(path)
