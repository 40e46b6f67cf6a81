"""Points in time, as a person writes them and as the history does."""

from datetime import UTC, datetime, timedelta

from vsat.errors import UsageError
from vsat.registry.records import time_text


def moment_text(given: str | datetime, *, end_of_day: bool) -> str:
    """A time in the form of the history, whose times are UTC.

    Args:
        given: ISO 8601, such as 2026-03-01 or 2026-03-01T12:30; UTC where it names no zone.
        end_of_day: whether a date alone means its last moment; else its first.

    Raises:
        UsageError: it is no time.

    >>> moment_text("2026-03-01", end_of_day=True)
    '2026-03-01T23:59:59.999Z'
    """
    try:
        moment = given if isinstance(given, datetime) else datetime.fromisoformat(given)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        if isinstance(given, str) and len(given.strip()) <= len("2026-03-01") and end_of_day:
            moment += timedelta(days=1, milliseconds=-1)
        return time_text(moment)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(
            f"{given!r:.40} is not a time.", hint="Write it as 2026-03-01 or 2026-03-01T12:30."
        ) from error
