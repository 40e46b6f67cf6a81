"""Speed with equal weights: vsat against asteroid's Conv-TasNet in PyTorch eager.

    pip install --no-deps asteroid asteroid-filterbanks && pip install requests huggingface_hub
    python bench/separate_asteroid.py [--seconds 8] [--runs 7]
    python bench/separate_asteroid.py --model DPRNNTasNet

Asteroid makes a model (a Conv-TasNet at 8 kHz has 5.05 M parameters) with random weights and
writes a checkpoint; vsat converts it to a bundle, as `vsat import` does. Both separate the same
window in turn, A B A B ..., on the same number of threads; the ratio is taken pair by pair.
Agreement is signal over difference, in dB.

The floor is what the network's convolutions would take if they ran like a large float32 matrix
product, which is measured in the same run: no f32 arithmetic is faster on this machine.

With --windows, vsat alone separates 32 seconds in windows of 2, 4, 8 and 16 seconds, in one stream
of all threads and in as many streams of one thread each.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from threading import Lock
from types import SimpleNamespace

import numpy as np
import torch
from machine import describe, summary

from vsat.assembly import export_bundle
from vsat.bundle import Bundle, Manifest
from vsat.convert.checkpoint import Checkpoint
from vsat.convert.families import recognise
from vsat.engines import Engine, open_engine
from vsat.networks import build

RATE = 8_000  # Hz
WINDOWS_S = (2, 4, 8, 16)
LONG_S = 32  # seconds separated in windows
MODELS = ("ConvTasNet", "DPRNNTasNet", "SuDORMRFNet", "SuDORMRFImprovedNet")


def asteroid_network(name: str) -> torch.nn.Module:
    from asteroid import models

    torch.manual_seed(0)
    arguments = {"mask_act": "relu"} if name == "ConvTasNet" else {}
    return getattr(models, name)(n_src=2, sample_rate=RATE, **arguments).eval()


def convert(network: torch.nn.Module, folder: Path) -> Bundle:
    """A bundle of what Asteroid's own `serialize` writes."""
    # It asks only for this package's version, to note it down.
    sys.modules.setdefault("pytorch_lightning", SimpleNamespace(__version__="none"))
    document = dict(network.serialize())
    tensors = {name: value.numpy() for name, value in document.pop("state_dict").items()}
    conversion = recognise(Checkpoint("model.pth", tensors, document))
    own = build(conversion.architecture.name, conversion.architecture.parameters)
    own.load_state_dict({name: torch.from_numpy(one) for name, one in conversion.tensors.items()})
    manifest = Manifest(
        id="asteroid",
        version=1,
        task="separation",
        sample_rate=conversion.sample_rate.value,
        sources=conversion.sources.value,
        architecture=conversion.architecture,
    )
    return export_bundle(own, manifest, folder, quantise=False)


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


def noise(seconds: float) -> np.ndarray:
    random = np.random.default_rng(0)
    return (0.05 * random.standard_normal((1, round(RATE * seconds)))).astype(np.float32)


def side_by_side(network: torch.nn.Module, bundle: Bundle, arguments: argparse.Namespace) -> None:
    engine = open_engine(bundle, "openvino", "f32", arguments.threads)
    mixture, seconds = noise(arguments.seconds), arguments.seconds

    @torch.inference_mode()
    def peer() -> np.ndarray:
        return network(torch.from_numpy(mixture)).numpy()

    for _ in range(2):  # the second run of a length compiles for it
        wanted, given = peer(), engine.run(mixture)
    difference = np.mean(np.square(wanted - given, dtype=np.float64))
    agreement = 10 * np.log10(np.mean(np.square(wanted)) / difference)
    floor = operations(network, mixture) / product_speed() / seconds
    pairs = [(timed(peer), timed(lambda: engine.run(mixture))) for _ in range(arguments.runs)]
    for name, times in zip(("asteroid eager", "vsat"), zip(*pairs, strict=True), strict=True):
        print(f"  {name:16} real-time factor {summary([one / seconds for one in times])}")
    print(f"  ratio            {summary([a / b for a, b in pairs])}")
    if arguments.model == "ConvTasNet":  # the others' work is not in convolutions alone
        share = floor / median(one for _, one in pairs) * seconds
        print(f"  floor            real-time factor {floor:.3f}; vsat runs at {share:.0%} of it")
    print(f"  agreement        {agreement:.1f} dB")


def windows(bundle: Bundle, arguments: argparse.Namespace) -> None:
    """Every length and division of the threads in turn, round after round."""
    runners = {
        (seconds, streams): in_streams(bundle, noise(seconds), streams, arguments.threads)
        for seconds in WINDOWS_S
        for streams in sorted({1, arguments.threads})
    }
    times: dict[tuple[int, int], list[float]] = {key: [] for key in runners}
    for _ in range(arguments.runs):
        for key, separate in runners.items():
            times[key].append(timed(separate) / LONG_S)
    for (seconds, streams), factors in times.items():
        threads = arguments.threads // streams
        print(f"  {seconds:2} s, streams of threads {streams} x {threads}: {summary(factors)}")


def in_streams(
    bundle: Bundle, mixture: np.ndarray, streams: int, threads: int
) -> Callable[[], None]:
    """Separates `LONG_S` seconds in windows like the mixture, shared among streams."""
    engines = [open_engine(bundle, "openvino", "f32", threads // streams) for _ in range(streams)]
    for _ in range(2):  # the second run of a length compiles for it
        for engine in engines:
            engine.run(mixture)
    left = [round(LONG_S * RATE / mixture.shape[-1])]
    lock = Lock()

    def take() -> bool:
        with lock:
            left[0] -= 1
            return left[0] >= 0

    def work(engine: Engine) -> None:
        while take():
            engine.run(mixture)

    def separate() -> None:
        left[0] = round(LONG_S * RATE / mixture.shape[-1])
        with ThreadPoolExecutor(streams) as pool:
            list(pool.map(work, engines))

    return separate


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=MODELS, default=MODELS[0])
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--windows", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    network = asteroid_network(arguments.model)
    parameters = sum(value.numel() for value in network.parameters())
    print(describe("asteroid", "torch", "openvino"))
    print(
        f"{arguments.model}, {parameters:,} parameters, {arguments.seconds:g} s at {RATE} Hz, f32,"
    )
    print(f"{arguments.threads} threads, {arguments.runs} pairs after two of warm-up")
    with tempfile.TemporaryDirectory() as folder:
        bundle = convert(network, Path(folder, "bundle"))
        if arguments.windows:
            windows(bundle, arguments)
        else:
            side_by_side(network, bundle, arguments)


if __name__ == "__main__":
    sys.exit(main())
