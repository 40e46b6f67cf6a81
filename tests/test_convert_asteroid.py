"""Asteroid's models, written by Asteroid itself with random weights: the same sound comes out."""

import dataclasses
import warnings
from ast import literal_eval
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from peers import written_by

from vsat.assembly import export_bundle
from vsat.bundle import Manifest
from vsat.convert.checkpoint import Checkpoint
from vsat.convert.families import recognise
from vsat.engines import open_engine
from vsat.errors import ConversionError
from vsat.networks import build

LIST = Path(__file__).resolve().parents[2] / "shared/checkpoints/asteroid.txt"
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
def test_network_and_bundle_agree_with_asteroid(name, asteroid, tmp_path):
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


def checkpoint(asteroid, name="tasnet", **changes):
    return dataclasses.replace(written_by(peer(asteroid, name)), **changes)


def with_arguments(found, **changes):
    kept = {key: value for key, value in found.values["model_args"].items() if key not in changes}
    given = {key: value for key, value in changes.items() if value is not None}
    return dataclasses.replace(found, values=found.values | {"model_args": kept | given})


def test_rate_sources_and_licence_are_taken_from_the_file(asteroid):
    note = (
        "a derivative of LibriSpeech (https://creativecommons.org/licenses/by/4.0/), licensed "
        "under [ShareAlike 3.0](https://creativecommons.org/licenses/by-sa/3.0/) by A. Person."
    )
    found = checkpoint(asteroid, "tasnet 16 kHz")
    found = dataclasses.replace(found, values=found.values | {"licenses": note})
    conversion = recognise(found)
    assert conversion.family == "Asteroid Conv-TasNet"
    assert (conversion.sample_rate.value, conversion.sources.value) == (16_000, 3)
    assert conversion.sample_rate.found_in == "sample_rate in model_args"
    assert conversion.licence.value == "CC-BY-SA-3.0"
    assert conversion.warnings == ()


def test_an_old_file_without_a_rate_is_8_khz(asteroid):
    conversion = recognise(with_arguments(checkpoint(asteroid), sample_rate=None))
    assert conversion.sample_rate.value == 8_000
    assert "default" in conversion.sample_rate.found_in
    assert conversion.licence is None


def test_a_rate_that_does_not_fit_the_filters_is_doubted(asteroid):
    conversion = recognise(with_arguments(checkpoint(asteroid, "tasnet 16 kHz"), sample_rate=8_000))
    assert conversion.sample_rate.value == 8_000
    assert "16000 Hz" in conversion.warnings[0]


def test_the_family_is_found_without_the_name_of_the_model(asteroid):
    found = checkpoint(asteroid, "dprnn")
    values = {"model_args": found.values["model_args"], "model_name": "ConvTasNet"}
    assert recognise(dataclasses.replace(found, values=values)).family == "Asteroid DPRNN"


@pytest.mark.parametrize("name", ["tasnet", "dprnn", "sudormrf", "sudormrf improved"])
def test_missing_and_unknown_tensors_are_named(name, asteroid):
    found = checkpoint(asteroid, name)
    part = dict(found.tensors)
    del part["decoder.filterbank._filters"]
    with pytest.raises(ConversionError, match=r"1 tensors are missing: decoder\.filterbank"):
        recognise(dataclasses.replace(found, tensors=part))
    more = found.tensors | {"masker.extra.weight": np.zeros(3, np.float32)}
    with pytest.raises(ConversionError, match=r"1 tensors have no place .* masker\.extra"):
        recognise(dataclasses.replace(found, tensors=more))


def test_tensors_of_another_shape_are_refused(asteroid):
    found = checkpoint(asteroid)
    name = "masker.bottleneck.1.weight"
    wrong = found.tensors | {name: found.tensors[name][:-1]}
    with pytest.raises(ConversionError, match=r"bottleneck\.weight has the shape"):
        recognise(dataclasses.replace(found, tensors=wrong))


def test_a_filterbank_that_is_stored_twice_must_be_the_same(asteroid):
    found = checkpoint(asteroid, "sudormrf")
    name = "encoder.encoder.filterbank._filters"
    with pytest.raises(ConversionError, match="must be equal"):
        recognise(
            dataclasses.replace(found, tensors=found.tensors | {name: found.tensors[name] + 1})
        )


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("tasnet", {"fb_name": "STFTFB"}),
        ("tasnet", {"mask_act": "hardswish"}),
        ("tasnet", {"norm_type": "LN"}),
        ("tasnet", {"n_src": 0}),
        ("tasnet", {"n_src": "two"}),
        ("tasnet", {"n_blocks": 1 << 40}),
        ("tasnet", {"out_chan": 7}),
        ("tasnet", {"who_is_pinv": "dec"}),
        ("dprnn", {"hop_size": 7}),
        ("dprnn", {"norm_type": "cgLN"}),
        ("sudormrf", {"stride": 7}),
        ("sudormrf improved", {"mask_act": ["relu"]}),
    ],
)
def test_what_is_not_supported_is_named(name, arguments, asteroid):
    with pytest.raises(ConversionError, match=next(iter(arguments))):
        recognise(with_arguments(checkpoint(asteroid, name), **arguments))


def test_another_class_of_asteroid_is_named(asteroid):
    tensors = {"encoder.filterbank._filters": np.zeros((4, 1, 4), np.float32)}
    with pytest.raises(ConversionError, match="DPTNet"):
        recognise(checkpoint(asteroid, tensors=tensors, values={"model_name": "DPTNet"}))


def test_a_file_without_arguments_is_refused(asteroid):
    with pytest.raises(ConversionError, match="model_args"):
        recognise(checkpoint(asteroid, values={}))


def test_a_network_learns(asteroid):
    for name in ("tasnet", "dprnn", "sudormrf", "sudormrf improved"):
        network = ours(recognise(checkpoint(asteroid, name))).train()
        network(signal(2_000)).square().sum().backward()
        silent = [key for key, value in network.named_parameters() if value.grad is None]
        assert silent == []


def listed():
    """Tensors and arguments of each published form, from the list beside this checkout."""
    for part in LIST.read_text().split("## ")[1:]:
        head, *lines = part.splitlines()
        fields = [line.split(" (") for line in lines if line.startswith("   ")]
        shapes = {name.strip(): f"({rest.removesuffix(' float32')}" for name, rest in fields}
        arguments = [line for line in lines if line.startswith("{")]
        tensors = {
            name: np.zeros(literal_eval(shape), np.float32) for name, shape in shapes.items()
        }
        yield head, tensors, literal_eval(arguments[0]) if arguments else {"n_src": 2}


def test_every_listed_tensor_finds_its_place():
    if not LIST.exists():
        pytest.skip("no list of the published files' tensors beside this checkout")
    counts = {}
    for head, tensors, arguments in listed():
        conversion = recognise(Checkpoint(head, tensors, {"model_args": arguments}))
        assert len(tensors) == int(head.split()[-1])
        assert conversion.warnings == ()
        counts[conversion.family] = len(tensors)
    assert counts == {
        "Asteroid Conv-TasNet": 345,
        "Asteroid DPRNN": 158,
        "Asteroid SuDoRM-RF": 507,
        "Asteroid SuDoRM-RF improved": 426,
    }
