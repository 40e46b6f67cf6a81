"""JSON that has one meaning only, so that two readers can't understand it differently."""

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

MAX_NESTING = 20  # levels of lists and objects


def strict_json(content: bytes) -> Any:
    """Read JSON that has one meaning only: UTF-8, no key twice, finite numbers, little nesting.

    Raises:
        ValueError: it has not; the message completes a sentence that begins with the file's name.
    """
    try:
        value = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ValueError("is not UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg} in line {error.lineno}") from error
    check_json(value)
    return value


def check_json(value: object, depth: int = 0) -> None:
    """Check that a value survives a way through JSON unchanged (a tuple comes back as a list).

    Raises:
        ValueError: it does not; the message completes a sentence.
    """
    if depth > MAX_NESTING:
        raise ValueError(f"is nested more than {MAX_NESTING} levels deep")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise ValueError(f"has a key that is not text: {key!r:.40}")  # noqa: TRY004
            _check_text(key)
            check_json(inner, depth + 1)
    elif isinstance(value, list | tuple):
        for inner in value:
            check_json(inner, depth + 1)
    else:
        _check_scalar(value)


def _check_scalar(value: object) -> None:
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("has a number that is not finite")
    elif not (value is None or isinstance(value, int)):
        raise ValueError(f"has a {type(value).__name__}, which JSON can't hold")


def _check_text(text: str) -> None:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("has half a character (a lone surrogate)")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    collected = dict(pairs)
    if len(collected) != len(pairs):
        raise ValueError("has a key twice in one object")
    return collected


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"has {name}, which is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("has a number that is too large")
    return number
