"""Taking over a registry in the old JSON form."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vsat.bundle import Bundle
from vsat.errors import ModelNotFoundError, RegistryError, SelfTestError
from vsat.registry import ModelRegistry

RATE = {"sample_rate": 8_000, "sources": 2}


def check_graph(bundle: Bundle) -> None:
    if b"broken" in bundle.onnx_path.read_bytes():
        raise SelfTestError("It doesn't load.")


@pytest.fixture
def old(tmp_path: Path) -> Callable[..., Path]:
    """Write an old registry of some versions, given as (version, file name, content, metadata)."""

    def write(*versions: tuple[Any, str, bytes, Any], current: Any = 1, name: str = "m") -> Path:
        entries = []
        for number, file, content, metadata in versions:
            (tmp_path / file).write_bytes(content)
            entries.append(
                {
                    "version": number,
                    "path": str(tmp_path / file),
                    "metadata": metadata,
                    "created_at": "2024-05-06T07:08:09+02:00",
                }
            )
        path = tmp_path / "registry.json"
        document = json.loads(path.read_text()) if path.exists() else {}
        document[name] = {
            "versions": entries,
            "current_version": current,
            "created_at": "2024-05-06T07:08:09",
        }
        path.write_text(json.dumps(document))
        return path

    return write


def opened(path: Path) -> ModelRegistry:
    return ModelRegistry(path, self_test=check_graph)


def test_models_versions_and_the_current_one_are_taken_over(old: Callable[..., Path]) -> None:
    path = old((1, "a.pt", b"one", {"epochs": 3}), (2, "b.pt", b"two", {}), current=2)
    content = path.read_bytes()
    registry = opened(path.parent)
    assert registry.list_models() == {"m": {"current_version": 2, "versions_count": 2}}
    first = registry.resolve("m@1")
    assert first.metadata == {"epochs": 3}
    assert first.created_at == "2024-05-06T05:08:09.000Z"
    assert (first.task, first.origin) == ("other", "import")
    assert first.main_path.read_bytes() == b"one"
    assert first.main_path.name == "a.pt"
    assert {row["action"] for row in registry.history("m")} == {"import"}
    assert registry.verify() == []
    assert path.read_bytes() == content
    assert (path.parent / "a.pt").read_bytes() == b"one"


def test_the_file_may_be_named_instead_of_its_folder(old: Callable[..., Path]) -> None:
    path = old((1, "a.pt", b"one", {}))
    registry = opened(path)
    assert registry.home == path.parent
    assert registry.get_model_path("m").read_bytes() == b"one"
    assert opened(path.parent / "not-there.json").home == path.parent


def test_it_is_taken_over_once(old: Callable[..., Path]) -> None:
    path = old((1, "a.pt", b"one", {}), (2, "b.pt", b"two", {}))
    opened(path).list_models()
    first = opened(path)
    first.set_current_version("m", 2)
    first.delete_version("m", 1)
    assert opened(path).list_models() == {"m": {"current_version": 2, "versions_count": 1}}


def test_what_the_old_program_adds_later_is_added(old: Callable[..., Path]) -> None:
    opened(old((1, "a.pt", b"one", {}))).list_models()
    path = old((1, "a.pt", b"one", {}), (2, "b.pt", b"two", {}))
    assert opened(path).list_models() == {"m": {"current_version": 1, "versions_count": 2}}


def test_a_graph_that_works_becomes_a_separation_model(old: Callable[..., Path]) -> None:
    path = old(
        (1, "a.onnx", b"graph", RATE),
        (2, "b.onnx", b"broken", RATE),
        (3, "c.onnx", b"graph", {"no": "rate"}),
    )
    registry = opened(path)
    assert [registry.resolve("m", number).task for number in (1, 2, 3)] == [
        "separation",
        "other",
        "other",
    ]
    assert registry.resolve("m@2").metadata == RATE
    assert registry.resolve("m@2").main_path.name == "b.onnx"


def test_numbers_are_kept_where_they_can_be(old: Callable[..., Path]) -> None:
    path = old(
        (7, "b.pt", b"b", {}), ("3", "a.pt", b"a", {}), ("beta", "c.pt", b"c", {}), current=7
    )
    registry = opened(path)
    found = {
        entry["version"]: Path(entry["path"]).name for entry in registry.get_model_versions("m")
    }
    assert found == {1: "c.pt", 3: "a.pt", 7: "b.pt"}
    assert registry.resolve("m").version == 7


def test_what_cant_be_imported_doesnt_prevent_the_rest(
    old: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    path = old((1, "a.pt", b"one", {}), (2, "gone.pt", b"x", {}), (3, "c.pt", b"three", {}))
    old((1, "d.pt", b"x", {}), name="../../x")
    (path.parent / "gone.pt").unlink()
    document = json.loads(path.read_text())
    document["m"]["versions"] += [None, {"version": 4}, {"version": 5, "path": "a\0b"}]
    path.write_text(json.dumps(document))
    registry = opened(path)
    assert [entry["version"] for entry in registry.get_model_versions("m")] == [1, 3]
    assert len(caplog.records) == 5
    assert "gone.pt" in caplog.text
    with pytest.raises(ModelNotFoundError, match="no version 2"):
        registry.resolve("m@2")


def test_paths_may_be_relative_to_the_file(
    old: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = old((1, "a.pt", b"one", {}))
    path.write_text(path.read_text().replace(str(tmp_path) + "/", ""))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert opened(path).get_model_path("m").read_bytes() == b"one"


def test_a_persons_choice_is_not_overridden(old: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "mine.pt").write_bytes(b"mine")
    registry = opened(tmp_path)
    registry.register_model("m", tmp_path / "mine.pt", {"task": "other"})
    registry = opened(old((1, "a.pt", b"one", {})))
    assert registry.list_models() == {"m": {"current_version": 1, "versions_count": 2}}
    assert registry.get_model_path("m").read_bytes() == b"mine"
    assert registry.get_model_path("m@2").read_bytes() == b"one"


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"m": 3}', '{"m": {}}', '{"m": {"versions": {}}}', '{"a":{"versions":[]},'
     '"a":{"versions":[]}}', "[" * 100_000],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_a_named_file_that_is_no_registry_is_a_clear_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "registry.json"
    path.write_text(content)
    with pytest.raises(RegistryError, match=r"registry\.json") as error:
        opened(path).list_models()
    assert error.value.hint


def test_a_found_file_that_is_no_registry_is_only_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "registry.json").write_text('{"npm": "another program\'s"}')
    assert opened(tmp_path).list_models() == {}
    assert "registry.json" in caplog.text
