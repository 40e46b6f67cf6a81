"""Tries every fault at every system call that changes the disk, and prints how many went wrong.

python tests/crash/matrix.py [--scenario NAME ...] [--fault kill eio enospc]
    [--journal rollback wal] [--first N]
"""

import argparse
import shutil
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from injection import FAULTS, JOURNALS, Nursery, quick_folder, reason_not_to_run
from scenarios import SCENARIOS, Trial, make_sources


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scenario", nargs="*", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--fault", nargs="*", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--journal", nargs="*", choices=JOURNALS, default=list(JOURNALS))
    parser.add_argument("--first", type=int, help="points of each scenario that are tried")
    arguments = parser.parse_args()
    if reason := reason_not_to_run():
        print(reason)
        return 2
    folder = quick_folder()
    make_sources(folder / "sources")
    tried, shown, failed = 0, 0, []
    try:
        for journal in arguments.journal:
            nursery = Nursery(JOURNALS[journal], folder)
            for name in arguments.scenario:
                begin = time.perf_counter()
                trial = Trial(nursery, SCENARIOS[name], folder)
                points = trial.points[: arguments.first]
                counts = []
                for fault in arguments.fault:
                    wrong = [problem for point in points for problem in trial.run(point, fault)]
                    failed += [f"{journal}, {name}: {problem}" for problem in wrong]
                    tried += len(points)
                    counts.append(f"{fault} {len(points)} tried, {len(wrong)} wrong")
                took = time.perf_counter() - begin
                print(f"{journal:9} {name:24} {'; '.join(counts)}; {took:.0f} s", flush=True)
                print(*failed[shown:], sep="\n", end="\n" if failed[shown:] else "", flush=True)
                shown = len(failed)
            nursery.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{tried} points tried, {len(failed)} problems")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
