"""Pack the training part of a speech folder into one file of at most 60 MiB.

    python recipes/pack_material.py SPEECH_FOLDER train/voices.zip

The folder has `metadata.csv` (path, corpus, speaker, split, ...) and may have `more.csv`, which is
for training only. Rows whose split is not `train` are never read.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

from vsat.tuning.material import Utterance, write_pack


def training_utterances(folder: Path) -> Iterator[Utterance]:
    """Yield what may be trained on; nothing of a speaker who is held out."""
    held_out: set[tuple[str, str]] = set()
    with open(folder / "metadata.csv", newline="") as file:
        for row in csv.DictReader(file):
            if row["split"] == "train":
                yield Utterance(folder / row["path"], row["corpus"], row["speaker"])
            else:
                held_out.add((row["corpus"], row["speaker"]))
    if (folder / "more.csv").exists():
        with open(folder / "more.csv", newline="") as file:
            for row in csv.DictReader(file):
                if (row["corpus"], row["speaker"]) not in held_out:
                    yield Utterance(folder / row["path"], row["corpus"], row["speaker"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    arguments.target.parent.mkdir(parents=True, exist_ok=True)
    count = write_pack(training_utterances(arguments.folder), arguments.target)
    size = arguments.target.stat().st_size / 2**20
    print(f"{count} utterances, {size:.1f} MiB: {arguments.target}")


if __name__ == "__main__":
    main()
