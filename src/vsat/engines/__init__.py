"""Runs a bundle on this machine: one small port, three runtimes behind it.

Only the modules of this package import a runtime, and each only when it is asked for.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

import numpy as np

from vsat.bundle import Bundle
from vsat.errors import MissingExtraError, UsageError

ENGINES = ("openvino", "onnxruntime", "torch")  # in the order in which "auto" looks for them
PRECISIONS = ("f32", "bf16")


class Engine(Protocol):
    """A loaded model.

    Attributes:
        name: of the runtime, one of `ENGINES`.
        precision: of the arithmetic, one of `PRECISIONS`.
    """

    name: str
    precision: str

    def run(self, mixture: np.ndarray) -> np.ndarray:
        """Separate mixtures.

        Shape:
            (batch, samples) float32 to (batch, sources, samples) float32.

        Raises:
            EngineError: the runtime refused.
        """
        ...

    def expect(self, samples: int) -> None:
        """Get told that many runs will be of one mixture of this length."""
        ...

    def close(self) -> None:
        """Give back what the model holds."""
        ...


def available_engines() -> list[str]:
    """The runtimes that are installed, the preferred one first."""
    return [name for name in ENGINES if find_spec(name) is not None]


def open_engine(
    bundle: Bundle, engine: str = "auto", precision: str = "f32", threads: int | None = None
) -> Engine:
    """Load a bundle's model.

    Args:
        bundle: of the task "separation".
        engine: one of `ENGINES`, or "auto" for the first that is installed.
        precision: one of `PRECISIONS`.
        threads: at most so many; None for as many as the machine has cores.

    Raises:
        UsageError: an argument is not one of those named.
        MissingExtraError: the engine is not installed.
        EngineError: the model can't be loaded.
    """
    if precision not in PRECISIONS:
        raise UsageError(f"There is no precision {precision!r}.", hint="Use auto, f32 or bf16.")
    if threads is not None and threads < 1:
        raise UsageError(f"{threads} threads can't run anything.", hint="Use 1 or more.")
    name = _choose(engine)
    module = import_module(f"vsat.engines.{name}")
    opened: Engine = module.load(bundle, precision, threads)
    return opened


def _choose(engine: str) -> str:
    installed = available_engines()
    if engine == "auto" and installed:
        return installed[0]
    if engine in installed:
        return engine
    if engine in ENGINES:
        extra = {"torch": "tune"}.get(engine, engine)
        raise MissingExtraError(
            f"The engine {engine} is not installed.", hint=f"Run: pip install 'vsat[{extra}]'"
        )
    known = ", ".join(("auto", *ENGINES))
    raise UsageError(f"There is no engine {engine!r}.", hint=f"Use one of {known}.")
