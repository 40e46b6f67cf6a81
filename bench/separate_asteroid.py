"""Speed with equal weights: vsat against asteroid's Conv-TasNet in PyTorch eager.

    pip install --no-deps asteroid asteroid-filterbanks && pip install requests huggingface_hub
    python bench/separate_asteroid.py [--seconds 8] [--runs 7]

Asteroid makes a Conv-TasNet (8 kHz, 5.05 M parameters) with random weights; its graph is exported
as it stands and registered. Both separate the same window in turn, A B A B ..., on the same number
of threads; the ratio is taken pair by pair. Agreement is signal over difference, in dB.

The floor is what the network's convolutions would take if they ran like a large float32 matrix
product, which is measured in the same run: no f32 arithmetic is faster on this machine.
"""

import argparse
import sys
import tempfile
import time
import warnings
from pathlib import Path
from statistics import median

import numpy as np
import torch
from machine import describe, summary

import vsat
from vsat.engines import open_engine

RATE = 8_000  # Hz


def asteroid_network() -> torch.nn.Module:
    from asteroid.models import ConvTasNet

    torch.manual_seed(0)
    network = ConvTasNet(n_src=2, n_filters=512, kernel_size=16, stride=8, sample_rate=RATE)
    return network.eval()


def export(network: torch.nn.Module, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.randn(1, RATE * 8),),
            path,
            input_names=["mixture"],
            output_names=["estimates"],
            dynamic_axes={
                "mixture": {0: "batch", 1: "samples"},
                "estimates": {0: "batch", 2: "samples"},
            },
            opset_version=17,
            dynamo=False,
        )


def operations(network: torch.nn.Module, mixture: np.ndarray) -> float:
    """Floating point operations of the convolutions, two for each product and sum."""
    total = 0

    def count(layer, _, output) -> None:
        nonlocal total
        positions = output.shape[-1] if isinstance(layer, torch.nn.Conv1d) else 0
        total += 2 * layer.weight.numel() * positions

    hooks = [
        layer.register_forward_hook(count)
        for layer in network.modules()
        if isinstance(layer, torch.nn.Conv1d)
    ]
    with torch.inference_mode():
        network(torch.from_numpy(mixture))
    for hook in hooks:
        hook.remove()
    return total


def product_speed(size: int = 1536) -> float:
    """Operations a second of a large float32 matrix product: the best of several."""
    one = torch.randn(size, size)
    return max(2 * size**3 / timed(lambda: one @ one) for _ in range(8))


def timed(call) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    network = asteroid_network()
    parameters = sum(value.numel() for value in network.parameters())
    mixture = 0.05 * np.random.default_rng(0).standard_normal((1, round(RATE * arguments.seconds)))
    mixture = mixture.astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        export(network, Path(folder, "model.onnx"))
        registry = vsat.ModelRegistry(Path(folder, "home"))
        facts = {"sample_rate": RATE, "sources": 2}
        registry.register_model("convtasnet", Path(folder, "model.onnx"), facts)
        engine = open_engine(
            registry.get_bundle("convtasnet"), "openvino", "f32", arguments.threads
        )

        @torch.inference_mode()
        def peer() -> np.ndarray:
            return network(torch.from_numpy(mixture)).numpy()

        for _ in range(2):  # the second run of a length compiles for it
            wanted, given = peer(), engine.run(mixture)
        difference = np.mean(np.square(wanted - given, dtype=np.float64))
        agreement = 10 * np.log10(np.mean(np.square(wanted)) / difference)
        floor = operations(network, mixture) / product_speed() / arguments.seconds
        pairs = [(timed(peer), timed(lambda: engine.run(mixture))) for _ in range(arguments.runs)]
    print(describe("asteroid", "torch", "openvino"))
    print(f"Conv-TasNet, {parameters:,} parameters, {arguments.seconds:g} s at {RATE} Hz, f32,")
    print(f"{arguments.threads} threads, {arguments.runs} pairs after two of warm-up")
    for name, times in zip(("asteroid eager", "vsat"), zip(*pairs, strict=True), strict=True):
        factors = [one / arguments.seconds for one in times]
        print(f"  {name:16} real-time factor {summary(factors)}")
    print(f"  ratio            {summary([a / b for a, b in pairs])}")
    share = floor / median(one for _, one in pairs) * arguments.seconds
    print(f"  floor            real-time factor {floor:.3f}; vsat runs at {share:.0%} of it")
    print(f"  agreement        {agreement:.1f} dB")


if __name__ == "__main__":
    sys.exit(main())
