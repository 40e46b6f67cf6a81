"""What a listener preferred, as the page gives it out.

A file of choices is JSON of this form, and of no other:

    {
      "format": "vsat-choices/1",
      "test_set": "interviews",
      "test_set_digest": "9f86d081...",
      "versions": ["my_model@1", "my_model@2"],
      "choices": [
        {"file": "monday.wav", "preferred": "my_model@2"},
        {"file": "friday.wav", "preferred": null}
      ]
    }

`preferred` is null where the listener heard no difference. Each file is named once at most; files
that were not judged are left out. `test_set_digest` is empty where nothing pins the test set.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vsat.bundle.strict_json import strict_json
from vsat.errors import StorageError, UsageError

FORMAT = "vsat-choices/1"
MAX_BYTES = 10_000_000  # far more than a person can choose
Z_95 = 1.959963984540054  # standard deviations on either side that hold 95 % of a normal law


@dataclass(frozen=True)
class Choice:
    """The version that the listener preferred in one file; None: no difference."""

    file: str
    preferred: str | None


@dataclass(frozen=True)
class Preference:
    """How often the second version was preferred, where the listener heard a difference.

    Attributes:
        share: of the decided files, 0 to 1; 0.5 where there are none.
        low: lower end of its 95 % interval (Wilson).
        high: upper end.
        n_decided: files with a preference.
        n_undecided: files without.
    """

    share: float
    low: float
    high: float
    n_decided: int
    n_undecided: int


@dataclass(frozen=True)
class Choices:
    """All choices of one listener between two versions."""

    test_set: str
    test_set_digest: str
    versions: tuple[str, str]
    choices: tuple[Choice, ...]

    def preference(self) -> Preference:
        """How often the second version was preferred."""
        decided = [one for one in self.choices if one.preferred is not None]
        wins = sum(one.preferred == self.versions[1] for one in decided)
        low, high = wilson_interval(wins, len(decided))
        share = wins / len(decided) if decided else 0.5
        return Preference(share, low, high, len(decided), len(self.choices) - len(decided))


def wilson_interval(wins: int, n: int) -> tuple[float, float]:
    """95 % interval of a share, which holds for few trials, too; (0, 1) for none.

    References:
        Wilson 1927, "Probable inference, the law of succession, and statistical inference".

    Example:
        >>> [round(end, 3) for end in wilson_interval(8, 10)]
        [0.49, 0.943]
    """
    if n == 0:
        return 0.0, 1.0
    share, squared = wins / n, Z_95**2
    centre = (share + squared / (2 * n)) / (1 + squared / n)
    half = Z_95 / (1 + squared / n) * (share * (1 - share) / n + squared / (4 * n * n)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


def read_choices(path: Path) -> Choices:
    """Read a file of choices that a report gave out.

    Raises:
        UsageError: it is of another form.
        StorageError: it can't be read.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise StorageError(
            f"{path} can't be read: {error.strerror}.", hint="Name the file that the report saved."
        ) from error
    try:
        return _choices(content)
    except ValueError as error:
        raise UsageError(
            f"{path} is not a listener's choices: it {error}.",
            hint="Save the choices again at the end of the report's blind comparison.",
        ) from error


def _choices(content: bytes) -> Choices:
    if len(content) > MAX_BYTES:
        raise ValueError(f"has more than {MAX_BYTES} bytes")
    fields = _object(
        strict_json(content), {"format", "test_set", "test_set_digest", "versions", "choices"}
    )
    if fields["format"] != FORMAT:
        raise ValueError(f"is of the format {fields['format']!r:.40} and not {FORMAT}")
    versions = [_text(one, "a version") for one in _list(fields["versions"], "versions")]
    if len(versions) != 2 or versions[0] == versions[1]:
        raise ValueError("does not name two different versions")
    choices = [_choice(one, versions) for one in _list(fields["choices"], "choices")]
    if len({one.file for one in choices}) != len(choices):
        raise ValueError("judges a file twice")
    return Choices(
        test_set=_text(fields["test_set"], "test_set"),
        test_set_digest=_text(fields["test_set_digest"], "test_set_digest"),
        versions=(versions[0], versions[1]),
        choices=tuple(choices),
    )


def _choice(value: Any, versions: list[str]) -> Choice:
    fields = _object(value, {"file", "preferred"})
    if fields["preferred"] not in (None, *versions):
        raise ValueError(f"prefers {fields['preferred']!r:.60}, which is not one of the versions")
    return Choice(_text(fields["file"], "a file"), fields["preferred"])


def _object(value: Any, keys: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != keys:
        raise ValueError(f"has not exactly the keys {', '.join(sorted(keys))} where it must")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"has no list of {what}")  # noqa: TRY004 - one kind for all that is wrong
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"has {what} that is not text")  # noqa: TRY004 - one kind for all
    return value
