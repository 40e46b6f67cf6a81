"""How many sources a graph declares, read without loading it."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vsat.registry.graph import n_sources_of


@pytest.mark.parametrize("sources", [1, 2, 5])
def test_the_declared_number_is_read(tmp_path: Path, sources: int) -> None:
    toys = pytest.importorskip("toys")
    path = toys.save(toys.scaled(*range(1, sources + 1)), tmp_path / "a.onnx")
    assert n_sources_of(path) == sources


def test_a_symbolic_number_is_not_guessed(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Identity", ["mixture"], ["estimates"])
    for shape, expected in (
        (["batch", "sources", "samples"], None),
        (["batch", "samples"], None),
        (None, None),
        ([1, 4, 16_000], 4),
    ):
        output = value("estimates", onnx.TensorProto.FLOAT, shape)
        mixture = value("mixture", onnx.TensorProto.FLOAT, None)
        graph = onnx.helper.make_graph([node], "g", [mixture], [output])
        (tmp_path / "a.onnx").write_bytes(onnx.helper.make_model(graph).SerializeToString())
        assert n_sources_of(tmp_path / "a.onnx") == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_not_but_never_crash(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.onnx").write_bytes(content)
    found = n_sources_of(tmp_path / "a.onnx")
    assert found is None or found > 0
