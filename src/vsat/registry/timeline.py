"""Which version is current, and the history of how that came to be, which is only added to."""

from vsat.errors import RegistryError
from vsat.registry.records import SOUND, Change
from vsat.registry.store import Connection

HISTORY = """SELECT h.at, m.model_id, h.action, h.version, h.previous, h.current, h.because, h.by
    FROM history h CROSS JOIN models m ON m.model_key = h.model_key"""
CURRENT_AT = """SELECT current FROM history
    WHERE model_key = (SELECT model_key FROM models WHERE model_id = ?) AND at <= ?
    AND current IS NOT previous ORDER BY event DESC LIMIT 1"""
HISTORY_KEYS = ("at", "model_id", "action", "version", "previous", "current", "because", "by")


def point_at(connection: Connection, model_key: int, version: int, change: Change) -> None:
    """Make a version current; rolling back leads to the one that was current before."""
    previous, event = _current(connection, model_key)
    _make_current(connection, model_key, version, previous, event, change)


def note(connection: Connection, model_key: int, version: int, change: Change) -> None:
    """Write a row of history that leaves the current version as it is."""
    current, _ = _current(connection, model_key)
    _append(connection, model_key, version, (current, current), None, change)


def version_before(connection: Connection, model_key: int) -> tuple[int, int | None]:
    """What rolling back leads to: the version, and the event before the one that made it current.

    Raises:
        RegistryError: no other version that still exists, and is sound, was current before.
    """
    current, event = _current(connection, model_key)
    event = _before(connection, event)
    while event is not None:
        ((version, before),) = connection.execute(
            "SELECT current, before FROM history WHERE event = ?", (event,)
        ).fetchall()
        if version != current and _is_sound(connection, model_key, version):
            return version, before
        event = before
    raise RegistryError(
        "No version that still exists was current before this one.",
        hint="Choose one with `vsat use`.",
    )


def step_back(connection: Connection, model_key: int, change: Change) -> int:
    """Make the version current that was so before; the next step leads further back.

    Raises:
        RegistryError: no other version that still exists, and is sound, was current before.
    """
    version, before = version_before(connection, model_key)
    previous, _ = _current(connection, model_key)
    _make_current(connection, model_key, version, previous, before, change)
    return version


def current_of(connection: Connection, model_key: int) -> int | None:
    """The current version of a model; None while it has none."""
    return _current(connection, model_key)[0]


def current_at(
    connection: Connection, model_key: int, moment: str
) -> tuple[int | None, int | None]:
    """The version that was current at a time, and the event that rolling back from there leads to.

    Both are None if none was current yet.
    """
    found = connection.execute(
        "SELECT current, before FROM history WHERE model_key = ? AND at <= ?"
        " AND current IS NOT previous ORDER BY event DESC LIMIT 1",
        (model_key, moment),
    ).fetchall()
    return found[0] if found else (None, None)


def go_back_to(connection: Connection, model_key: int, moment: str, change: Change) -> int | None:
    """Make the version current that was so at a time; None, and nothing changes, if none was.

    Raises:
        RegistryError: that version was deleted or is damaged.
    """
    version, before = current_at(connection, model_key, moment)
    previous, _ = _current(connection, model_key)
    if version is not None and version != previous:
        if not _is_sound(connection, model_key, version):
            raise RegistryError(
                f"Version {version}, which was current then, was deleted or is damaged.",
                hint="Choose another one with `vsat use`.",
            )
        _make_current(connection, model_key, version, previous, before, change)
    return version


def exists(connection: Connection, model_key: int, version: int) -> bool:
    """Whether a version is registered."""
    statement = "SELECT 1 FROM versions WHERE model_key = ? AND version = ?"
    return bool(connection.execute(statement, (model_key, version)).fetchall())


def _is_sound(connection: Connection, model_key: int, version: int) -> bool:
    statement = "SELECT 1 FROM versions WHERE model_key = ? AND version = ? AND state = ?"
    return bool(connection.execute(statement, (model_key, version, SOUND)).fetchall())


def _current(connection: Connection, model_key: int) -> tuple[int | None, int | None]:
    statement = "SELECT current_version, current_event FROM models WHERE model_key = ?"
    version, event = connection.execute(statement, (model_key,)).fetchall()[0]
    return version, event


def _before(connection: Connection, event: int | None) -> int | None:
    found = connection.execute("SELECT before FROM history WHERE event = ?", (event,)).fetchall()
    return found[0][0] if found else None


def _make_current(
    connection: Connection,
    model_key: int,
    version: int,
    previous: int | None,
    before: int | None,
    change: Change,
) -> None:
    event = _append(connection, model_key, version, (previous, version), before, change)
    connection.execute(
        "UPDATE models SET current_version = ?, current_event = ? WHERE model_key = ?",
        (version, event, model_key),
    )


def _append(
    connection: Connection,
    model_key: int,
    version: int,
    moved: tuple[int | None, int | None],
    before: int | None,
    change: Change,
) -> int | None:
    return connection.execute(
        "INSERT INTO history (model_key, at, action, version, previous, current, because, by,"
        " before) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            model_key,
            change.at,
            change.action,
            version,
            *moved,
            change.because,
            change.by,
            before,
        ),
    ).lastrowid
