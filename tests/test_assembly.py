"""From a network to a bundle that an engine runs, and that agrees with it."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import vsat
from vsat.assembly import agreement_db, export_bundle
from vsat.bundle import Architecture, Manifest
from vsat.engines import open_engine
from vsat.networks import build

SIZES = {
    "band_split_gru": {"width": 24, "hidden": 24, "layers": 1},
    "conv_tasnet": {"filters": 64, "width": 64, "hidden": 64, "skip": 64, "blocks": 2},
    "dprnn": {"filters": 32, "width": 32, "hidden": 32, "blocks": 1},
    "frame_mask": {"width": 64, "hidden": 64, "dilations": [1, 2], "attention": [1], "heads": 2},
    "recurrent_mask": {"width": 64, "hidden": 64, "layers": 1},
    "resepformer": {"filters": 64, "layers": [1, 1], "hidden": 64},
    "sepformer": {"filters": 64, "width": 64, "layers": [1, 1], "blocks": 1, "hidden": 64},
    "skim": {"width": 64, "hidden": 64, "layers": 2},
    "sudormrf": {"filters": 64, "width": 64, "blocks": 1, "improved": False},
    "sudormrf_improved": {"filters": 64, "width": 64, "hidden": 64, "blocks": 1},
    "tiger": {"width": 16, "hidden": 16, "blocks": 2},
}


def export(name, folder, **options):
    torch.manual_seed(0)
    network = build(name, SIZES[name])
    manifest = Manifest(
        id="x",
        version=1,
        task="separation",
        sample_rate=16_000,
        sources=2,
        architecture=Architecture(name, SIZES[name]),
    )
    return network, export_bundle(network, manifest, folder / name, **options)


@pytest.mark.parametrize("name", sorted(SIZES))
@pytest.mark.parametrize("quantise", [False, True])
def test_graph_and_network_agree(name, quantise, tmp_path):
    network, bundle = export(name, tmp_path, quantise=quantise)
    assert agreement_db(network, bundle) > 80


def test_all_engines_agree_on_a_bundle_with_weights(tmp_path):
    pytest.importorskip("onnxruntime")
    _, bundle = export("recurrent_mask", tmp_path)
    mixture = 0.05 * np.random.default_rng(0).standard_normal((1, 20_011)).astype(np.float32)
    outputs = [
        open_engine(bundle, name, threads=1).run(mixture)
        for name in ("openvino", "onnxruntime", "torch")
    ]
    for other in outputs[1:]:
        np.testing.assert_allclose(other, outputs[0], atol=1e-5)


def test_an_exported_bundle_registers_and_separates(tmp_path):
    _, bundle = export("frame_mask", tmp_path, card="# Card")
    registry = vsat.ModelRegistry(tmp_path / "home")
    registry.register_model("mine", bundle.path, {})
    found = registry.get_bundle("mine")
    assert found.manifest.architecture == bundle.manifest.architecture
    assert (found.path / "README.md").read_text() == "# Card"
    mixture = np.random.default_rng(0).normal(0, 0.1, 30_000).astype(np.float32)
    by_graph = vsat.VoiceSeparator("mine", registry=registry).separate_voices(mixture)
    by_weights = vsat.VoiceSeparator("mine", registry=registry, engine="torch")
    np.testing.assert_allclose(by_weights.separate_voices(mixture), by_graph, atol=1e-4)
