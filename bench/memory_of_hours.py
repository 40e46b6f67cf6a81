"""Peak memory of separating one hour and three hours with the default model, each in a process.

    python bench/memory_of_hours.py [--hours 1 3] [--model id@version]

The recording is noise that swells like speech, 16 kHz; its content does not change what is held.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from machine import describe

RATE = 16_000  # Hz
CHILD = """
import json, resource, sys, vsat
separator = vsat.VoiceSeparator(sys.argv[1])
result = separator.separate(sys.argv[2], sys.argv[3])
print(json.dumps({"rtf": result.real_time_factor, "model": result.model,
    "peak_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))
"""


def write_recording(path: Path, hours: float) -> None:
    random = np.random.default_rng(0)
    minute = random.standard_normal(60 * RATE) * np.interp(
        np.arange(60 * RATE), np.linspace(0, 60 * RATE, 200), random.random(200)
    )
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16", format="FLAC") as file:
        for _ in range(round(hours * 60)):
            file.write(0.1 * minute)


def main() -> None:
    import json

    parser = argparse.ArgumentParser()
    parser.add_argument("--hours", type=float, nargs="+", default=[1.0, 3.0])
    parser.add_argument("--model", default="voice_separator_default")
    arguments = parser.parse_args()
    print(describe("openvino"))
    peaks = []
    for hours in arguments.hours:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "recording.flac")
            write_recording(path, hours)
            command = [sys.executable, "-c", CHILD, arguments.model, path, folder]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        answer = json.loads(done.stdout)
        peaks.append(answer["peak_kb"] / 1e3)
        print(
            f"  {hours:g} h with {answer['model']}: peak memory {peaks[-1]:.0f} MB, "
            f"real-time factor {answer['rtf']:.4f} (file to files)"
        )
    print(f"  highest over lowest: {max(peaks) / min(peaks):.3f}")


if __name__ == "__main__":
    main()
