"""What operators ask and have done. Their permissions are given on the command line only."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response

from database import statement, transaction
from repositories.operations import Operations
from schemas import operations as schemas
from schemas.lists import Sparse
from schemas.operations import MaintenanceRun, MaintenanceRunCreate, MaintenanceRunFilters
from web.answers import json, single
from web.blueprint import Blueprint
from web.caller import caller
from web.paging import page

blueprint = Blueprint(
    "operations", __name__, url_prefix="/operations", description="The state of the database, for its operators."
)


def _report(name: str) -> Response:
    with transaction(caller()) as connection:
        found = Operations(connection).report(name)
    return json({"items": found.rows, "note": found.note})


@blueprint.get("/table-sizes")
@blueprint.response(200, schemas.TableSizes)
def list_table_sizes() -> Response:
    """List the tables with their sizes, the largest first; partitions count with their table."""
    return _report("table-sizes")


@blueprint.get("/slow-queries")
@blueprint.response(200, schemas.SlowQueries)
def list_slow_queries() -> Response:
    """List the twenty statements that took the most time; `note` says so where nobody counts them."""
    return _report("slow-queries")


@blueprint.get("/unused-indexes")
@blueprint.response(200, schemas.UnusedIndexes)
def list_unused_indexes() -> Response:
    """List indexes that nothing has read; those that hold a constraint are left out."""
    return _report("unused-indexes")


@blueprint.get("/duplicate-indexes")
@blueprint.response(200, schemas.DuplicateIndexes)
def list_duplicate_indexes() -> Response:
    """List indexes that another index can stand in for."""
    return _report("duplicate-indexes")


@blueprint.get("/missing-indexes")
@blueprint.response(200, schemas.MissingIndexes)
def list_missing_indexes() -> Response:
    """List tables of 10,000 rows or more that are often read from end to end."""
    return _report("missing-indexes")


@blueprint.get("/connections")
@blueprint.response(200, schemas.Connections)
def list_connections() -> Response:
    """List the connections to the database by login, program and state."""
    return _report("connections")


@blueprint.get("/locks")
@blueprint.response(200, schemas.Locks)
def list_locks() -> Response:
    """List who waits for a lock, and who holds it; empty when all is well."""
    return _report("locks")


@blueprint.get("/cache-hit-rate")
@blueprint.response(200, schemas.CacheHitRate)
def list_cache_hit_rates() -> Response:
    """List how often blocks were found in memory."""
    return _report("cache-hit-rate")


@blueprint.get("/bloat")
@blueprint.response(200, schemas.Bloat)
def list_bloat() -> Response:
    """List tables with rows that are dead and still take up room."""
    return _report("bloat")


@blueprint.get("/transaction-id-age")
@blueprint.response(200, schemas.TransactionIdAge)
def list_transaction_id_ages() -> Response:
    """List how near databases and tables are to where transaction ids run out."""
    return _report("transaction-id-age")


@blueprint.get("/replication")
@blueprint.response(200, schemas.Replication)
def list_replication() -> Response:
    """List standbys and replication slots with their lag; empty where there is no other server."""
    return _report("replication")


@blueprint.get("/partitions")
@blueprint.response(200, schemas.Partitions)
def list_partitions() -> Response:
    """List how far ahead the partitioned tables have months of their own, the least far first."""
    return _report("partitions")


@blueprint.get("/backups")
@blueprint.response(200, schemas.Backups)
def list_backups() -> Response:
    """List the hundred newest backups that were made; `flask backup list` says whose files are still there."""
    return _report("backups")


@blueprint.get("/failing-webhooks")
@blueprint.response(200, schemas.FailingWebhooks)
def list_failing_webhooks() -> Response:
    """List endpoints that fail, for longest first, and those that were switched off for it in the last seven days."""
    return _report("failing-webhooks")


@blueprint.get("/running-queries")
@blueprint.response(200, schemas.RunningQueries)
def list_running_queries() -> Response:
    """List the transactions that are open, oldest first."""
    return _report("running-queries")


@blueprint.get("/invalid-indexes")
@blueprint.response(200, schemas.InvalidIndexes)
def list_invalid_indexes() -> Response:
    """List indexes that were begun and never finished; empty when all is well."""
    return _report("invalid-indexes")


@blueprint.get("/gauges")
@blueprint.response(200, schemas.Gauges)
def list_gauges() -> Response:
    """List what `/metrics` tells of the database: queues, executions, partitions, backup, maintenance, replication."""
    return _report("gauges")


@blueprint.get("/maintenance-runs")
@blueprint.arguments(MaintenanceRunFilters, location="query")
@blueprint.page(MaintenanceRun)
def list_maintenance_runs(query: dict[str, Any]) -> Response:
    """List the runs of maintenance tasks."""
    with transaction(caller()) as connection:
        return page(Operations(connection).find_runs, query)


@blueprint.post("/maintenance-runs")
@blueprint.arguments(MaintenanceRunCreate)
@blueprint.response(202, MaintenanceRun)
def request_maintenance_run(body: dict[str, Any]) -> Response:
    """Have the worker do a maintenance task now; a request that still waits is answered again."""
    with transaction(caller()) as connection:
        row = Operations(connection).request_run(body["task"])
    return single(row, 202, {"Location": f"/api/v1/operations/maintenance-runs/{row['id']}"})


@blueprint.get("/maintenance-runs/<uuid:run_id>")
@blueprint.arguments(Sparse, location="query")
@blueprint.response(200, MaintenanceRun)
def get_maintenance_run(query: dict[str, Any], run_id: UUID) -> Response:
    """Get a run of a maintenance task."""
    with statement(caller()) as connection:
        return single(Operations(connection).get_run(run_id))
