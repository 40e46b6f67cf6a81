"""Test sets that are pinned, what versions scored on them, and what listeners preferred."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vsat import settings
from vsat.errors import UsageError
from vsat.files import check_name
from vsat.registry.store import Store

_CHUNK = 500  # values in one IN (...); SQLite takes 32,766


@dataclass(frozen=True)
class Setting:
    """How a score was reached: another engine or precision may give another one.

    Attributes:
        engine: that ran the model.
        precision: of its arithmetic.
    """

    engine: str
    precision: str


@dataclass(frozen=True)
class KeptTestSet:
    """A row of the list of test sets.

    Attributes:
        name: as people call it.
        document: what it consists of, as JSON has it.
        created_at: when it was pinned.
    """

    name: str
    document: dict[str, Any]
    created_at: str


class Evaluations:
    """What `ModelRegistry.evaluations` gives.

    Args:
        store: the database.
        now: gives the time as text.
    """

    def __init__(self, store: Store, now: Callable[[], str]) -> None:
        self._store = store
        self._now = now

    def pin(self, name: str, document: Mapping[str, Any]) -> None:
        """Keep a test set under a new name.

        Raises:
            UsageError: the name is unsafe or taken.
            StorageError: the home can't be written.
        """
        check_name(name)
        row = (name, name.casefold(), json.dumps(document, sort_keys=True), self._now())
        with self._store.writing() as connection:
            taken = connection.execute(
                "SELECT name FROM test_sets WHERE folded = ?", (name.casefold(),)
            ).fetchall()
            if taken:
                raise UsageError(
                    f"There is a test set {taken[0][0]} already.",
                    hint=f"Choose another name, or run: vsat testset rm {taken[0][0]}",
                )
            connection.execute("INSERT INTO test_sets VALUES (?, ?, ?, ?)", row)

    def test_set(self, name: str) -> KeptTestSet:
        """A test set by its name.

        Raises:
            UsageError: there is none.
        """
        row = self._store.row(
            "SELECT name, document, created_at FROM test_sets WHERE name = ?", (name,)
        )
        if row is None:
            names = ", ".join(found.name for found in self.test_sets())
            hint = f"There is: {names}." if names else "Run: vsat testset add NAME FOLDER"
            raise UsageError(f"There is no test set {name!r:.80}.", hint=hint)
        return _test_set(row)

    def test_sets(self) -> list[KeptTestSet]:
        """All of them, by name."""
        rows = self._store.rows("SELECT name, document, created_at FROM test_sets ORDER BY name")
        return [_test_set(row) for row in rows]

    def unpin(self, name: str) -> None:
        """Forget a test set; its recordings, and what was scored on them, stay.

        Raises:
            UsageError: there is none.
            StorageError: the home can't be written.
        """
        self.test_set(name)
        with self._store.writing() as connection:
            connection.execute("DELETE FROM test_sets WHERE name = ?", (name,))

    def scores(
        self, digest: str, examples: Sequence[str], setting: Setting
    ) -> dict[str, dict[str, float | None]]:
        """What a content scored on this kind of machine, by the digest of the example.

        None stands for a measure that is not defined there.

        Args:
            digest: of the version.
            examples: digests of the examples that are asked for.
            setting: in which it was run.
        """
        found: dict[str, dict[str, float | None]] = {}
        for start in range(0, len(examples), _CHUNK):
            part = examples[start : start + _CHUNK]
            rows = self._store.rows(
                "SELECT example, measure, value FROM scores WHERE digest = ? AND machine = ?"
                " AND engine = ? AND precision = ?"
                f" AND example IN ({', '.join('?' * len(part))})",
                (digest, settings.machine_id(), setting.engine, setting.precision, *part),
            )
            for example, measure, value in rows:
                found.setdefault(str(example), {})[str(measure)] = value
        return found

    def means(self, examples: Sequence[str], measure: str, setting: Setting) -> dict[str, float]:
        """The mean of a measure by the digest of the version, of those that have it everywhere.

        Args:
            examples: digests of all the examples that count.
            measure: its key.
            setting: in which the versions were run.
        """
        sums: dict[str, list[float]] = {}
        for start in range(0, len(examples), _CHUNK):
            part = examples[start : start + _CHUNK]
            rows = self._store.rows(
                "SELECT digest, value FROM scores WHERE machine = ? AND engine = ?"
                " AND precision = ? AND measure = ? AND value IS NOT NULL"
                f" AND example IN ({', '.join('?' * len(part))})",
                (settings.machine_id(), setting.engine, setting.precision, measure, *part),
            )
            for digest, value in rows:
                sums.setdefault(str(digest), []).append(float(value))
        whole = {digest: values for digest, values in sums.items() if len(values) == len(examples)}
        return {digest: sum(values) / len(values) for digest, values in whole.items()}

    def keep_scores(
        self, digest: str, example: str, setting: Setting, values: Mapping[str, float | None]
    ) -> None:
        """Keep what a content scored on an example; a home that can't be written keeps nothing."""
        if not self._store.writable:
            return
        place = (digest, example, settings.machine_id(), setting.engine, setting.precision)
        now = self._now()
        with self._store.writing() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(*place, measure, value, now) for measure, value in values.items()],
            )

    def keep_preferences(self, test_set: str, choices: Iterable[tuple[str, str, str, str]]) -> None:
        """Keep what a listener preferred, who did not know which version was which.

        Args:
            test_set: the name or what else says which recordings they were.
            choices: the file, the digests of two versions, and that of the preferred one or empty
                for neither.

        Raises:
            StorageError: the home can't be written.
        """
        now = self._now()
        with self._store.writing() as connection:
            connection.executemany(
                "INSERT INTO preferences VALUES (?, ?, ?, ?, ?, ?)",
                [(test_set, *choice, now) for choice in choices],
            )

    def preferences(self, one: str, other: str) -> list[str]:
        """The digest preferred, each time that these two were compared; empty for neither."""
        rows = self._store.rows(
            "SELECT preferred FROM preferences WHERE (one = ? AND other = ?)"
            " OR (one = ? AND other = ?) ORDER BY at",
            (one, other, other, one),
        )
        return [str(row[0]) for row in rows]


def _test_set(row: Sequence[Any]) -> KeptTestSet:
    return KeptTestSet(str(row[0]), json.loads(row[1]), str(row[2]))
