"""Whether an ONNX graph is safe to keep, and whether it is a separator."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vsat.bundle import OTHER, SEPARATION, SOURCES
from vsat.convert.reading.isolation import isolated
from vsat.convert.reading.refusal import listed, shown
from vsat.errors import ConversionError, UnsafeFileError

MAX_MUSIC_CHANNELS = 2
_HINT = 'To keep it all the same, register it with the metadata {"task": "other"}.'


@dataclass(frozen=True)
class Port:
    """An input or output of a graph; an axis of any length is None, as is an unknown shape."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None

    @property
    def n_axes(self) -> int | None:
        """How many axes it has; None where nothing says."""
        return None if self.shape is None else len(self.shape)


@dataclass(frozen=True)
class GraphFacts:
    """What a graph takes, gives and consists of."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    opset: int
    producer: str
    n_parameters: int
    operators: tuple[str, ...]

    @property
    def sources(self) -> int | None:
        """The fixed number of estimates; None where nothing says."""
        shape = self.outputs[0].shape if self.outputs else None
        return shape[1] if shape is not None and len(shape) == 3 else None

    @property
    def has_channel_axis(self) -> bool:
        """Whether it takes (batch, 1, samples) and not (batch, samples)."""
        return len(self.inputs) == 1 and self.inputs[0].n_axes == 3

    @property
    def states(self) -> tuple[str, ...]:
        """Inputs that an output hands on to the next call, by their names."""
        given = [port.name.casefold() for port in self.outputs]
        return tuple(
            port.name
            for port in self.inputs
            if any(name.startswith(port.name.casefold()) for name in given)
        )


def check_graph(path: Path, staging: Path | None = None, *, task: str = SEPARATION) -> GraphFacts:
    """Check an ONNX graph in a process that can do nothing else; nothing of it is run.

    Args:
        path: the file.
        staging: where temporary files go; None for the system's place.
        task: of a graph for separation, one float32 input (batch, samples) or (batch, 1, samples)
            and one output (batch, sources, samples) are asked for; of another only that it is safe.

    Raises:
        UnsafeFileError: it needs other files or operators, or is made to fill memory or time.
        ConversionError: it is no ONNX graph, or not a separator; the message says what it is.
        MissingExtraError: onnx is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise ConversionError(f"There is no file at {path}.", hint="Check the path.")
    with isolated("graph", path, staging) as (_, answer):
        facts = _facts(answer, path)
    problem = misfit(facts)
    if task != OTHER and problem:
        raise ConversionError(f"{path} is not a separator: {problem}.", hint=_HINT)
    return facts


def misfit(facts: GraphFacts) -> str:
    """Why a graph is not a separator, as the rest of a sentence; empty if it is one."""
    if facts.states:
        return (
            f"it works step by step and hands its state on from one call to the next "
            f"({listed(facts.states)})"
        )
    if len(facts.inputs) != 1 or len(facts.outputs) != 1:
        return f"it takes {_ports(facts.inputs)} and gives {_ports(facts.outputs)}"
    return _misfit_of_input(facts.inputs[0]) or _misfit_of_output(facts.outputs[0])


def _misfit_of_input(port: Port) -> str:
    if port.dtype != "float":
        return f"its input is of the type {port.dtype}, not float32"
    match port.shape:
        case None | (_, None | 1, _):
            return ""
        case (_, samples):
            return f"it takes exactly {samples} samples" if samples else ""
        case (_, int(channels), _) if channels <= MAX_MUSIC_CHANNELS:
            return f"it takes {channels} channels, as models for music do"
    return f"its input is of the shape {_shape(port)}, not (batch, samples)"


def _misfit_of_output(port: Port) -> str:
    least, most = SOURCES
    match port.shape:
        case None:
            return ""
        case (_, 1, _) | (_, _):
            return f"it gives one signal of the shape {_shape(port)}, as models that enhance do"
        case (_, sources, _):
            fits = sources is None or least <= sources <= most
            return "" if fits else f"it gives {sources} signals; {most} are the most"
        case (_, _, _, _):
            return f"it gives the shape {_shape(port)}, as models for the stems of music do"
    return f"its output is of the shape {_shape(port)}, not (batch, sources, samples)"


def _ports(ports: tuple[Port, ...]) -> str:
    return f"{len(ports)} ({listed(port.name for port in ports)})"


def _shape(port: Port) -> str:
    return f"({', '.join('any' if n is None else str(n) for n in port.shape or ())})"


def _facts(answer: dict[str, Any], path: Path) -> GraphFacts:
    """The answer of the other process, checked.

    Raises:
        UnsafeFileError: it is not one.
    """
    match answer:
        case {
            "inputs": list() as inputs,
            "outputs": list() as outputs,
            "opset": int(opset),
            "producer": str(producer),
            "n_parameters": int(n_parameters),
            "operators": list() as operators,
        }:
            return GraphFacts(
                tuple(_port(port, path) for port in inputs),
                tuple(_port(port, path) for port in outputs),
                opset,
                producer,
                n_parameters,
                tuple(shown(name) for name in operators),
            )
    raise UnsafeFileError(f"Reading {path} gave no clear answer.", hint="Don't use the file.")


def _port(answer: object, path: Path) -> Port:
    match answer:
        case {"name": str(name), "dtype": str(dtype), "shape": shape} if shape is None or (
            isinstance(shape, list) and all(n is None or type(n) is int for n in shape)
        ):
            return Port(name, dtype, None if shape is None else tuple(shape))
    raise UnsafeFileError(f"Reading {path} gave no clear answer.", hint="Don't use the file.")
