"""TIGER's parts against plain forms of them, and what the whole promises."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from torch.nn import functional

from vsat.errors import BundleError
from vsat.networks import build
from vsat.networks.centred_stft import CentredStft
from vsat.networks.graph import to_onnx
from vsat.networks.tiger import band_groups
from vsat.networks.tiger_path import Depthwise, SampleNorm, nearest, pool

SMALL = {"width": 8, "hidden": 8, "heads": 2}


def small(**changed):
    torch.manual_seed(0)
    return build("tiger", SMALL | changed).eval()


@pytest.mark.parametrize("samples", [321, 5_000, 5_121])
@pytest.mark.parametrize("as_convolution", [False, True])
def test_the_centred_transform_is_that_of_pytorch(samples, as_convolution):
    stft, signal = CentredStft(640, 160), torch.randn(2, samples)
    stft.as_convolution = as_convolution
    window = torch.hann_window(640)
    expected = torch.stft(signal, 640, 160, window=window, return_complex=True)
    found = stft(signal)  # (B, 2, N, F)
    torch.testing.assert_close(
        found, torch.view_as_real(expected).permute(0, 3, 2, 1), atol=1e-4, rtol=0
    )
    other = torch.randn(expected.shape, dtype=torch.complex64)
    other[:, [0, -1]] = other[:, [0, -1]].real + 0j  # of these a transform has real parts only
    wanted = torch.istft(other, 640, 160, window=window, length=samples)
    parts = torch.view_as_real(other).permute(0, 3, 2, 1)
    torch.testing.assert_close(stft.inverse(parts, samples), wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("samples", [1, 2, 100, 640])
@pytest.mark.parametrize("as_convolution", [False, True])
def test_the_centred_transform_inverts_signals_shorter_than_its_window(samples, as_convolution):
    stft, signal = CentredStft(640, 160), torch.randn(2, samples)
    stft.as_convolution = as_convolution
    torch.testing.assert_close(stft.inverse(stft(signal), samples), signal, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("length", "steps"), [(67, 5), (34, 5), (5, 5), (101, 7)])
def test_pooling_is_that_of_pytorch(length, steps):
    features = torch.randn(2, length, 3)
    expected = functional.adaptive_avg_pool1d(features.mT, steps).mT
    torch.testing.assert_close(pool(features, torch.zeros(1, steps, 1)), expected)


@pytest.mark.parametrize(("length", "steps"), [(5, 67), (34, 67), (17, 9), (7, 7)])
def test_the_nearest_step_is_at_or_before(length, steps):
    found = nearest(torch.zeros(1, length, 1), torch.zeros(1, steps, 1))
    assert found.tolist() == [step * length // steps for step in range(steps)]


def test_a_sample_is_normed_over_steps_and_channels():
    norm, features = SampleNorm(4), torch.randn(3, 9, 4) * 5 + 2
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    expected = functional.group_norm(features.mT, 1, norm.weight, norm.bias, 1e-8).mT
    torch.testing.assert_close(norm(features), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("stride", "kernel"), [(1, 5), (2, 5), (1, 1)])
def test_a_depthwise_layer_runs_along_the_steps(stride, kernel):
    layer, features = Depthwise(4, stride, kernel, bias=False), torch.randn(2, 9, 4)
    expected = functional.conv1d(
        features.mT, layer.weight, stride=stride, padding=kernel // 2, groups=4
    )
    torch.testing.assert_close(layer(features), expected.mT)


def test_bands_cover_the_spectrum():
    assert band_groups(16_000, 321) == [(40, 1), (10, 4), (8, 10), (8, 20), (1, 1)]
    for rate, bins in [(16_000, 321), (16_000, 513), (44_100, 1025)]:
        assert sum(count * each for count, each in band_groups(rate, bins)) == bins
    with pytest.raises(BundleError, match="do not divide into bands"):
        small(window=64, hop=16)


@torch.inference_mode()
def test_estimates_add_up_to_the_mixture():
    mixture = 0.1 * torch.randn(2, 7_001)
    torch.testing.assert_close(small(sources=3)(mixture).sum(1), mixture, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_mixtures_of_a_batch_do_not_meet():
    network, mixtures = small(), 0.1 * torch.randn(2, 5_000)
    apart = torch.cat([network(one) for one in mixtures.split(1)])
    torch.testing.assert_close(network(mixtures), apart, atol=1e-5, rtol=0)


def test_every_weight_learns():
    network = small()
    network.train()(0.1 * torch.randn(1, 4_000))[:, 0].square().mean().backward()
    assert all(weight.grad.abs().max() > 0 for weight in network.parameters())


def test_more_rounds_take_no_more_room():
    graphs = [to_onnx(small(blocks=blocks)) for blocks in (1, 6)]
    loops = [[node for node in graph.graph.node if node.op_type == "Loop"] for graph in graphs]
    assert [len(found) for found in loops] == [1, 1]
    sizes = [len(graph.SerializeToString()) for graph in graphs]
    assert abs(sizes[0] - sizes[1]) < 100
    names = [tensor.name for graph in graphs[1:] for tensor in graph.graph.initializer]
    assert len(names) == len(set(names))
    weights = sum(np.prod(tensor.dims) for tensor in graphs[1].graph.initializer)
    n_parameters = sum(weight.numel() for weight in small(blocks=6).parameters())
    assert weights < n_parameters + 3 * 640 + 1_000  # with one period of the transform
