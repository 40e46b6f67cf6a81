"""Reads Asteroid's `model_args`, of which none may be left unread."""

from typing import Any, NoReturn

from vsat.convert.checkpoint import Checkpoint
from vsat.errors import ConversionError

MAX_NUMBER = 1 << 20  # no size of a network is larger
NORMS = {
    "gLN": "global", "GlobLN": "global",
    "cLN": "channel", "ChanLN": "channel",
    "cgLN": "cumulative", "CumLN": "cumulative",
    "fgLN": "feature", "FeatsGlobLN": "feature",
    "bN": "batch", "BatchNorm": "batch",
}  # fmt: skip
FILTERBANKS = ("free", "FreeFB")


class ModelArgs:
    """The arguments of a model, each to be asked for once, with Asteroid's default.

    Args:
        checkpoint: with `model_args` among its values.
        family: for messages.

    Raises:
        ConversionError: there are none.
    """

    def __init__(self, checkpoint: Checkpoint, family: str) -> None:
        self._origin, self._family = checkpoint.origin, family
        found = checkpoint.values.get("model_args")
        if not isinstance(found, dict):
            raise ConversionError(
                f"{self._origin} looks like {family}, but has no model_args.",
                hint="Get the file as Asteroid's serialize() writes it.",
            )
        self._left: dict[str, Any] = dict(found)

    def number(self, name: str, default: int | None, *, least: int = 1) -> int:
        """A whole number of at least `least`; None counts as not given.

        Raises:
            ConversionError: it is none, or is missing and has no default.
        """
        value = self._take(name, default)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if (
            isinstance(value, bool)
            or not isinstance(value, int)
            or not least <= value <= MAX_NUMBER
        ):
            self.refuse(name, value)
        return value

    def optional_number(self, name: str, default: int) -> int:
        """The same, where an explicit None means 0."""
        if name in self._left and self._left[name] is None:
            self._left[name] = 0
        return self.number(name, default, least=0)

    def share(self, name: str, default: float) -> float:
        """A number from 0 to 1.

        Raises:
            ConversionError: it is none.
        """
        value = self._take(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            self.refuse(name, value)
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """Yes or no.

        Raises:
            ConversionError: it is neither.
        """
        value = self._take(name, default)
        if not isinstance(value, bool):
            self.refuse(name, value)
        return value

    def choice(self, name: str, default: str, known: dict[str, str]) -> str:
        """What `known` has for a name.

        Raises:
            ConversionError: it has none.
        """
        value = self._take(name, default)
        if not isinstance(value, str) or value not in known:
            self.refuse(name, value)
        return known[value]

    def filterbank(self, kernel: int, hop: int | None, features: int) -> dict[str, int]:
        """The parameters of a learned filterbank; the arguments are Asteroid's defaults.

        Raises:
            ConversionError: it is another filterbank.
        """
        self.choice("fb_name", "free", dict.fromkeys(FILTERBANKS, "free"))
        filters = self.number("n_filters", features)
        kernel = self.number("kernel_size", kernel)
        for name in ("in_chan", "out_chan"):
            if (given := self.number(name, filters)) != filters:
                self.refuse(name, given)
        hop = self.number("stride", hop or kernel // 2)
        return {"filters": filters, "kernel": kernel, "hop": hop}

    def finish(self) -> None:
        """Check that all were read.

        Raises:
            ConversionError: one is left, so the model may not be what it seems.
        """
        for name in self._left:
            self.refuse(name, self._left[name])

    def refuse(self, name: str, value: object) -> NoReturn:
        """Say that a value can't be converted.

        Raises:
            ConversionError: always.
        """
        raise ConversionError(
            f"{self._origin} is {self._family} with {name[:40]} = {value!r:.60}, "
            "which can't be converted.",
            hint="Export it from Asteroid as an ONNX graph, and register that.",
        )

    def _take(self, name: str, default: Any) -> Any:
        value = self._left.pop(name, None)
        return default if value is None else value
