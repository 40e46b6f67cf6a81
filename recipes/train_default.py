"""Train the default model, from the packed material, resuming where the last run stopped.

    python recipes/train_default.py train/voices.zip train/run --config recipes/default.json

Writes `checkpoint.pt` (at most 16 MiB) and `log.jsonl` into the run's folder. Stop it at any time;
start it again and it goes on. `--valid SPEECH_FOLDER` scores the running average now and then.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from vsat.tuning.material import PACK_RATE, hours, read_pack
from vsat.tuning.mixing import Mixer, MixingConfig
from vsat.tuning.rooms import simulate_rooms
from vsat.tuning.training import Prefetched, Training, TrainingConfig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pack", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60.0, help="of training, in this call")
    parser.add_argument("--report", type=float, default=60.0, help="seconds between reports")
    parser.add_argument("--score", type=float, default=300.0, help="seconds between scores")
    parser.add_argument("--valid", type=Path, help="speech folder with mixtures.csv")
    parser.add_argument("--rows", type=int, default=20, help="validation rows scored")
    parser.add_argument("--decay", action="store_true", help="let the rate fall to nothing")
    parser.add_argument("--rate", type=float, help="another learning rate")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--processes", type=int, default=1, help="that share their weights")
    parser.add_argument("--rank", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--share", type=int, default=16, help="steps between sharing weights")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    settings = json.loads(arguments.config.read_text())
    config = TrainingConfig(**settings["training"])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    arguments.run.mkdir(parents=True, exist_ok=True)
    checkpoint = arguments.run / "checkpoint.pt"
    changes = {"learning_rate": arguments.rate} if arguments.rate else {}
    if checkpoint.exists():
        training = Training.resume(checkpoint, device, **changes)
    else:
        training = Training(config, device)
    if arguments.compile:
        training.compile()
    voices = read_pack(arguments.pack)
    print(f"{len(voices)} speakers, {hours(voices):.2f} h", flush=True)
    rooms = simulate_rooms(60)
    mixer = Mixer(voices, MixingConfig(**settings["mixing"]), rooms, [training.step, 7])
    source = Prefetched(mixer, training.config.batch_size)
    begin = reported = scored = time.monotonic()
    losses: list[float] = []
    with open(arguments.run / "log.jsonl", "a") as log:
        while (now := time.monotonic()) - begin < arguments.minutes * 60:
            left = 1 - (now - begin) / (arguments.minutes * 60)
            losses.append(
                training.take_step(next(source), PACK_RATE, left if arguments.decay else 1.0)
            )
            if now - reported >= arguments.report:
                reported = now
                row = {
                    "step": training.step,
                    "train_s": round(training.train_s),
                    "audio_h": round(training.audio_s / 3600, 3),
                    "audio_s_per_s": round(training.audio_s / training.train_s, 1),
                    "loss_db": round(float(np.mean(losses)), 3),
                }
                losses = []
                training.save(checkpoint)
                if arguments.valid and now - scored >= arguments.score:
                    scored = now
                    row["valid_db"] = round(score(training, arguments.valid, arguments.rows), 3)
                print(json.dumps(row), flush=True)
                print(json.dumps(row), file=log, flush=True)
    training.save(checkpoint)
    if arguments.valid:
        print("final", round(score(training, arguments.valid, arguments.rows), 3), flush=True)
    source.close()


def score(training: Training, folder: Path, n_rows: int) -> float:
    """Mean SI-SDR improvement in dB of the averaged network on the first clean full rows."""
    import sys

    sys.path.insert(0, str(folder))
    import mixtures

    network = training.averaged_network()
    improvements = []
    for row in mixtures.rows(kind="full")[:n_rows]:
        mixture, references = mixtures.render(row, folder)
        with torch.inference_mode():
            estimates = network(torch.from_numpy(mixture)[None])[0].numpy()
        before = [si_sdr_db(mixture, r) for r in references]
        after = [[si_sdr_db(e, r) for r in references] for e in estimates]
        best = max(after[0][0] + after[1][1], after[0][1] + after[1][0])
        improvements.append((best - sum(before)) / 2)
    return float(np.mean(improvements))


def si_sdr_db(estimate: np.ndarray, reference: np.ndarray) -> float:
    scaled = reference * (estimate @ reference) / (reference @ reference)
    return float(10 * np.log10((scaled @ scaled) / (np.sum((estimate - scaled) ** 2) + 1e-12)))


if __name__ == "__main__":
    main()
