"""When schedules are due, as requests ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from errors import Invalid
from workflow.times import cron_fault, next_due, zone_fault

TIMING = ("cron_expression", "time_zone", "is_active")


def next_run(schedule: Mapping[str, Any]) -> datetime | None:
    """When a schedule is due next from now on; None where it is not active.

    :param schedule: its `cron_expression`, `time_zone` (UTC without) and `is_active` (true without).
    :raises errors.Invalid: the expression or the time zone is none.
    """
    expression, time_zone = schedule["cron_expression"], schedule.get("time_zone", "UTC")
    faults = {"/cron_expression": cron_fault(expression), "/time_zone": zone_fault(time_zone)}
    found = [{"pointer": pointer, "detail": detail} for pointer, detail in faults.items() if detail]
    if found:
        raise Invalid("The schedule is not valid.", errors=found)
    return next_due(expression, time_zone, datetime.now(UTC)) if schedule.get("is_active", True) else None


def next_run_after(schedule: Mapping[str, Any], changes: Mapping[str, Any]) -> datetime | None:
    """When a schedule is due next once it is changed; as it was, where the change does not touch its timing.

    :raises errors.Invalid: as :func:`next_run`.
    """
    if not any(name in changes for name in TIMING):
        known: datetime | None = schedule["next_run_at"]
        return known
    return next_run({**schedule, **changes})
