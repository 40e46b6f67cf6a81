"""How a file is refused, with words from it that are fit to be printed."""

from collections.abc import Iterable
from typing import NoReturn

from vsat.errors import UnsafeFileError

HINT = "Get the file again from its publisher; don't use it if it stays so."

MAX_LENGTH = 80  # characters of one name
MAX_NAMES = 6  # that are listed before "and N more"


def shown(name: object) -> str:
    """A name without control characters, escapes or more than a line of it."""
    text = ascii(name) if not isinstance(name, str) else ascii(name)[1:-1]
    return text if len(text) <= MAX_LENGTH else f"{text[: MAX_LENGTH - 1]}…"


def listed(names: Iterable[object]) -> str:
    """The first few names, separated by commas, and how many more there are."""
    every = list(names)
    text = ", ".join(shown(name) for name in every[:MAX_NAMES])
    more = len(every) - MAX_NAMES
    return f"{text} and {more} more" if more > 0 else text


def refuse(origin: str, problem: str, *, cause: BaseException | None = None) -> NoReturn:
    """Raise the error that says what a file must not have.

    Raises:
        UnsafeFileError: always.
    """
    raise UnsafeFileError(f"{origin} {problem}.", hint=HINT) from cause
