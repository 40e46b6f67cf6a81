"""Score a registered version on the listed mixtures of a speech folder, group by group.

    python recipes/score_mixtures.py SPEECH_FOLDER [--model id@version] [--json]

Mean SI-SDR improvement in dB with a 95 % bootstrap interval over the rows of each group. Everything
goes through `VoiceSeparator`, as a person's recordings do. The real-time factor is the time in
`separate_voices` over the length of what was separated.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

import vsat
from vsat.metrics import si_sdr_improvement_db

N_RESAMPLES = 5_000


def group_of(row: dict[str, str]) -> str:
    noise = "noisy" if row["noise"] else "clean"
    return f"{row['kind']} {noise} {row['corpora'].replace('+', ' + ')}"


def score(separator: vsat.VoiceSeparator, folder: Path) -> dict[str, dict[str, Any]]:
    """Figures of each group, and of the time that it took."""
    sys.path.insert(0, str(folder))
    import mixtures

    improvements: dict[str, list[float]] = defaultdict(list)
    elapsed_s = audio_s = 0.0
    for row in mixtures.rows():
        mixture, references = mixtures.render(row, folder)
        begin = time.perf_counter()
        estimates = separator.separate_voices(mixture, mixtures.SAMPLE_RATE)
        elapsed_s += time.perf_counter() - begin
        audio_s += len(mixture) / mixtures.SAMPLE_RATE
        improvement = si_sdr_improvement_db(estimates, references, mixture)
        improvements[group_of(row)].append(improvement)
    groups = {name: figures(values) for name, values in sorted(improvements.items())}
    return {"groups": groups, "speed": {"real_time_factor": round(elapsed_s / audio_s, 4)}}


def figures(values: list[float]) -> dict[str, float]:
    drawn = np.random.default_rng(0).choice(values, (N_RESAMPLES, len(values))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {
        "rows": len(values),
        "si_sdri_db": round(float(np.mean(values)), 2),
        "low_db": round(float(low), 2),
        "high_db": round(float(high), 2),
        "worst_db": round(min(values), 2),
    }


def as_markdown(scores: dict[str, dict[str, Any]]) -> str:
    lines = ["| mixtures | rows | SI-SDR improvement, dB | 95 % interval | worst row |"]
    lines += ["| --- | ---: | ---: | --- | ---: |"]
    for name, one in scores["groups"].items():
        interval = f"{one['low_db']:.2f} to {one['high_db']:.2f}"
        lines.append(
            f"| {name} | {one['rows']} | {one['si_sdri_db']:.2f} | {interval} "
            f"| {one['worst_db']:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="voice_separator_default")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    separator = vsat.VoiceSeparator(arguments.model)
    scores = score(separator, arguments.folder)
    if arguments.json:
        print(json.dumps(scores, indent=2))
        return
    print(f"{separator.model}, {separator.engine} {separator.precision}")
    print(as_markdown(scores))
    print(f"real-time factor {scores['speed']['real_time_factor']}")


if __name__ == "__main__":
    main()
