"""Schedules."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response

from database import Row, statement, transaction
from repositories.schedules import Schedules
from schemas.lists import Single
from schemas.schedules import (
    Schedule,
    ScheduleChange,
    ScheduleCreate,
    ScheduleFilters,
    ScheduleRun,
    ScheduleRunFilters,
)
from web.answers import created, expected_versions, no_content, single
from web.blueprint import Blueprint
from web.bulk import Item, bulk, each
from web.caller import caller
from web.history import past
from web.paging import page
from web.timing import next_run, next_run_after

blueprint = Blueprint(
    "schedules", __name__, url_prefix="/schedules", description="What runs at which times, by cron expressions."
)


@blueprint.get("")
@blueprint.arguments(ScheduleFilters, location="query")
@blueprint.page(Schedule)
def list_schedules(query: dict[str, Any]) -> Response:
    """List schedules."""
    with statement(caller()) as connection:
        return page(Schedules(connection).find, query)


@blueprint.post("")
@blueprint.arguments(ScheduleCreate)
@blueprint.response(201, Schedule)
def create_schedule(body: dict[str, Any]) -> Response:
    """Create a schedule for an integration or a workflow; the answer says when it is due."""
    with statement(caller()) as connection:
        row = _create(Schedules(connection), **body)
    return created(row, f"/api/v1/schedules/{row['id']}")


@blueprint.post("/bulk")
@bulk(blueprint, Schedule, create=ScheduleCreate, change=ScheduleChange, delete=True)
def bulk_schedules(items: list[Item]) -> Response:
    """Create, change and delete up to 1,000 schedules, each by itself."""
    with transaction(caller()) as connection:
        schedules = Schedules(connection)
        create, change = partial(_create, schedules), partial(_change, schedules)
        return each(connection, items, lock=schedules.lock_many, create=create, change=change, delete=schedules.delete)


@blueprint.get("/<uuid:schedule_id>")
@blueprint.arguments(Single, location="query")
@blueprint.response(200, Schedule)
def get_schedule(query: dict[str, Any], schedule_id: UUID) -> Response:
    """Get a schedule, as it is or as it was at a moment."""
    with statement(caller()) as connection:
        if query["as_of"] is not None:
            return past(connection, Schedule, "schedule", schedule_id, query["as_of"])
        return single(Schedules(connection).get(schedule_id, include_deleted=query["include_deleted"]))


@blueprint.patch("/<uuid:schedule_id>")
@blueprint.arguments(ScheduleChange)
@blueprint.response(200, Schedule)
def change_schedule(body: dict[str, Any], schedule_id: UUID) -> Response:
    """Change a schedule by a JSON merge patch; with another timing it is due anew from now."""
    with transaction(caller()) as connection:
        return single(_change(Schedules(connection), schedule_id, expected_versions(), body))


@blueprint.delete("/<uuid:schedule_id>")
@blueprint.response(204)
def delete_schedule(schedule_id: UUID) -> Response:
    """Delete a schedule; it can be restored."""
    with transaction(caller()) as connection:
        Schedules(connection).delete(schedule_id, expected_versions())
    return no_content()


@blueprint.post("/<uuid:schedule_id>/restore")
@blueprint.response(200, Schedule)
def restore_schedule(schedule_id: UUID) -> Response:
    """Restore a deleted schedule; it is due anew from now."""
    with transaction(caller()) as connection:
        schedules = Schedules(connection)
        return single(schedules.set_next_run(schedule_id, next_run(schedules.restore(schedule_id))))


@blueprint.get("/<uuid:schedule_id>/runs")
@blueprint.arguments(ScheduleRunFilters, location="query")
@blueprint.page(ScheduleRun)
def list_schedule_runs(query: dict[str, Any], schedule_id: UUID) -> Response:
    """List the times that a schedule was due, and what came of them."""
    with transaction(caller()) as connection:
        return page(partial(Schedules(connection).find_runs, schedule_id), query)


def _create(schedules: Schedules, **body: Any) -> Row:
    values = {"time_zone": "UTC", **body}
    return schedules.create(**values, next_run_at=next_run(values))


def _change(schedules: Schedules, schedule_id: UUID, versions: list[int] | None, body: dict[str, Any]) -> Row:
    present = schedules.lock(schedule_id, versions)
    return schedules.update(schedule_id, None, body, next_run_after(present, body))
