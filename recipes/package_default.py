"""Make the packaged default model from a training run, and write its card.

    python recipes/package_default.py train/default SPEECH_FOLDER

Exports the running average of the weights, measures how well the graph agrees with the network and
what it scores on the listed mixtures, and replaces `src/vsat/packaged/voice_separator_default` when
all of that has worked.
"""

import argparse
import hashlib
import json
import os
import platform
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

import torch
from score_mixtures import as_markdown, score

import vsat
from vsat.assembly import agreement_db, export_bundle
from vsat.bundle import Architecture, Manifest
from vsat.files import remove_tree
from vsat.networks.weights import MIN_QUANTISED
from vsat.tuning.material import PACK_RATE
from vsat.tuning.training import Training

ID = "voice_separator_default"
HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "src" / "vsat" / "packaged" / ID
CARD = HERE / "default_card.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path, help="speech folder with mixtures.csv")
    arguments = parser.parse_args()
    training = Training.resume(arguments.run / "checkpoint.pt")
    with tempfile.TemporaryDirectory() as folder:
        bundle = make(training, arguments, Path(folder))
        incoming = TARGET.with_name("incoming")
        remove_tree(incoming)
        shutil.copytree(bundle, incoming)
        remove_tree(TARGET)
        os.replace(incoming, TARGET)
    print(TARGET)


def make(training: Training, arguments: argparse.Namespace, folder: Path) -> Path:
    """Export, measure, and export again with the card that says what was measured."""
    network = training.averaged_network()
    manifest = manifest_of(training, arguments)
    plain = export_bundle(network, manifest, folder / "plain", quantise=False)
    unrounded = scores_of(folder, plain.path, arguments.folder)
    draft = export_bundle(network, manifest, folder / "draft")
    agreement = agreement_db(network, draft)
    scores = scores_of(folder, draft.path, arguments.folder)
    clean = "full clean librispeech + librispeech"
    facts = {
        "parameters": f"{sum(one.numel() for one in network.parameters()):,}",
        "megabytes": f"{sum(one.stat().st_size for one in draft.path.iterdir()) / 1e6:.1f}",
        "agreement": f"{agreement:.0f}",
        "rounding": f"{unrounded['groups'][clean]['si_sdri_db']:.2f}",
        "rounded": f"{scores['groups'][clean]['si_sdri_db']:.2f}",
        "table": as_markdown(scores),
        "factor": f"{scores['speed']['real_time_factor']:.3f}",
        "cores": f"{len(os.sched_getaffinity(0))} cores of {vsat_machine()}",
        "hours": f"{heard_hours(arguments.run):.0f}",
        "steps": f"{training.step:,}",
        "smallest": f"{MIN_QUANTISED:,}",
    }
    card = CARD.read_text(encoding="utf-8")
    for name, value in facts.items():
        card = card.replace("{" + name + "}", value)
    return export_bundle(network, manifest, folder / "final", card=card).path


def manifest_of(training: Training, arguments: argparse.Namespace) -> Manifest:
    pack = arguments.run.parent / "voices.zip"
    settings = json.loads((HERE / "default.json").read_text())
    return Manifest(
        id=ID,
        version=1,
        task="separation",
        sample_rate=PACK_RATE,
        sources=2,
        architecture=Architecture(training.config.architecture, training.config.parameters),
        licence="Apache-2.0",
        description="Two voices at 16 kHz; trained by vsat on five hours of read speech.",
        lineage={
            "base": None,
            "base_digest": None,
            "data_fingerprint": hashlib.sha256(pack.read_bytes()).hexdigest(),
            "configuration": settings | {"torch": version("torch"), "steps": training.step},
            "seed": 0,
        },
    )


def scores_of(folder: Path, bundle: Path, speech: Path) -> dict[str, dict[str, object]]:
    registry = vsat.ModelRegistry(folder / f"home-{bundle.name}", package_folder=folder)
    registry.register_model("candidate", bundle, {})
    return score(vsat.VoiceSeparator("candidate", registry=registry), speech)


def heard_hours(run: Path) -> float:
    """Hours of mixtures that the run has seen, over all its processes."""
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return float(rows[-1]["audio_h"])


def vsat_machine() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
