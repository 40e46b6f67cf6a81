"""Score, speed and memory of the published TIGER-speech: our bundle against PyTorch eager.

    python bench/separate_tiger.py ../shared/checkpoints/tiger-speech ../shared/speech [--rows 20]

The folder has `config.json` and `model.safetensors` as they are published. The score is the mean
SI-SDR improvement, with the best permutation, over the first clean full-overlap LibriSpeech
mixtures that the second folder lists. Speed: both separate the same window in turn, A B A B ...,
on the same number of threads; processor time is given too, as it suffers less from what else
runs. Agreement is signal over difference, in dB.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median

import numpy as np
import torch
from machine import describe, summary
from safetensors.numpy import load_file

from vsat.assembly import agreement_db, export_bundle
from vsat.bundle import Bundle, Manifest
from vsat.convert.checkpoint import Checkpoint
from vsat.convert.tiger import recognise
from vsat.engines import Engine, open_engine
from vsat.metrics import si_sdr_improvement_db
from vsat.networks import build

RATE = 16_000  # Hz


def convert(folder: Path, out: Path) -> tuple[torch.nn.Module, Bundle]:
    config = json.loads((folder / "config.json").read_text())
    conversion = recognise(Checkpoint(str(folder), load_file(folder / "model.safetensors"), config))
    if conversion is None:
        sys.exit(f"{folder} has no TIGER.")
    network = build(conversion.architecture.name, conversion.architecture.parameters).eval()
    network.load_state_dict(
        {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in conversion.tensors.items()}
    )
    manifest = Manifest(
        id="tiger",
        version=1,
        task="separation",
        sample_rate=conversion.sample_rate.value,
        sources=conversion.sources.value,
        architecture=conversion.architecture,
    )
    return network, export_bundle(network, manifest, out, quantise=False)


def scores(bundle: Bundle, speech: Path, count: int, threads: int) -> list[float]:
    sys.path.insert(0, str(speech))
    import mixtures

    engine = open_engine(bundle, "openvino", "f32", threads)
    clean = [
        row
        for row in mixtures.rows(kind="full")
        if not row["noise"] and row["corpora"] == "librispeech+librispeech"
    ]
    found = []
    for row in clean[:count]:
        mixture, references = mixtures.render(row)
        found.append(si_sdr_improvement_db(engine.run(mixture[None])[0], references, mixture))
    return found


def timed(call: Callable[[], object]) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--seconds", type=float, nargs="+", default=[4.0, 12.0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(describe("torch", "openvino"))
    with tempfile.TemporaryDirectory() as folder:
        begin = time.process_time()
        network, bundle = convert(arguments.checkpoint, Path(folder, "bundle"))
        print(f"converted in {time.process_time() - begin:.1f} s of processor time")
        engine = open_engine(bundle, "openvino", "f32", arguments.threads)
        for seconds in arguments.seconds:
            compare(network, engine, seconds, arguments)
        print(f"  agreement        {agreement_db(network, bundle):.1f} dB, the lowest of several")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"  peak memory      {peak:.0f} MiB, with PyTorch")
        found = scores(bundle, arguments.speech, arguments.rows, arguments.threads)
    print(
        f"  SI-SDR improvement over {len(found)} mixtures: {mean(found):.2f} dB "
        f"(median {median(found):.2f}, from {min(found):.2f} to {max(found):.2f})"
    )


def compare(
    network: torch.nn.Module, engine: Engine, seconds: float, arguments: argparse.Namespace
) -> None:
    random = np.random.default_rng(0)
    mixture = 0.05 * random.standard_normal((1, round(RATE * seconds))).astype(np.float32)

    @torch.inference_mode()
    def eager() -> None:
        network(torch.from_numpy(mixture))

    runs = {"PyTorch eager": eager, "vsat": lambda: engine.run(mixture)}
    for run in runs.values():
        run()
    times = {name: [] for name in runs}
    for _ in range(arguments.runs):
        for name, run in runs.items():
            times[name].append([one / seconds for one in timed(run)])
    print(f"windows of {seconds:g} s, {arguments.threads} threads, {arguments.runs} pairs")
    for name, pairs in times.items():
        walls, processors = zip(*pairs, strict=True)
        print(f"  {name:16} real-time factor {summary(walls)}; processor {summary(processors)}")


if __name__ == "__main__":
    main()
