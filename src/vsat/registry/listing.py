"""What there is, page by page: models, versions and history, from the database's indexes."""

from pathlib import Path
from typing import Any

from vsat.errors import ModelNotFoundError, UsageError
from vsat.registry import records, timeline
from vsat.registry.records import VersionRecord
from vsat.registry.reference import Reference, no_such_model, no_such_version
from vsat.registry.store import Store

_MOST = (1 << 63) - 1  # SQLite's largest integer


class Listing:
    """Reads lists from the database; never looks at the folders.

    Args:
        store: the database.
        folder: of the models.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder

    def models(self, limit: int | None, offset: int) -> dict[str, dict[str, int]]:
        """Models by id."""
        rows = self._store.rows(
            "SELECT model_id, current_version, versions_count FROM models ORDER BY model_id"
            " LIMIT ? OFFSET ?",
            page(limit, offset),
        )
        return {
            name: {"current_version": current, "versions_count": count}
            for name, current, count in rows
        }

    def versions(self, wanted: Reference, limit: int | None, offset: int) -> list[dict[str, Any]]:
        """A model's versions, oldest first, as plain dictionaries."""
        where, bound = _where(wanted)
        rows = self._store.rows(
            f"{records.LISTED}{where} ORDER BY v.version LIMIT ? OFFSET ?",
            [*bound, *page(limit, offset)],
        )
        return records.listed_from(rows, str(self._folder / wanted.model_id))

    def records(
        self,
        wanted: Reference | None,
        filter_text: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[VersionRecord]:
        """Versions that pass a filter, of one model or of all, by model and number."""
        where, bound = _where(wanted)
        if filter_text is not None:
            from vsat.registry.filtering import condition_of  # only here: most lists have none

            condition = condition_of(filter_text)
            where += f"{' AND' if where else ' WHERE'} {condition.sql}"
            bound += condition.parameters
        rows = self._store.rows(
            f"{records.RECORD}{where} ORDER BY m.model_id, v.version LIMIT ? OFFSET ?",
            [*bound, *page(limit, offset)],
        )
        return [records.record_from(row, self._folder) for row in rows]

    def record(self, wanted: Reference) -> VersionRecord:
        """The record of the version named, or of the current one.

        Raises:
            ModelNotFoundError: there is no such model or version.
        """
        number = "m.current_version" if wanted.version is None else "?"
        row = self._store.row(
            f"{records.RECORD} WHERE m.model_id = ? AND v.version = {number}",
            [part for part in wanted if part is not None],
        )
        if row is None:
            raise self.not_found(wanted)
        return records.record_from(row, self._folder)

    def history(
        self, wanted: Reference | None, since: str | None, limit: int | None, offset: int
    ) -> list[dict[str, Any]]:
        """What happened, oldest first; with a limit, the newest so many."""
        conditions: list[str] = ["1"]
        bound: list[object] = []
        if wanted is not None:
            conditions.append("h.model_key = (SELECT model_key FROM models WHERE model_id = ?)")
            bound.append(wanted.model_id)
            if wanted.version is not None:
                conditions.append("h.version = ?")
                bound.append(wanted.version)
        if since is not None:
            first = (
                "SELECT coalesce(min(+event), ?) FROM history WHERE at >= ?"  # by time, not event
            )
            conditions.append(f"h.at >= ? AND h.event >= ({first})")
            bound += [since, _MOST, since]
        rows = self._store.rows(
            f"{timeline.HISTORY} WHERE {' AND '.join(conditions)}"
            " ORDER BY h.event DESC LIMIT ? OFFSET ?",
            [*bound, *page(limit, offset)],
        )
        return [dict(zip(timeline.HISTORY_KEYS, row, strict=True)) for row in reversed(rows)]

    def not_found(self, wanted: Reference) -> ModelNotFoundError:
        """The error for what is not registered; says what is."""
        rows = self._store.rows(
            "SELECT version FROM versions v JOIN models m ON m.model_key = v.model_key"
            " WHERE m.model_id = ? ORDER BY version DESC LIMIT 20",
            (wanted.model_id,),
        )
        if rows and wanted.version is not None:
            return no_such_version(wanted.model_id, wanted.version, [row[0] for row in rows])
        models = self._store.rows("SELECT model_id FROM models ORDER BY model_id LIMIT 1000")
        return no_such_model(wanted.model_id, [row[0] for row in models])


def page(limit: int | None, offset: int) -> tuple[int, int]:
    """The two numbers that SQLite wants.

    Raises:
        UsageError: one of them is negative or no integer.
    """
    for what, number in (("limit", limit), ("offset", offset)):
        if what == "limit" and number is None:
            continue
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= _MOST:
            raise UsageError(
                f"The {what} {number!r:.40} is not a number from 0 on.", hint="Give an integer."
            )
    return (-1 if limit is None else limit), offset


def _where(wanted: Reference | None) -> tuple[str, tuple[object, ...]]:
    if wanted is None:
        return "", ()
    if wanted.version is None:
        return " WHERE m.model_id = ?", (wanted.model_id,)
    return " WHERE m.model_id = ? AND v.version = ?", tuple(wanted)
