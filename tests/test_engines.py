"""Engines: what they refuse, the self-test in its own process, and the choice of precision."""

import numpy as np
import pytest
import toys
from onnx import TensorProto, helper, numpy_helper

import vsat
from vsat.bundle import read_bundle
from vsat.engines import available_engines, open_engine, self_test
from vsat.engines.precision import MIN_AGREEMENT_DB, agreement_db, choose_precision
from vsat.errors import EngineError, SelfTestError, UsageError


@pytest.fixture
def registry(tmp_path):
    return vsat.ModelRegistry(tmp_path / "home")


def nan():
    zero = numpy_helper.from_array(np.zeros(1, np.float32), "zero")
    axis = numpy_helper.from_array(np.array([1], np.int64), "axis")
    nodes = [
        helper.make_node("Mul", ["mixture", "zero"], ["silence"]),
        helper.make_node("Div", ["silence", "silence"], ["wrong"]),
        helper.make_node("Unsqueeze", ["wrong", "axis"], ["one"]),
        helper.make_node("Concat", ["one", "one"], ["estimates"], axis=1),
    ]
    return toys.graph(nodes, [zero, axis])


def two_inputs():
    model = toys.scaled(1, 1)
    extra = helper.make_tensor_value_info("state", TensorProto.FLOAT, ["batch", 4])
    model.graph.input.append(extra)
    return model


def one_length():
    """Works for one second at 8 kHz, and for nothing else."""
    nodes = [
        helper.make_node("Reshape", ["mixture", "shape"], ["fixed"]),
        helper.make_node("Concat", ["fixed", "fixed"], ["estimates"], axis=1),
    ]
    return toys.graph(nodes, [numpy_helper.from_array(np.array([1, 1, 8_001]), "shape")])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nan(), "not finite"),
        (toys.scaled(0, 0), "all zeros"),
        (two_inputs(), "2 inputs"),
        (one_length(), "can't be run"),
    ],
    ids=["nan", "zeros", "two inputs", "one length"],
)
def test_a_model_that_does_not_work_is_not_registered(registry, tmp_path, model, message):
    with pytest.raises(SelfTestError, match=message):
        toys.register(registry, tmp_path, model)
    assert registry.list_models() == {}
    assert list((registry.home / "models").rglob("*.onnx")) == []


def test_a_wrong_number_of_sources_is_found(registry, tmp_path):
    path = toys.save(toys.scaled(1, 1, 1), tmp_path / "three.onnx")
    with pytest.raises((SelfTestError, UsageError)):
        registry.register_model("toy", path, {"sample_rate": 8_000, "sources": 2})
    assert registry.list_models() == {}


def test_what_is_no_graph_is_not_registered(registry, tmp_path):
    (tmp_path / "noise.onnx").write_bytes(np.random.default_rng(0).bytes(10_000))
    with pytest.raises(vsat.VsatError):
        registry.register_model(
            "noise", tmp_path / "noise.onnx", {"sample_rate": 8_000, "sources": 2}
        )
    assert registry.list_models() == {}


def test_an_engine_that_crashes_is_an_error_not_a_crash(registry, tmp_path, monkeypatch):
    toys.register(registry, tmp_path, toys.scaled(1, 1))
    bundle = registry.get_bundle("toy")
    dying = tmp_path / "dying"
    dying.write_text("#!/bin/sh\nkill -SEGV $$\n")
    dying.chmod(0o700)
    monkeypatch.setattr("sys.executable", str(dying))
    with pytest.raises(SelfTestError, match="-11"):
        self_test.check(bundle)


def test_a_self_test_that_takes_too_long_is_ended(registry, tmp_path, monkeypatch):
    toys.register(registry, tmp_path, toys.scaled(1, 1))
    monkeypatch.setattr(self_test, "TIME_LIMIT_S", 0.01)
    with pytest.raises(SelfTestError, match="did not finish"):
        self_test.check(registry.get_bundle("toy"))


def test_a_later_version_that_does_not_work_can_not_become_current(registry, tmp_path):
    toys.register(registry, tmp_path, toys.scaled(1, 1))
    assert toys.register(registry, tmp_path, toys.scaled(0, 0)) == 2
    with pytest.raises(SelfTestError):
        registry.set_current_version("toy", 2)
    assert registry.list_models()["toy"]["current_version"] == 1


def test_the_same_length_again_gives_the_same(registry, tmp_path):
    """A repeated length is compiled for itself; the answer must not change."""
    toys.register(registry, tmp_path, toys.low_and_high())
    engine = open_engine(registry.get_bundle("toy"))
    mixture = np.random.default_rng(0).standard_normal((1, 5_000)).astype(np.float32)
    first, *others = [engine.run(mixture) for _ in range(4)]
    for other in others:
        np.testing.assert_allclose(other, first, atol=1e-6)
    assert engine.run(mixture[:, :77]).shape == (1, 2, 77)
    batch = np.concatenate([mixture, 2 * mixture])
    np.testing.assert_allclose(engine.run(batch)[1], 2 * first[0], atol=1e-5)


def test_a_graph_that_is_gone_is_an_error(registry, tmp_path):
    toys.register(registry, tmp_path, toys.low_and_high())
    bundle = registry.get_bundle("toy")
    bundle.path.chmod(0o700)
    bundle.onnx_path.unlink()
    with pytest.raises(EngineError):
        open_engine(bundle)


def test_the_default_engine_is_installed():
    assert available_engines()[0] == "openvino"


# Precision


def never():
    raise AssertionError("measured without need")


def test_what_is_asked_for_is_not_measured():
    assert choose_precision("auto", "f32", never) == "f32"
    assert choose_precision("auto", "bf16", never) == "bf16"


def test_a_processor_without_bf16_stays_with_f32(monkeypatch):
    monkeypatch.setattr("vsat.engines.openvino.supports_bf16", lambda: False)
    assert choose_precision("auto", "auto", never) == "f32"
    assert choose_precision("onnxruntime", "auto", never) == "f32"


@pytest.mark.parametrize(("found", "chosen"), [(44.0, "bf16"), (40.0, "bf16"), (39.9, "f32")])
def test_bf16_only_where_it_was_seen_to_agree(monkeypatch, found, chosen):
    assert MIN_AGREEMENT_DB == 40
    monkeypatch.setattr("vsat.engines.openvino.supports_bf16", lambda: True)
    assert choose_precision("auto", "auto", lambda: found) == chosen


def test_agreement_is_measured_once_for_a_version_and_kept(registry, tmp_path, monkeypatch):
    toys.register(registry, tmp_path, toys.low_and_high())
    monkeypatch.setattr("vsat.engines.openvino.supports_bf16", lambda: True)
    calls = []
    monkeypatch.setattr("vsat.separator.agreement_db", lambda *_: calls.append(1) or 50.0)
    for _ in range(3):
        assert vsat.VoiceSeparator("toy", registry=registry).precision == "bf16"
    assert len(calls) == 1
    digest = registry.resolve("toy").digest
    assert registry.measurement(digest, "bf16_agreement_db") == 50.0


def test_agreement_compares_bf16_with_f32(registry, tmp_path):
    toys.register(registry, tmp_path, toys.low_and_high())
    agreement = agreement_db(read_bundle(registry.get_bundle("toy").path))
    assert 30 < agreement <= 200  # 200 where the processor has no bf16 and computes in f32


def looped(times=3):
    """Doubles the mixture so many times in a loop; both sources are that."""
    inside = helper.make_graph(
        [
            helper.make_node("Add", ["state", "state"], ["next"]),
            helper.make_node("Identity", ["going"], ["still"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, ["batch", "samples"]),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, ["batch", "samples"]),
        ],
    )
    nodes = [
        helper.make_node("Loop", ["times", "always", "mixture"], ["louder"], body=inside),
        helper.make_node("Unsqueeze", ["louder", "axis"], ["one"]),
        helper.make_node("Concat", ["one", "one"], ["estimates"], axis=1),
    ]
    initializers = [
        helper.make_tensor("times", TensorProto.INT64, [], [times]),
        helper.make_tensor("always", TensorProto.BOOL, [], [True]),
        helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
    ]
    return toys.graph(nodes, initializers)


def test_a_loop_gives_the_same_at_every_length(registry, tmp_path):
    """Long mixtures are compiled for at once, short ones when they come again."""
    toys.register(registry, tmp_path, looped())
    engine = open_engine(registry.get_bundle("toy"), "openvino")
    random = np.random.default_rng(0)
    for samples in (100, 64_000, 64_001, 100, 100, 64_000):
        mixture = random.standard_normal((1, samples)).astype(np.float32)
        np.testing.assert_array_equal(engine.run(mixture)[0], np.tile(8 * mixture, (2, 1)))
