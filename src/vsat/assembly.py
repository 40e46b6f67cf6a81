"""From a network to a bundle: weights, an ONNX graph of the same, a manifest."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vsat.bundle import MANIFEST_NAME, Bundle, FileRecord, Manifest, read_bundle
from vsat.engines import open_engine
from vsat.files import sha256_of
from vsat.networks.graph import to_onnx, with_quantised_weights
from vsat.networks.weights import save_quantised, save_weights

AGREEMENT_LENGTHS = (16_000, 40_001, 95_999)  # samples; odd ones too


def export_bundle(
    network: nn.Module, manifest: Manifest, folder: Path, *, card: str = "", quantise: bool = True
) -> Bundle:
    """Write a network as a bundle.

    Args:
        network: its weights are rounded to 8 bits if `quantise`, so that it and the bundle agree.
        manifest: everything but the files.
        folder: empty or not there yet.
        card: text of README.md.
        quantise: whether matrices are kept in 8 bits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    network = network.eval()
    (save_quantised if quantise else save_weights)(network, folder / "weights.safetensors")
    graph = to_onnx(network)
    if quantise:
        graph = with_quantised_weights(graph)
    (folder / "model.onnx").write_bytes(graph.SerializeToString())
    if card:
        (folder / "README.md").write_text(card, encoding="utf-8")
    for path in folder.iterdir():
        path.chmod(0o644)  # safetensors lets only the owner read
    files = {
        path.name: FileRecord(sha256_of(path), path.stat().st_size)
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST_NAME
    }
    (folder / MANIFEST_NAME).write_bytes(replace(manifest, files=files).to_json())
    return read_bundle(folder, verify=True)


def agreement_db(network: nn.Module, bundle: Bundle) -> float:
    """How well the bundle's graph agrees with the network: the lowest over several lengths, in dB.

    Signal over difference, each as mean power; speech-like noise, the same every time.
    """
    engine = open_engine(bundle)
    found = []
    for mixture in _test_signals():
        with torch.inference_mode():
            wanted = network(torch.from_numpy(mixture)).numpy()
        difference = np.mean(np.square(wanted - engine.run(mixture), dtype=np.float64))
        found.append(10 * np.log10(np.mean(np.square(wanted)) / (difference + 1e-30)))
    return float(min(found))


def _test_signals() -> Iterator[np.ndarray]:
    random = np.random.default_rng(0)
    for length in AGREEMENT_LENGTHS:
        swell = 0.55 + 0.45 * np.sin(np.arange(length) * (2 * np.pi * 4 / 16_000))
        yield (0.05 * random.standard_normal((1, length)) * swell).astype(np.float32)
