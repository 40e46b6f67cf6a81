"""How long new processes take: `import vsat` and `vsat models`, beside `python -c pass`.

    python bench/start_up.py [--runs 15]

Each run starts the three in turn; ratios are taken run by run.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import describe, summary

import vsat


def timed(command: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=15)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        registry = vsat.ModelRegistry(folder)
        (Path(folder) / "blob").write_bytes(b"x")
        for number in range(10):
            registry.register_model(f"model{number}", Path(folder) / "blob", {"task": "other"})
        registry.close()
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "import vsat": [sys.executable, "-c", "import vsat"],
            "vsat models": [sys.executable, "-m", "vsat", "--home", folder, "models"],
        }
        for command in commands.values():
            timed(command)
        runs = [[timed(command) for command in commands.values()] for _ in range(arguments.runs)]
    print(describe("click"))
    for number, name in enumerate(commands):
        print(f"  {name:16} {summary([run[number] for run in runs])} s", end="")
        print(f"   ratio {summary([run[number] / run[0] for run in runs])}")


if __name__ == "__main__":
    main()
