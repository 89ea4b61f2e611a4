"""When a schedule is due: cron expressions in time zones, over changes of the clock.

cronsim does as Debian's cron does: what is due in the hour that a clock skips runs at once after it, what is due in the
hour that comes twice runs once, and what runs every so often keeps its pace.
"""

from __future__ import annotations

import functools
import zoneinfo
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


@functools.cache
def _time_zones() -> frozenset[str]:
    # `localtime` is another zone on every machine, `Factory` none at all
    return frozenset(zoneinfo.available_timezones() - {"localtime", "Factory"})


def zone_fault(name: str) -> str | None:
    """What is wrong with the name of a time zone; None for nothing."""
    return None if name in _time_zones() else "Not a time zone of the IANA database, such as Europe/Berlin or UTC."


def cron_fault(expression: str) -> str | None:
    """What is wrong with a cron expression; None for nothing.

    An expression has five fields: minute, hour, day of the month, month, day of the week.
    """
    if len(expression) > 255:
        return "Not a cron expression: it is longer than 255 characters."
    if len(expression.split()) != 5:
        return "Not a cron expression: it has five fields (minute, hour, day, month, weekday)."
    try:
        found = next(CronSim(expression, _BEGINNING), None)
    except CronSimError as error:
        return f"Not a cron expression: {str(error).lower()}."
    return None if found else "This is never due: there is no such day."


def next_due(expression: str, time_zone: str, after: datetime) -> datetime:
    """The first moment after `after` at which an expression is due, in UTC.

    :param expression: one that :func:`cron_fault` accepts.
    :param time_zone: one that :func:`zone_fault` accepts.
    :raises ValueError: it is not due within fifty years.
    """
    local = after.astimezone(zoneinfo.ZoneInfo(time_zone))
    for due in CronSim(expression, local):
        if (moment := due.astimezone(UTC)) > after:
            return moment
    raise ValueError(f"{expression} is not due within fifty years")
