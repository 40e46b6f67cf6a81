"""Networks: shapes, scale, transforms that invert one another, and weights in 8 bits."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from vsat.errors import BundleError
from vsat.networks import ARCHITECTURES, build
from vsat.networks.stft import Stft
from vsat.networks.weights import load_weights, quantise_rows, save_quantised, save_weights

SMALL = {
    "band_split_gru": {"width": 8, "hidden": 8, "layers": 1},
    "conv_tasnet": {"filters": 16, "width": 8, "hidden": 16, "skip": 8, "blocks": 2},
    "dprnn": {"filters": 8, "width": 8, "hidden": 8, "segment": 20, "segment_hop": 10, "blocks": 1},
    "frame_mask": {"width": 16, "hidden": 16, "dilations": (1, 2), "attention": (1,), "heads": 2},
    "recurrent_mask": {"width": 16, "hidden": 16, "layers": 2},
    "resepformer": {"filters": 16, "segment": 20, "layers": (1, 1), "heads": 2, "hidden": 16},
    "sepformer": {
        "filters": 16,
        "width": 16,
        "chunk": 20,
        "blocks": 1,
        "layers": (1, 1),
        "heads": 2,
        "hidden": 16,
    },
    "skim": {"width": 16, "hidden": 16, "segment": 20, "layers": 2},
    "sudormrf": {"filters": 16, "width": 8, "blocks": 1, "scales": 3},
    "sudormrf_improved": {"filters": 16, "width": 8, "hidden": 16, "blocks": 1, "scales": 3},
    "tiger": {"width": 8, "hidden": 8, "blocks": 2, "heads": 2},
}


def small(name):
    torch.manual_seed(0)
    return build(name, SMALL[name]).eval()


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
@pytest.mark.parametrize("samples", [1_600, 16_000, 16_001, 23_457])
@torch.inference_mode()
def test_estimates_have_the_length_of_the_mixture(name, samples):
    estimates = small(name)(0.1 * torch.randn(2, samples))
    assert estimates.shape == (2, 2, samples)
    assert torch.isfinite(estimates).all()


# RE-SepFormer has no norm before its first layer.
@pytest.mark.parametrize("name", sorted(ARCHITECTURES.keys() - {"resepformer"}))
@torch.inference_mode()
def test_scaling_the_mixture_scales_the_estimates(name):
    network, mixture = small(name), 0.1 * torch.randn(1, 8_000)
    np.testing.assert_allclose(network(10 * mixture), 10 * network(mixture), atol=2e-3)


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
@torch.inference_mode()
def test_silence_in_silence_out(name):
    assert small(name)(torch.zeros(1, 8_000)).abs().max() < 1e-5


@torch.inference_mode()
def test_shares_add_up_to_the_mixture():
    mixture = 0.1 * torch.randn(1, 9_000)
    np.testing.assert_allclose(small("recurrent_mask")(mixture).sum(1), mixture, atol=1e-5)


@pytest.mark.parametrize(("window", "hop"), [(512, 256), (1024, 512), (512, 128)])
@pytest.mark.parametrize("samples", [1, 100, 5_000, 5_121])
def test_the_inverse_transform_inverts(window, hop, samples):
    stft, signal = Stft(window, hop), torch.randn(2, samples)
    for stft.as_convolution in (False, True):
        np.testing.assert_allclose(stft.inverse(stft(signal), samples), signal, atol=1e-4)


def test_both_ways_of_the_transform_agree_with_numpy():
    stft, signal = Stft(64, 32), torch.randn(1, 640)
    by_fft = stft(signal)
    stft.as_convolution = True
    np.testing.assert_allclose(stft(signal), by_fft, atol=1e-4)
    frame = np.fft.rfft(signal[0, :64].numpy() * np.sqrt(np.hanning(65)[:-1]))
    np.testing.assert_allclose(by_fft[0, :, 2], np.r_[frame.real, frame.imag], atol=1e-4)


def test_only_listed_architectures_are_built():
    with pytest.raises(BundleError, match=r"os\.system"):
        build("os.system", {})
    with pytest.raises(BundleError, match="parameters"):
        build("skim", {"colour": "red"})


def test_parameters_survive_json():
    for name, parameters in SMALL.items():
        build(name, json.loads(json.dumps(parameters)))


def test_weights_come_back_as_they_were(tmp_path):
    network, other = small("skim"), build("skim", SMALL["skim"])
    save_weights(network, tmp_path / "w.safetensors")
    load_weights(other, tmp_path / "w.safetensors")
    for name, value in network.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, rtol=0, atol=0)


def test_quantised_weights_are_small_and_the_network_is_rounded_alike(tmp_path):
    parameters = {"width": 64, "hidden": 64, "layers": 1}
    network, other = build("recurrent_mask", parameters), build("recurrent_mask", parameters)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    save_weights(network, tmp_path / "plain.safetensors")
    save_quantised(network, tmp_path / "small.safetensors")
    sizes = [
        (tmp_path / name).stat().st_size for name in ("plain.safetensors", "small.safetensors")
    ]
    assert sizes[1] < 0.3 * sizes[0]
    load_weights(other, tmp_path / "small.safetensors")
    for name, value in network.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, rtol=0, atol=0)
        assert (value - before[name]).abs().max() <= before[name].abs().max() / 127 * 0.51


def test_each_row_has_its_own_scale():
    values, scale = quantise_rows(torch.tensor([[1.0, -0.5], [100.0, 50.0]]))
    assert values.tolist() == [[127, -64], [127, 64]]
    torch.testing.assert_close(scale, torch.tensor([[1 / 127], [100 / 127]]))


def test_weights_of_another_network_are_refused(tmp_path):
    save_weights(small("skim"), tmp_path / "w.safetensors")
    with pytest.raises(BundleError, match="does not fit"):
        load_weights(small("frame_mask"), tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_bytes(b"not tensors")
    with pytest.raises(BundleError):
        load_weights(small("skim"), tmp_path / "w.safetensors")
