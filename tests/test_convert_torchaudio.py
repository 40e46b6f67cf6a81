"""torchaudio's Conv-TasNet: every tensor finds its place, and a plain implementation agrees."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from torch.nn import functional

from vsat.convert.checkpoint import Checkpoint
from vsat.convert.families import recognise
from vsat.errors import ConversionError
from vsat.networks import build

LIST = Path(__file__).resolve().parents[2] / "shared/checkpoints/torchaudio_convtasnet.txt"


def shapes(filters=24, kernel=16, width=10, hidden=12, skip=10, blocks=6, sources=2):
    found = {
        "encoder.weight": (filters, 1, kernel),
        "mask_generator.input_norm.weight": (filters,),
        "mask_generator.input_norm.bias": (filters,),
        "mask_generator.input_conv.weight": (width, filters, 1),
        "mask_generator.input_conv.bias": (width,),
    }
    for number in range(blocks):
        block = f"mask_generator.conv_layers.{number}"
        found |= {
            f"{block}.conv_layers.0.weight": (hidden, width, 1),
            f"{block}.conv_layers.0.bias": (hidden,),
            f"{block}.conv_layers.1.weight": (1,),
            f"{block}.conv_layers.2.weight": (hidden,),
            f"{block}.conv_layers.2.bias": (hidden,),
            f"{block}.conv_layers.3.weight": (hidden, 1, 3),
            f"{block}.conv_layers.3.bias": (hidden,),
            f"{block}.conv_layers.4.weight": (1,),
            f"{block}.conv_layers.5.weight": (hidden,),
            f"{block}.conv_layers.5.bias": (hidden,),
        }
        if number < blocks - 1:
            found[f"{block}.res_out.weight"] = (width, hidden, 1)
            found[f"{block}.res_out.bias"] = (width,)
        found[f"{block}.skip_out.weight"] = (skip, hidden, 1)
        found[f"{block}.skip_out.bias"] = (skip,)
    return found | {
        "mask_generator.output_prelu.weight": (1,),
        "mask_generator.output_conv.weight": (sources * filters, skip, 1),
        "mask_generator.output_conv.bias": (sources * filters,),
        "decoder.weight": (filters, 1, kernel),
    }


def checkpoint(**sizes):
    random = np.random.default_rng(0)
    tensors = {
        name: random.normal(0, 0.3, shape).astype(np.float32)
        for name, shape in shapes(**sizes).items()
    }
    return Checkpoint("conv_tasnet.pt", tensors)


def plainly(tensors, mixture, blocks=6):
    """Conv-TasNet as the paper has it and torchaudio pads it, spelled out."""
    weights = {name: torch.from_numpy(value) for name, value in tensors.items()}

    def convolved(name, values, **options):
        return functional.conv1d(
            values, weights[f"{name}.weight"], weights[f"{name}.bias"], **options
        )

    def normed(name, values):
        return functional.group_norm(
            values, 1, weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-8
        )

    hop = weights["encoder.weight"].shape[-1] // 2
    whole = functional.pad(mixture, (0, -mixture.shape[-1] % hop)).unsqueeze(1)
    encoded = functional.conv1d(whole, weights["encoder.weight"], stride=hop, padding=hop)
    root = "mask_generator"
    features = convolved(f"{root}.input_conv", normed(f"{root}.input_norm", encoded))
    total = 0
    for number in range(blocks):
        block, dilation = f"{root}.conv_layers.{number}", 2 ** (number % (blocks // 3))
        hidden = convolved(f"{block}.conv_layers.0", features)
        hidden = functional.prelu(hidden, weights[f"{block}.conv_layers.1.weight"])
        hidden = normed(f"{block}.conv_layers.2", hidden)
        hidden = convolved(
            f"{block}.conv_layers.3",
            hidden,
            padding=dilation,
            dilation=dilation,
            groups=hidden.shape[1],
        )
        hidden = functional.prelu(hidden, weights[f"{block}.conv_layers.4.weight"])
        hidden = normed(f"{block}.conv_layers.5", hidden)
        total = total + convolved(f"{block}.skip_out", hidden)
        if number < blocks - 1:
            features = features + convolved(f"{block}.res_out", hidden)
    total = functional.prelu(total, weights[f"{root}.output_prelu.weight"])
    masks = functional.relu(convolved(f"{root}.output_conv", total))
    masks = masks.unflatten(1, (-1, encoded.shape[1])) * encoded.unsqueeze(1)
    voices = [
        functional.conv_transpose1d(one, weights["decoder.weight"], stride=hop, padding=hop)
        for one in masks.unbind(1)
    ]
    return torch.cat(voices, 1)[..., : mixture.shape[-1]]


@torch.no_grad()
@pytest.mark.parametrize("samples", [40, 1_601, 4_000, 4_007])
def test_a_plain_implementation_agrees(samples):
    found = checkpoint()
    conversion = recognise(found)
    network = build(conversion.architecture.name, conversion.architecture.parameters)
    network.load_state_dict({k: torch.from_numpy(v) for k, v in conversion.tensors.items()})
    mixture = torch.randn(2, samples, generator=torch.Generator().manual_seed(0)) * 0.1
    wanted = plainly(found.tensors, mixture)
    assert wanted.shape == (2, 2, samples)
    error = (wanted - network(mixture)).square().mean()
    assert 10 * torch.log10(wanted.square().mean() / error) > 110


def test_every_listed_tensor_finds_its_place():
    if not LIST.exists():
        pytest.skip("no list of the published file's tensors beside this checkout")
    lines = [line.split(" ", 1) for line in LIST.read_text().splitlines()[1:] if line]
    listed = {name: tuple(int(n) for n in shape.strip("(),").split(",")) for name, shape in lines}
    tensors = {name: np.zeros(shape, np.float32) for name, shape in listed.items()}
    assert len(tensors) == 343
    conversion = recognise(Checkpoint("conv_tasnet_base_libri2mix.pt", tensors))
    assert sum(value.size for value in conversion.tensors.values()) == 4_984_881
    assert (conversion.sample_rate.value, conversion.sources.value) == (8_000, 2)
    assert conversion.family == "torchaudio Conv-TasNet"
    assert conversion.architecture.parameters["blocks"] == 8


def test_what_the_file_does_not_say_is_said_aloud():
    conversion = recognise(checkpoint(kernel=20))
    assert conversion.sample_rate.value is None
    assert "ReLU" in conversion.warnings[0]


def test_missing_and_unknown_tensors_are_named():
    found = checkpoint()
    for name in ("decoder.weight", "mask_generator.conv_layers.1.res_out.bias"):
        part = {key: value for key, value in found.tensors.items() if key != name}
        with pytest.raises(ConversionError, match=name):
            recognise(dataclasses.replace(found, tensors=part))
    for name in ("mask_generator.output_conv.weight", "mask_generator.input_conv.weight"):
        part = {key: value for key, value in found.tensors.items() if key != name}
        with pytest.raises(ConversionError, match=r"not a whole torchaudio"):
            recognise(dataclasses.replace(found, tensors=part))
    more = found.tensors | {"mask_generator.extra": np.zeros(3, np.float32)}
    with pytest.raises(ConversionError, match=r"no place .* mask_generator\.extra"):
        recognise(dataclasses.replace(found, tensors=more))


def test_uneven_filters_are_refused():
    with pytest.raises(ConversionError, match="17 samples"):
        recognise(checkpoint(kernel=17))
