"""ONNX graphs that reach for other files and operators, or are made to fill memory and time."""

import os

import pytest
from watch import watching

onnx = pytest.importorskip("onnx")
import numpy as np
from bundles import write_bundle
from onnx import TensorProto, helper, numpy_helper

from vsat.bundle import read_bundle
from vsat.convert.reading import check_graph, graph_file
from vsat.engines import self_test
from vsat.errors import ConversionError, SelfTestError, UnsafeFileError


def graph(nodes=(), initializers=(), shape=("batch", 2, "samples")):
    """(batch, samples) to twice the same, and whatever is added."""
    plain = [
        helper.make_node("Unsqueeze", ["mixture", "axis"], ["one"]),
        helper.make_node("Concat", ["one", "one"], ["estimates"], axis=1),
    ]
    axis = numpy_helper.from_array(np.array([1], np.int64), "axis")
    made = helper.make_graph(
        [*plain, *nodes],
        "g",
        [helper.make_tensor_value_info("mixture", TensorProto.FLOAT, ["batch", "samples"])],
        [helper.make_tensor_value_info("estimates", TensorProto.FLOAT, list(shape))],
        [axis, *initializers],
    )
    opset = helper.make_opsetid("", 17)
    return helper.make_model(made, opset_imports=[opset], ir_version=8)


def weight(name="w", **fields):
    made = numpy_helper.from_array(np.zeros(4, np.float32), name)
    for field, value in fields.items():
        getattr(made, field).extend(value) if field == "dims" else setattr(made, field, value)
    return made


def external(location, **fields):
    made = weight()
    made.ClearField("raw_data")
    made.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **fields}.items():
        made.external_data.add(key=key, value=value)
    return made


def shape_of(*sizes):
    return numpy_helper.from_array(np.array(sizes, np.int64), "shape")


def refused(model, tmp_path, kind=UnsafeFileError):
    """Read the graph as the sealed process does."""
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with watching() as seen, pytest.raises(kind) as caught:
        graph_file.read(path, tmp_path)
    assert not [event for event in seen if event.startswith(("write", "socket", "subprocess"))]
    assert caught.value.hint
    return str(caught.value)


def test_the_plain_graph_is_otherwise_good(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(graph().SerializeToString())
    facts = check_graph(path)
    assert (facts.sources, facts.has_channel_axis, facts.opset) == (2, False, 17)


@pytest.mark.parametrize(
    "location",
    ["weights.bin", "../../etc/passwd", "/etc/passwd", "..\\..\\x", "C:\\x", "", "a\x1b[2J"],
)
def test_external_data(location, tmp_path):
    message = refused(graph(initializers=[external(location)]), tmp_path)
    assert "another file" in message
    assert message.isprintable()


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_external_data_behind_a_link(link, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(16))
    link(tmp_path / "secret", tmp_path / "weights.bin")
    assert "another file" in refused(graph(initializers=[external("weights.bin")]), tmp_path)


@pytest.mark.parametrize("length", ["-1", str(1 << 60), "x"])
def test_external_data_of_impossible_length(length, tmp_path):
    (tmp_path / "w").write_bytes(bytes(16))
    model = graph(initializers=[external("w", length=length, offset="-8")])
    assert "another file" in refused(model, tmp_path)


def test_external_data_in_an_attribute_of_a_sub_graph(tmp_path):
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=external("../x"))],
        "inner",
        [],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, [4])],
    )
    node = helper.make_node("If", ["flag"], ["d"], then_branch=inner, else_branch=inner)
    flag = numpy_helper.from_array(np.array(True), "flag")
    assert "another file" in refused(graph([node], [flag]), tmp_path)


def test_operators_of_another_domain(tmp_path):
    node = helper.make_node("Evil", ["mixture"], ["x"], domain="com.evil")
    assert "com.evil" in refused(graph([node]), tmp_path)


def test_functions_of_its_own(tmp_path):
    model = graph()
    model.functions.add(name="f", domain="local")
    assert "functions" in refused(model, tmp_path)


@pytest.mark.parametrize(
    "tensor",
    [
        weight(dims=[1 << 40]),
        weight(dims=[-4]),
        weight(raw_data=b""),
        weight(raw_data=bytes(17)),
    ],
)
def test_tensors_of_another_size_than_they_say(tensor, tmp_path):
    refused(graph(initializers=[tensor]), tmp_path)


@pytest.mark.parametrize("operator", ["ConstantOfShape", "Expand"])
def test_a_tensor_made_from_nothing(operator, tmp_path):
    inputs = ["shape"] if operator == "ConstantOfShape" else ["mixture", "shape"]
    node = helper.make_node(operator, inputs, ["big"])
    message = refused(graph([node], [shape_of(1 << 20, 1 << 20)]), tmp_path)
    assert "elements" in message


def loop(trips):
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, [])],
    )
    initializers = [numpy_helper.from_array(np.array(True), "true")]
    if trips is not None:
        initializers.append(numpy_helper.from_array(np.array(trips, np.int64), "trips"))
    node = helper.make_node("Loop", ["" if trips is None else "trips", "true"], [], body=body)
    return graph([node], initializers)


def slow_graph(trips_per_sample):
    """A loop whose number of trips is computed from the input's length."""
    value = helper.make_tensor_value_info
    signal = TensorProto.FLOAT, ["batch", 2, "samples"]
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Sin", ["signal"], ["next"]),
        ],
        "body",
        [
            value("i", TensorProto.INT64, []),
            value("go", TensorProto.BOOL, []),
            value("signal", *signal),
        ],
        [value("on", TensorProto.BOOL, []), value("next", *signal)],
    )
    model = graph(
        [
            helper.make_node("Shape", ["mixture"], ["shape"]),
            helper.make_node("ReduceProd", ["shape"], ["samples"], keepdims=0),
            helper.make_node("Mul", ["samples", "many"], ["trips"]),
            helper.make_node("Loop", ["trips", "true", "twice"], ["estimates"], body=body),
        ],
        [
            numpy_helper.from_array(np.array(True), "true"),
            numpy_helper.from_array(np.array(trips_per_sample, np.int64), "many"),
        ],
    )
    model.graph.node[1].output[0] = "twice"
    return model


@pytest.mark.parametrize("trips", [None, (1 << 63) - 1])
def test_a_loop_without_an_end(trips, tmp_path):
    assert "without an end" in refused(loop(trips), tmp_path)


def test_a_loop_as_long_as_the_input_says_is_stopped_when_it_is_first_run(tmp_path, monkeypatch):
    """What no look at the graph finds out, the self-test in a process with limits does."""
    monkeypatch.setattr(self_test, "TIME_LIMIT_S", 6)
    content = slow_graph(1_000_000_000).SerializeToString()
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    graph_file.read(path, tmp_path)  # nothing is wrong with it to look at
    bundle = read_bundle(write_bundle(tmp_path / "bundle", {"model.onnx": content}))
    with pytest.raises(SelfTestError, match="within"):
        self_test.check(bundle)


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"hello", b"\x0a\xff\xff\xff\xff\x0f"])
def test_what_is_no_graph(content, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ConversionError, match="not an ONNX graph"):
        graph_file.read(path, tmp_path)


def within(field, content):
    """A field of a protocol-buffer message."""
    length, n = b"", len(content)
    while n > 0x7F:
        length, n = length + bytes([n & 0x7F | 0x80]), n >> 7
    return bytes([field << 3 | 2]) + length + bytes([n]) + content


def test_graphs_within_graphs_without_an_end(tmp_path):
    inner = b""
    for _ in range(2_000):
        inner = within(1, within(5, within(6, inner)))  # node, attribute, graph
    path = tmp_path / "model.onnx"
    path.write_bytes(within(7, inner))
    with pytest.raises(ConversionError, match="not an ONNX graph"):
        graph_file.read(path, tmp_path)


def test_a_graph_larger_than_any_model(tmp_path, monkeypatch):
    monkeypatch.setattr(graph_file, "MAX_GRAPH_BYTES", 100)
    assert "larger" in refused(graph(), tmp_path)


def test_the_whole_way_in_its_own_process(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(graph(initializers=[external("../../etc/passwd")]).SerializeToString())
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UnsafeFileError, match="etc/passwd"):
        check_graph(path, tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
