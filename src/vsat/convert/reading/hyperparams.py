"""`hyperparams.yaml` of SpeechBrain: its scalars, without doing what its tags say.

The tags of such a file construct objects and call functions (`!new:`, `!apply:`). Here they are
ignored: a tagged mapping is a mapping, a tagged text is a text. A text that only refers to another
value of the file, `<name>`, becomes that value.

References:
    HyperPyYAML, whose dialect this is.
"""

import math
import re
from typing import Any

from vsat.convert.reading.refusal import refuse, shown
from vsat.errors import ConversionError, MissingExtraError

try:  # here and not where it is needed: a sealed process can't import
    import yaml
except ImportError:
    yaml = None

MAX_BYTES = 256 << 10  # the published ones have 10 kB
MAX_NODES = 20_000  # visited; an alias counts each time that it is met
MAX_DEPTH = 15

_PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "null")}
_REFERENCE = re.compile(r"<(\w+)>")


def read_hyperparams(content: bytes, origin: str) -> dict[str, Any]:
    """The values of the file, as JSON would have them.

    Raises:
        ConversionError: it is not YAML, or not a mapping.
        UnsafeFileError: it is larger or deeper than such a file has to be.
        MissingExtraError: PyYAML is not installed.
    """
    if yaml is None:
        raise MissingExtraError(
            "Reading hyperparams.yaml needs PyYAML.", hint="Run: pip install 'vsat[convert]'"
        )
    if len(content) > MAX_BYTES:
        refuse(origin, f"is larger than {MAX_BYTES} bytes")
    try:
        loader = yaml.SafeLoader(content.decode("utf-8"))
        values = _Plain(loader, origin).visit(loader.get_single_node(), 0)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise ConversionError(f"{origin} is not YAML.", hint="Get the file again.") from error
    except RecursionError as error:
        refuse(origin, "is nested too deeply", cause=error)
    if not isinstance(values, dict):
        raise ConversionError(f"{origin} holds no named values.", hint="Get the file again.")
    return {name: _resolved(value, values) for name, value in values.items()}


class _Plain:
    """Values of the nodes of a YAML document, whatever their tags ask for."""

    def __init__(self, loader: Any, origin: str) -> None:
        self._loader = loader
        self._origin = origin
        self._left = MAX_NODES

    def visit(self, node: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            refuse(self._origin, "has more values, or deeper ones, than such a file has to have")
        match node and node.id:
            case "mapping":
                return self._mapping(node, depth)
            case "sequence":
                return [self.visit(item, depth + 1) for item in node.value]
            case "scalar" if node.tag in _PLAIN_TAGS:
                value = self._loader.construct_object(node)
                return value if value is None or math.isfinite(value) else None
            case "scalar":
                return node.value
        return None

    def _mapping(self, node: Any, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in node.value:
            name = str(self.visit(key, depth + 1))
            if name in values:
                refuse(self._origin, f"has the key {shown(name)} twice")
            values[name] = self.visit(value, depth + 1)
        return values


def _resolved(value: Any, values: dict[str, Any]) -> Any:
    """The value, with references to scalars of the first level replaced by these."""
    if isinstance(value, dict):
        return {name: _resolved(inner, values) for name, inner in value.items()}
    if isinstance(value, list):
        return [_resolved(inner, values) for inner in value]
    found = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    meant = values.get(found[1]) if found else None
    return value if meant is None or isinstance(meant, dict | list) else meant
