"""The model that ships with vsat comes in at its first use."""

import shutil
from pathlib import Path

import pytest
from bundles import write_bundle

from vsat.bundle import Bundle, read_bundle
from vsat.errors import BundleError, ModelNotFoundError, SelfTestError
from vsat.registry import DEFAULT_MODEL_ID, ModelRegistry, packaged

RATE = {"sample_rate": 8_000, "sources": 2}


def accept(bundle: Bundle) -> None:
    pass


def refuse(bundle: Bundle) -> None:
    raise SelfTestError("It gives NaN.")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    ship(tmp_path / "package", b"shipped")
    return tmp_path / "package"


def ship(package: Path, content: bytes) -> None:
    shutil.rmtree(package, ignore_errors=True)
    contents = {"model.onnx": content, "weights.safetensors": b"weights", "README.md": b"card"}
    write_bundle(package / DEFAULT_MODEL_ID, contents, id=DEFAULT_MODEL_ID)


def opened(package: Path) -> ModelRegistry:
    home = package.parent / "home"
    return ModelRegistry(home, self_test=accept, package_folder=package)


def current(registry: ModelRegistry) -> tuple[int, bytes]:
    record = registry.resolve(DEFAULT_MODEL_ID)
    return record.version, record.main_path.read_bytes()


def test_first_use_registers_version_one(package: Path) -> None:
    registry = opened(package)
    assert registry.list_models() == {}
    assert registry.get_model_path(DEFAULT_MODEL_ID).read_bytes() == b"shipped"
    assert registry.list_models() == {DEFAULT_MODEL_ID: {"current_version": 1, "versions_count": 1}}
    assert registry.resolve(DEFAULT_MODEL_ID).origin == "package"
    assert registry.history(DEFAULT_MODEL_ID)[0]["because"] == "shipped with vsat"
    assert (registry.get_bundle(DEFAULT_MODEL_ID).path / "README.md").read_bytes() == b"card"


def test_later_uses_add_nothing(package: Path) -> None:
    for _ in range(3):
        registry = opened(package)
        registry.get_model_path(DEFAULT_MODEL_ID)
        registry.get_model_path(DEFAULT_MODEL_ID)
    assert registry.list_models()[DEFAULT_MODEL_ID]["versions_count"] == 1


def test_a_new_release_becomes_current_after_the_old_one(package: Path) -> None:
    assert current(opened(package)) == (1, b"shipped")
    ship(package, b"better")
    registry = opened(package)
    assert current(registry) == (2, b"better")
    assert registry.rollback(DEFAULT_MODEL_ID) == 1
    assert current(opened(package)) == (1, b"shipped")  # and stays so


def test_a_new_release_leaves_a_persons_choice(package: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(b"mine")
    registry = opened(package)
    assert registry.register_model(DEFAULT_MODEL_ID, tmp_path / "mine.onnx", RATE) == 2
    assert current(registry) == (1, b"shipped")
    registry.set_current_version(DEFAULT_MODEL_ID, 2)
    ship(package, b"better")
    registry = opened(package)
    assert current(registry) == (2, b"mine")
    assert registry.get_model_path(DEFAULT_MODEL_ID, 3).read_bytes() == b"better"


def test_a_deleted_release_does_not_come_back(package: Path) -> None:
    current(opened(package))
    ship(package, b"better")
    current(opened(package))
    opened(package).delete_version(DEFAULT_MODEL_ID, 1)
    ship(package, b"shipped")  # the older vsat again
    assert current(opened(package)) == (2, b"better")


def test_a_release_that_fails_its_self_test_is_not_taken(package: Path) -> None:
    refusing = ModelRegistry(package.parent / "home", self_test=refuse, package_folder=package)
    with pytest.raises(SelfTestError):
        refusing.resolve(DEFAULT_MODEL_ID)
    assert current(opened(package)) == (1, b"shipped")
    ship(package, b"better")
    refusing = ModelRegistry(package.parent / "home", self_test=refuse, package_folder=package)
    assert current(refusing) == (1, b"shipped")


def test_a_damaged_release_is_a_clear_error_only_if_nothing_else_is_there(package: Path) -> None:
    damaged = package / DEFAULT_MODEL_ID / "model.onnx"
    damaged.write_bytes(b"sh1pped")
    with pytest.raises(BundleError):
        opened(package).resolve(DEFAULT_MODEL_ID)
    damaged.write_bytes(b"shipped")
    assert current(opened(package)) == (1, b"shipped")
    ship(package, b"better")
    damaged.write_bytes(b"bitter")
    assert current(opened(package)) == (1, b"shipped")


def test_without_a_packaged_model_the_id_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        opened(tmp_path / "nothing").resolve(DEFAULT_MODEL_ID)


def test_the_default_model_that_ships_is_whole() -> None:
    folder = packaged.FOLDER / DEFAULT_MODEL_ID
    if not folder.is_dir():
        pytest.skip("no model has been packaged yet")
    bundle = read_bundle(folder, verify=True)
    assert bundle.manifest.id == DEFAULT_MODEL_ID
    assert bundle.manifest.task == "separation"
    assert bundle.weights_path is not None
    assert (folder / "README.md").is_file()
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 5_000_000
