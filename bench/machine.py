"""What a figure was measured on, and how it is summed up."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from statistics import median

from vsat.settings import machine_id


def describe(*packages: str) -> str:
    """The machine and the versions of what was measured."""
    found = []
    for name in ("vsat", "numpy", *packages):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} (not installed)")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{machine_id()}, {cores} cores, Python {platform.python_version()}; {', '.join(found)}"


def summary(values: Sequence[float]) -> str:
    """Median, with the lowest and the highest."""
    return f"{median(values):.3f}  (from {min(values):.3f} to {max(values):.3f})"
