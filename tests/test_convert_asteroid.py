"""Asteroid's models, written by Asteroid itself with random weights: the same sound comes out."""

import dataclasses
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from peers import asteroid, written_by  # noqa: F401

from vsat.assembly import export_bundle
from vsat.bundle import Manifest
from vsat.convert.families import recognise
from vsat.engines import open_engine
from vsat.errors import ConversionError
from vsat.networks import build

LENGTHS = (2_000, 3_333, 4_001)  # samples; odd ones too
TASNET = {
    "n_filters": 32, "bn_chan": 16, "hid_chan": 24, "skip_chan": 16, "n_blocks": 3, "n_repeats": 2,
}  # fmt: skip
DPRNN = {
    "n_filters": 16, "kernel_size": 4, "stride": 2, "bn_chan": 12, "hid_size": 8, "chunk_size": 20,
    "hop_size": 10, "n_repeats": 2,
}  # fmt: skip
SUDO = {"n_filters": 32, "bn_chan": 16, "num_blocks": 2, "upsampling_depth": 3}
MODELS = {
    "tasnet": ("ConvTasNet", {"n_src": 2, **TASNET}),
    "tasnet 16 kHz": (
        "ConvTasNet",
        {"n_src": 3, "kernel_size": 32, "stride": 16, "sample_rate": 16_000, **TASNET},
    ),
    "tasnet causal": ("ConvTasNet", {"n_src": 2, "causal": True, "norm_type": "cgLN", **TASNET}),
    "tasnet channel": ("ConvTasNet", {"n_src": 2, "norm_type": "cLN", **TASNET}),
    "tasnet feature": ("ConvTasNet", {"n_src": 2, "norm_type": "fgLN", **TASNET}),
    "tasnet batch": ("ConvTasNet", {"n_src": 2, "norm_type": "bN", **TASNET}),
    "tasnet without skips": (
        "ConvTasNet",
        {"n_src": 1, **TASNET, "skip_chan": 0, "mask_act": "softmax"},
    ),
    "tasnet activations": (
        "ConvTasNet",
        {"n_src": 2, "mask_act": "prelu", "encoder_activation": "relu", **TASNET},
    ),
    "dprnn": ("DPRNNTasNet", {"n_src": 2, **DPRNN}),
    "dprnn product": (
        "DPRNNTasNet",
        {"n_src": 3, "use_mulcat": True, "rnn_type": "GRU", "num_layers": 2, **DPRNN},
    ),
    "dprnn ahead": (
        "DPRNNTasNet",
        {"n_src": 2, **DPRNN, "hop_size": 5, "bidirectional": False, "norm_type": "cLN",
         "mask_act": "softmax"},
    ),
    "sudormrf": ("SuDORMRFNet", {"n_src": 2, **SUDO}),
    "sudormrf equal widths": ("SuDORMRFNet", {"n_src": 3, **SUDO, "bn_chan": 32}),
    "sudormrf even kernel": ("SuDORMRFNet", {"n_src": 2, **SUDO, "kernel_size": 16}),
    "sudormrf improved": ("SuDORMRFImprovedNet", {"n_src": 2, **SUDO}),
    "sudormrf improved softmax": (
        "SuDORMRFImprovedNet",
        {"n_src": 4, "mask_act": "softmax", "kernel_size": 17, **SUDO},
    ),
}  # fmt: skip


def peer(models, name):
    kind, arguments = MODELS[name]
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = getattr(models, kind)(**arguments).eval()
    with torch.no_grad():
        for value in model.state_dict().values():  # none stays at what it begins with
            if value.is_floating_point():
                value += 0.1 * torch.rand_like(value)
    return model


def ours(conversion):
    network = build(conversion.architecture.name, conversion.architecture.parameters).eval()
    weights = {name: torch.from_numpy(value) for name, value in conversion.tensors.items()}
    network.load_state_dict(weights)
    return network


def signal(samples):
    return torch.randn(2, samples, generator=torch.Generator().manual_seed(samples)) * 0.1


def agreement(wanted, given):
    error = np.mean(np.square(wanted - given, dtype=np.float64))
    return 10 * np.log10(np.mean(np.square(wanted)) / (error + 1e-30))


def manifest(conversion):
    return Manifest(
        id="x",
        version=1,
        task="separation",
        sample_rate=conversion.sample_rate.value,
        sources=conversion.sources.value,
        architecture=conversion.architecture,
    )


@torch.no_grad()
@pytest.mark.parametrize("name", MODELS)
def test_network_and_bundle_agree_with_asteroid(name, asteroid, tmp_path):  # noqa: F811
    model = peer(asteroid, name)
    conversion = recognise(written_by(model))
    network = ours(conversion)
    bundle = export_bundle(network, manifest(conversion), tmp_path / "bundle", quantise=False)
    engine = open_engine(bundle, "openvino", threads=1)
    for samples in LENGTHS:
        mixture = signal(samples)
        wanted = model(mixture.unsqueeze(1)).numpy()
        assert wanted.shape == (2, conversion.sources.value, samples)
        assert agreement(wanted, network(mixture).numpy()) > 110
        assert agreement(wanted, engine.run(mixture.numpy())) > 90
