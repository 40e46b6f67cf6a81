"""What the extra `evaluate` brings, loaded when it is first needed."""

from collections.abc import Iterator
from contextlib import contextmanager

from vsat.errors import MissingExtraError


@contextmanager
def evaluate_extra(purpose: str) -> Iterator[None]:
    """Imports inside it that fail say which extra they belong to.

    Args:
        purpose: what needs it, the subject of a sentence.

    Raises:
        MissingExtraError: a package is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs {error.name}, which is not installed.",
            hint="Run: pip install 'vsat[evaluate]'",
        ) from error
