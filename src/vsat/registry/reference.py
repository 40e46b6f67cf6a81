"""How a model is asked for: `id` or `id@version`, and what is said when it is not there."""

import operator
from collections.abc import Sequence
from typing import NamedTuple

from vsat.errors import ModelNotFoundError, UsageError
from vsat.files import check_name

MAX_LISTED = 8  # names or numbers in a message


class Reference(NamedTuple):
    """A model, and the version if one was named."""

    model_id: str
    version: int | None


def parse_reference(model_id: object, version: object = None) -> Reference:
    """Read `id` or `id@version`; the version may be given beside the id instead.

    Raises:
        UsageError: the id is unsafe, the version is no positive integer, or there are two of them.
    """
    named = None if version is None else checked_version(version)
    if not isinstance(model_id, str) or "@" not in model_id:
        return Reference(check_name(model_id), named)
    name, _, number = model_id.rpartition("@")
    if not (number.isascii() and number.isdigit() and 0 < len(number) < 16 and int(number) > 0):
        raise UsageError(
            f"{ascii(number)[:40]} is not a version.", hint="Write id@version, for example x@2."
        )
    if named not in (None, int(number)):
        raise UsageError(
            f"Two versions are asked for: {number} and {named}.", hint="Name one of them."
        )
    return Reference(check_name(name), int(number))


def checked_version(version: object) -> int:
    """The version as a positive integer.

    Raises:
        UsageError: it is none.
    """
    try:
        number = operator.index(version)  # type: ignore[arg-type]
    except TypeError:
        number = 0
    if isinstance(version, bool) or not 0 < number < 1 << 53:
        raise UsageError(
            f"{version!r:.40} is not a version.", hint="Versions are integers from 1 on."
        )
    return number


def no_such_model(model_id: str, existing: Sequence[str]) -> ModelNotFoundError:
    """The error for an id that isn't registered; says what is, close matches first."""
    from difflib import get_close_matches

    if not existing:
        return ModelNotFoundError(
            f"There is no model {model_id!r}; none is registered.",
            hint="Register one with `vsat register`.",
        )
    close = get_close_matches(model_id, existing, n=MAX_LISTED, cutoff=0.6)
    names = (close + [name for name in existing if name not in close])[:MAX_LISTED]
    more = ", ..." if len(existing) > len(names) else ""
    hint = f"Did you mean {close[0]!r}?" if close else "Choose one of these."
    return ModelNotFoundError(
        f"There is no model {model_id!r}. Registered: {', '.join(names)}{more}.", hint=hint
    )


def no_such_version(model_id: str, version: int, newest: Sequence[int]) -> ModelNotFoundError:
    """The error for a version that a model doesn't have; names the newest that it has."""
    numbers = ", ".join(str(number) for number in newest[:MAX_LISTED])
    more = ", ..." if len(newest) > MAX_LISTED else ""
    return ModelNotFoundError(
        f"{model_id} has no version {version}. It has {numbers}{more} (newest first).",
        hint="Choose one of these.",
    )
