"""Processes that register, switch and read at once: what is lost, and how long readers wait.

    python bench/registry_many_processes.py [--processes 32] [--each 20] [--readers 4]
        [--folder DIR]

Each writer registers a file of its own so many times and makes each version current. The readers
ask for the current version as quickly as they can, until the last writer has ended.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import describe, summary

import vsat

WRITER = """
import sys, vsat
home, source, each = sys.argv[1:4]
registry = vsat.ModelRegistry(home)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(each)):
    number = registry.register_model("shared", source, {"task": "other"})
    registry.set_current_version("shared", number)
    print(number, flush=True)
"""
READER = """
import json, select, sys, time, vsat
registry = vsat.ModelRegistry(sys.argv[1])
print("ready", flush=True)
took = []
while not select.select([sys.stdin], [], [], 0)[0]:
    begin = time.perf_counter()
    path = registry.get_model_path("shared")
    took.append(time.perf_counter() - begin)
    assert path.exists()
    time.sleep(0.002)
print(json.dumps(took))
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for_ready(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--processes", type=int, default=32)
    parser.add_argument("--each", type=int, default=20)
    parser.add_argument("--readers", type=int, default=4)
    parser.add_argument("--folder", type=Path, help="on the disk that is measured")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="vsat-bench-") as name:
        home = Path(name) / "home"
        sources = [Path(name) / f"{number}.bin" for number in range(arguments.processes)]
        for number, source in enumerate(sources):
            source.write_bytes(b"%8d" % number * 256)
        registry = vsat.ModelRegistry(home)
        registry.register_model("shared", sources[0], {"task": "other"})
        writers = [start(WRITER, home, source, arguments.each) for source in sources]
        wait_for_ready(writers)
        readers = [start(READER, home) for _ in range(arguments.readers)]
        wait_for_ready(readers)
        begin = time.perf_counter()
        for process in writers:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        given = [line for process in writers for line in process.communicate()[0].split()]
        took = time.perf_counter() - begin
        waits = [s for process in readers for s in json.loads(process.communicate("\n")[0])]
        expected = arguments.processes * arguments.each
        whole = registry.list_models()["shared"]["versions_count"] == expected + 1
        damaged = registry.verify()
        registry.close()
    waits.sort()
    print(f"{describe()}, in {arguments.folder or tempfile.gettempdir()}")
    print(f"  {len(set(given))} of {expected} registrations, {len(damaged)} damaged files", end="")
    print(f", each made current, in {took:.1f} s: {expected / took:.0f} a second")
    print(f"  readers waited {summary([1e3 * s for s in waits])} ms in {len(waits)} reads", end="")
    print(f"; 99 of 100 less than {1e3 * waits[int(0.99 * len(waits))]:.1f} ms")
    if not whole or damaged or len(set(given)) != expected:
        sys.exit("something was lost")


if __name__ == "__main__":
    main()
