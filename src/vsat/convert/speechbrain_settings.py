"""What SpeechBrain's `hyperparams.yaml` says of a network and no tensor shows."""

from collections.abc import Iterator
from typing import Any, NoReturn

from vsat.convert.checkpoint import Checkpoint
from vsat.errors import ConversionError

FILE = "hyperparams.yaml"
MAX_NUMBER = 1 << 20  # no size of a network is larger
FIXED = {  # by key, what our networks do, as the published ones do
    "activation": "relu",
    "attention_type": "regularMHA",
    "causal": False,
    "linear_layer_after_inter_intra": False,
    "mem_type": "av",
    "nonlinear": "relu",
    "norm": "ln",
    "norm_before": True,
    "norm_type": "gln",
    "skip_around_intra": True,
    "use_global_pos_enc": False,
    "use_norm": True,
    "use_skip": True,
}


class Settings:
    """The values of the file by their keys, wherever in its sections they stand.

    Sections have names of their author's choice, so a key is looked for in all of them.

    Args:
        checkpoint: whose values are those of the file; they may be missing.
        family: for messages.

    Attributes:
        assumed: what was not said and taken as published ones have it, such as "nhead = 8".

    Raises:
        ConversionError: it says that the network does what ours does not.
    """

    def __init__(self, checkpoint: Checkpoint, family: str) -> None:
        self._origin, self._family = checkpoint.origin, family
        self._found: dict[str, list[Any]] = {}
        for key, value in _scalars(checkpoint.values):
            self._found.setdefault(key, []).append(value)
        self.assumed: list[str] = []
        for key, wanted in FIXED.items():
            for value in self._found.get(key, ()):
                if value != wanted:
                    self._refuse(key, value)

    def number(self, key: str) -> int | None:
        """A whole number above zero; None where the file does not have it.

        Raises:
            ConversionError: it is none, or stands there with different values.
        """
        values = self._found.get(key, [])
        for value in values:
            if type(value) is not int or not 0 < value <= MAX_NUMBER or value != values[0]:
                self._refuse(key, value)
        return values[0] if values else None

    def number_or(self, key: str, published: int) -> int:
        """The same, or what published models have, which is then noted in `assumed`."""
        value = self.number(key)
        if value is None:
            self.assumed.append(f"{key} = {published}")
            return published
        return value

    def check(self, key: str, shown: int) -> None:
        """Compare a number with what the tensors show.

        Raises:
            ConversionError: the file says otherwise.
        """
        stated = self.number(key)
        if stated not in (None, shown):
            self._refuse(key, stated)

    def _refuse(self, key: str, value: object) -> NoReturn:
        raise ConversionError(
            f"{self._origin} is {self._family} with {key} = {value!r:.60} in {FILE}, which does "
            "not fit its other values, its tensors, or what can be converted.",
            hint="Get the folder again from where it came; if it says the same there, export the "
            "model as an ONNX graph and register that.",
        )


def _scalars(section: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in section.items():
        if isinstance(value, dict):
            yield from _scalars(value)
        elif not isinstance(value, list):
            yield key, value
