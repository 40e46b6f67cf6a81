"""Train the default model on the packed material, going on from where the last run stopped.

    python recipes/train_default.py train/voices.zip train/default --config recipes/default.json

Writes `checkpoint.pt` (at most 16 MiB) and `log.jsonl` into the run's folder. Stop it at any time;
start it again and it goes on. `--valid SPEECH_FOLDER` scores the running average now and then on
mixtures that are only listened to, never learned from. `--processes 2` trains in two processes that
average their weights every few steps; give each one thread on two cores.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed, multiprocessing

from vsat.tuning.material import PACK_RATE, hours, read_pack
from vsat.tuning.mixing import Mixer, MixingConfig
from vsat.tuning.rooms import simulate_rooms
from vsat.tuning.training import Prefetched, Training, TrainingConfig

N_ROOMS = 60  # simulated before the run; about ten seconds


def main() -> None:
    arguments = parsed()
    arguments.run.mkdir(parents=True, exist_ok=True)
    if torch.cuda.is_available():
        arguments.processes = 1  # one graphics card is faster than any number of cores
    if arguments.processes == 1:
        train(0, arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        arguments.meeting_point = f"file://{folder}/meeting"
        multiprocessing.spawn(train, (arguments,), arguments.processes)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
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
    parser.add_argument("--threads", type=int, help="of each process")
    parser.add_argument("--processes", type=int, default=1, help="that share their weights")
    parser.add_argument(
        "--processor-time", action="store_true", help="count minutes of processor time instead"
    )
    parser.add_argument("--share", type=int, default=16, help="steps between sharing weights")
    return parser.parse_args()


def train(rank: int, arguments: argparse.Namespace) -> None:
    """Run one process of the training; rank 0 reports and saves."""
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.processes > 1:
        distributed.init_process_group(
            "gloo", arguments.meeting_point, rank=rank, world_size=arguments.processes
        )
    training, mixing = opened(arguments)
    voices = read_pack(arguments.pack)
    if rank == 0:
        print(f"{len(voices)} speakers, {hours(voices):.2f} h", flush=True)
    mixer = Mixer(voices, mixing, simulate_rooms(N_ROOMS), [training.step, rank])
    source = Prefetched(mixer, training.config.batch_size)
    run(training, source, arguments, rank)
    source.close()
    if arguments.processes > 1:
        distributed.destroy_process_group()


def opened(arguments: argparse.Namespace) -> tuple[Training, MixingConfig]:
    settings = json.loads(arguments.config.read_text())
    mixing = MixingConfig(**settings["mixing"])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    checkpoint = arguments.run / "checkpoint.pt"
    if not checkpoint.exists():
        return Training(TrainingConfig(**settings["training"]), device), mixing
    changes = {name: settings["training"][name] for name in ("batch_size", "warm_up_steps")}
    if arguments.rate:
        changes["learning_rate"] = arguments.rate
    return Training.resume(checkpoint, device, **changes), mixing


def run(training: Training, source: Prefetched, arguments: argparse.Namespace, rank: int) -> None:
    clock = time.process_time if arguments.processor_time else time.monotonic
    begin = reported = scored = clock()
    losses: list[float] = []
    left = 1.0
    while left > 0:
        rate_factor = left if arguments.decay else 1.0
        losses.append(training.take_step(next(source), PACK_RATE, rate_factor))
        if training.step % arguments.share:
            continue
        training.share()
        now = clock()
        left = agreed(1 - (now - begin) / (arguments.minutes * 60))
        if rank == 0 and now - reported >= arguments.report:
            reported = now
            valid = arguments.valid if now - scored >= arguments.score else None
            scored = now if valid else scored
            report(training, losses, arguments, valid)
            losses = []
    if rank == 0:
        report(training, losses, arguments, arguments.valid)


def agreed(value: float) -> float:
    """The value of the first process, in all."""
    if not distributed.is_initialized():
        return value
    shared = torch.tensor([value])
    distributed.broadcast(shared, 0)
    return float(shared)


def report(
    training: Training, losses: list[float], arguments: argparse.Namespace, valid: Path | None
) -> None:
    training.save(arguments.run / "checkpoint.pt")
    row: dict[str, Any] = {
        "step": training.step,
        "train_s": round(training.train_s),
        "audio_h": round(training.audio_s / 3600, 2),
        "audio_s_per_s": round(training.audio_s / training.train_s, 1),
        "loss_db": round(float(np.mean(losses)), 3) if losses else None,
    }
    if valid:
        row["valid_db"] = round(score(training, valid, arguments.rows), 3)
    print(json.dumps(row), flush=True)
    with open(arguments.run / "log.jsonl", "a") as log:
        print(json.dumps(row), file=log)


def score(training: Training, folder: Path, n_rows: int) -> float:
    """Mean SI-SDR improvement in dB of the averaged network on the first clean full rows."""
    sys.path.insert(0, str(folder))
    import mixtures

    network = training.averaged_network()
    improvements = []
    for row in mixtures.rows(kind="full")[:n_rows]:
        mixture, references = mixtures.render(row, folder)
        with torch.inference_mode():
            estimates = network(torch.from_numpy(mixture)[None])[0].numpy()
        before = sum(si_sdr_db(mixture, reference) for reference in references)
        after = [[si_sdr_db(one, reference) for reference in references] for one in estimates]
        best = max(after[0][0] + after[1][1], after[0][1] + after[1][0])
        improvements.append((best - before) / 2)
    return float(np.mean(improvements))


def si_sdr_db(estimate: np.ndarray, reference: np.ndarray) -> float:
    scaled = reference * (estimate @ reference) / (reference @ reference)
    return float(10 * np.log10((scaled @ scaled) / (np.sum((estimate - scaled) ** 2) + 1e-12)))


if __name__ == "__main__":
    main()
