"""Separate mixtures, twice each, for `fit_estimator.py`; can be stopped and resumed.

    python recipes/collect_separations.py SPEECH_FOLDER OUT --models id@version[,...]
        [--train 300] [--valid 160] [--seconds 4] [--harm NAME,...]

Of each model and mixture one `OUT/<model>/<set>-<row>.npz` is kept: mixture, references, estimates,
what was mixed anew from them, and what came of that. Mixtures of `valid` are rows of the folder's
`mixtures.csv`; those of `train` are drawn by seed from speakers who may be trained on, in the same
shares of kinds. `--harm` does known damage to a model's outputs (see `harms.py`).
"""

import argparse
import csv
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from harms import HARMS

import vsat
from vsat.estimation.outputs import scaled_to
from vsat.estimation.reseparation import Separate, separated_again, shifted_apart

SAMPLE_RATE = 16_000  # Hz, of the speech folder
SEED = 5
KINDS = ("full", "partial", "noisy")
KIND_SHARES = (0.62, 0.19, 0.19)  # as in mixtures.csv
LEVEL_DB = 2.5  # a voice is within plus or minus this, as in mixtures.csv
SNR_DB = (3.0, 20.0)  # of speech over noise
ALONE = (
    0.2,
    0.9,
)  # of the first voice, the share before the second sets in, if they overlap partly


def training_rows(folder: Path, count: int) -> Iterator[dict[str, str]]:
    """Rows as in `mixtures.csv`, of two different speakers of the training part."""
    random = np.random.default_rng(SEED)
    with open(folder / "metadata.csv", newline="") as file:
        voices = [row for row in csv.DictReader(file) if row["split"] == "train"]
    weights = np.array([1.0 if row["corpus"] == "librispeech" else 0.25 for row in voices])
    with open(folder / "noise.csv", newline="") as file:
        noises = [row["path"] for row in csv.DictReader(file)]
    for number in range(count):
        first = voices[random.choice(len(voices), p=weights / weights.sum())]
        others = np.array([row["speaker"] != first["speaker"] for row in voices]) * weights
        second = voices[random.choice(len(voices), p=others / others.sum())]
        kind = random.choice(KINDS, p=KIND_SHARES)
        alone = random.uniform(*ALONE) * float(first["seconds"])
        is_noisy = kind == "noisy"
        yield {
            "id": f"{number:03d}",
            "kind": "partial" if kind == "partial" else "full",
            "voice_1": first["path"],
            "voice_2": second["path"],
            "gain_1_db": f"{random.uniform(-LEVEL_DB, LEVEL_DB):.2f}",
            "gain_2_db": f"{random.uniform(-LEVEL_DB, LEVEL_DB):.2f}",
            "offset_s": f"{alone:.2f}" if kind == "partial" else "0.0",
            "noise": str(random.choice(noises)) if is_noisy else "",
            "noise_start_s": f"{random.uniform(0, 45):.2f}",
            "snr_db": f"{random.uniform(*SNR_DB):.2f}",
        }


def cut(
    row: dict[str, str], mixture: np.ndarray, references: np.ndarray, seconds: int
) -> tuple[np.ndarray, np.ndarray]:
    """The stretch around the middle of the overlap, of whole seconds."""
    length = SAMPLE_RATE * min(seconds, len(mixture) // SAMPLE_RATE)
    both = np.flatnonzero(np.all(references != 0, axis=0))
    centre = len(mixture) // 2 if row["kind"] == "full" or not len(both) else int(np.median(both))
    begin = int(np.clip(centre - length // 2, 0, len(mixture) - length))
    return mixture[begin : begin + length], references[:, begin : begin + length]


def collect(separate: Separate, mixture: np.ndarray, references: np.ndarray, path: Path) -> None:
    """Separate twice and keep all of it; the file appears when it is complete."""
    estimates = separate(mixture)
    parts = shifted_apart(scaled_to(mixture, estimates))
    again = separated_again(separate, parts)
    arrays = {"mixture": mixture, "references": references, "estimates": estimates, "again": again}
    unfinished = path.with_suffix(".part")
    with open(unfinished, "wb") as file:
        np.savez(file, **{name: array.astype(np.float32) for name, array in arrays.items()})
    unfinished.replace(path)


def harmed(separator: vsat.VoiceSeparator, harm: str) -> Separate:
    def separate(mixture: np.ndarray) -> np.ndarray:
        estimates = separator.separate_voices(mixture, SAMPLE_RATE)
        return HARMS[harm](estimates) if harm else estimates

    return separate


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--models", default="voice_separator_default")
    parser.add_argument("--harm", default="")
    parser.add_argument("--train", type=int, default=300)
    parser.add_argument("--valid", type=int, default=160)
    parser.add_argument("--seconds", type=int, default=4)
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.folder))
    import mixtures

    listed = list(mixtures.rows())
    spread = [listed[k * len(listed) // arguments.valid] for k in range(arguments.valid)]
    rows = [("valid", row) for row in spread]
    rows += [("train", row) for row in training_rows(arguments.folder, arguments.train)]
    material = {
        f"{part}-{row['id']}": cut(row, *mixtures.render(row, arguments.folder), arguments.seconds)
        for part, row in rows
    }
    # An engine compiles for each new length, so equal ones follow each other; the sets grow evenly.
    order = sorted(material, key=lambda name: (-len(material[name][0]), zlib.crc32(name.encode())))
    for model in arguments.models.split(","):
        separator = vsat.VoiceSeparator(model, precision="f32", threads=1)
        for harm in arguments.harm.split(","):
            target = arguments.out / "+".join(filter(None, [model, harm]))
            target.mkdir(parents=True, exist_ok=True)
            for name in order:
                path = target / f"{name}.npz"
                if not path.exists():
                    collect(harmed(separator, harm), *material[name], path)
        separator.close()


if __name__ == "__main__":
    main()
