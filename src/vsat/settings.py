"""Where things live and what machine this is: the only reader of the environment."""

import os
import sys
from functools import lru_cache
from pathlib import Path

from vsat.errors import UsageError

HOME_VARIABLE = "VSAT_HOME"
MAX_MACHINE_LENGTH = 120  # characters of the machine's name that are kept


def home(override: str | Path | None = None) -> Path:
    """The absolute folder that holds the registry; it need not exist.

    Args:
        override: a folder that goes before all else; then the variable VSAT_HOME; then the
            platform's folder for a person's data.

    Raises:
        UsageError: the path is empty or can't be one.
    """
    if override is not None:
        chosen = os.fspath(override)
        if not chosen:
            raise UsageError("The registry's folder is an empty text.", hint="Name a folder.")
    else:
        chosen = os.environ.get(HOME_VARIABLE, "") or _platform_home()
    if "\0" in chosen:
        raise UsageError("The registry's folder has a NUL character in it.", hint="Name a folder.")
    try:
        return Path(chosen).expanduser().absolute()
    except RuntimeError as error:  # "~someone" who doesn't exist
        raise UsageError(f"{chosen}: {error}", hint="Write the whole path.") from error


def _platform_home() -> str:
    import platformdirs  # only here: most runs of the tests and many of the command don't need it

    return platformdirs.user_data_dir("vsat", appauthor=False)


def person() -> str:
    """The name of who runs this, for the history; empty where the system doesn't say."""
    for variable in ("LOGNAME", "USER", "USERNAME"):
        name = os.environ.get(variable, "")
        if name:
            return name[:64]
    return ""


@lru_cache(maxsize=1)
def machine_id() -> str:
    """A short text that stays the same for one kind of machine: system, architecture, processor."""
    architecture = os.uname().machine if hasattr(os, "uname") else _windows_architecture()
    words = f"{sys.platform} {architecture} {_processor_name()}".split()
    return " ".join(words)[:MAX_MACHINE_LENGTH]


def _windows_architecture() -> str:
    return os.environ.get("PROCESSOR_ARCHITECTURE", "")


def _processor_name() -> str:
    if sys.platform.startswith("linux"):
        return _name_in_cpuinfo("/proc/cpuinfo")
    if sys.platform == "darwin":
        return _name_by_sysctl()
    return os.environ.get("PROCESSOR_IDENTIFIER", "")


def _name_in_cpuinfo(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                key, _, value = line.partition(":")
                if key.strip().lower() in ("model name", "hardware", "cpu model"):
                    return value.strip()
    except OSError:
        pass
    return ""


def _name_by_sysctl() -> str:
    import subprocess

    command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
