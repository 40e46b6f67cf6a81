"""A home that can't be written to still reads and separates, as another person would use it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

toys = pytest.importorskip("toys")
pytest.importorskip("openvino")

from vsat.registry import ModelRegistry

CHILD = """
import os, sys
import numpy as np
from vsat import ModelRegistry, StorageError, VoiceSeparator
mixture = np.random.default_rng(0).normal(0, 0.05, 8000).astype(np.float32)
warm = ModelRegistry(sys.argv[2])  # loads what another person may not be allowed to load
VoiceSeparator("toy", registry=warm).separate_voices(mixture)
warm.find_versions("tuned")
warm.upkeep.repair()
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
registry = ModelRegistry(sys.argv[1])
voices = VoiceSeparator("toy", registry=registry).separate_voices(mixture)
print(voices.shape, float(np.abs(voices.sum(0) - mixture).max()) < 1e-3)
print([record.version for record in registry.find_versions("sample_rate = 8000")])
try:
    registry.upkeep.repair()
except StorageError as error:
    print(bool(error.hint))
"""


@pytest.mark.skipif(os.name == "nt", reason="permissions work differently there")
def test_a_read_only_home_separates(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "home", self_test=lambda bundle: None)
    toys.register(registry, tmp_path, toys.low_and_high())
    registry.close()
    home = registry.home
    shutil.copytree(home, tmp_path / "warm")
    names = sorted(str(path) for path in home.rglob("*"))
    changed = {path: path.stat().st_mode for path in [*home.parents, home, *home.rglob("*")]}
    for path in [home, *home.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    for path in home.parents:
        if path.stat().st_mode & 0o005 != 0o005:
            path.chmod(0o755)
    try:
        command = [sys.executable, "-c", CHILD, str(home), str(tmp_path / "warm")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    finally:
        for path, mode in changed.items():
            if path.stat().st_mode != mode:
                path.chmod(mode)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["(2, 8000) True", "[1]", "True"]
    assert sorted(str(path) for path in home.rglob("*")) == names
