"""What operators ask: each report is all of its rows, and a note where there is something to know."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from schemas.fields import choice, described, identifier, moment, version
from schemas.lists import filters

TASKS = ("create-partitions", "refresh-views", "cleanup-old-data", "cleanup-mail", "archive-old-partitions")
BACKUP_TASKS = ("create-backup", "verify-backup", "create-base-backup", "drill-recovery")
OUTCOMES = ("requested", "running", "succeeded", "failed")


def _text(description: str, example: str, **options: Any) -> fields.String:
    return fields.String(required=True, metadata=described(description, example), **options)


def _count(description: str, example: int, **options: Any) -> fields.Integer:
    return fields.Integer(required=True, metadata=described(description, example), **options)


def _number(description: str, example: float) -> fields.Float:
    return fields.Float(required=True, allow_none=True, metadata=described(description, example))


def _moment(description: str) -> Any:
    return moment(description, required=True, allow_none=True)


def report_of(title: str, /, **columns: Any) -> type[Schema]:
    """The documented shape of a report.

    :param title: names the schema; its rows are `…Row`.
    """
    row = type(f"{title}Row", (Schema,), columns)
    items = fields.List(fields.Nested(row), required=True, metadata=described("The rows, what matters most first."))
    note = fields.String(
        required=True,
        allow_none=True,
        metadata=described("What cannot be seen here, or since when it counts.", "Counted since 2026-11-01 04:00 UTC."),
    )
    return type(title, (Schema,), {"items": items, "note": note})


SCHEMA_NAME = {"schema_name": _text("Its schema.", "public")}
TABLE_NAME = {"table_name": _text("The table.", "webhook_deliveries")}
SIZE = {"bytes": _count("Its size in bytes.", 81920), "size": _text("The same in words.", "80 kB")}

TableSizes = report_of(
    "TableSizes",
    **SCHEMA_NAME,
    **TABLE_NAME,
    total_bytes=_count("Table, indexes and TOAST, in bytes.", 122880),
    table_bytes=_count("Without indexes, in bytes.", 81920),
    index_bytes=_count("Its indexes, in bytes.", 40960),
    size=_text("All of it in words.", "120 kB"),
    table_size=_text("The table in words.", "80 kB"),
    index_size=_text("The indexes in words.", "40 kB"),
    partitions=_count("Partitions, which are counted in.", 18),
    row_estimate=_count("Rows, as last analyzed.", 4100),
)
SlowQueries = report_of(
    "SlowQueries",
    query=_text("The statement, with places for its values.", "SELECT * FROM events WHERE id = $1"),
    calls=_count("How often it ran.", 4200),
    total_time=_number("Milliseconds in all.", 8123.5),
    mean_time=_number("Milliseconds each time.", 1.93),
    row_count=_count("Rows in all.", 4200),
    hit_percent=_number("Blocks that were in memory already, of a hundred.", 99.2),
)
UnusedIndexes = report_of(
    "UnusedIndexes",
    **SCHEMA_NAME,
    **TABLE_NAME,
    index_name=_text("The index.", "idx_webhook_deliveries_status"),
    idx_scan=_count("How often it was read.", 0),
    idx_tup_read=_count("Entries that were read.", 0),
    idx_tup_fetch=_count("Rows that were fetched by it.", 0),
    **SIZE,
)
DuplicateIndexes = report_of(
    "DuplicateIndexes",
    **TABLE_NAME,
    index_name=_text("The index that could go.", "idx_webhook_deliveries_status"),
    covered_by=_text("The index that does what it does.", "idx_webhook_deliveries_org_status"),
    **SIZE,
)
MissingIndexes = report_of(
    "MissingIndexes",
    **SCHEMA_NAME,
    **TABLE_NAME,
    sequential_scans=_count("How often it was read from end to end.", 310),
    rows_read=_count("Rows that were read so.", 12000000),
    index_scans=_count("How often an index was read.", 20),
    index_percent=_number("Reads by an index, of a hundred.", 6.06),
    row_estimate=_count("Rows.", 40000),
    **SIZE,
)
Connections = report_of(
    "Connections",
    user_name=_text("The login; null for the server's own processes.", "ccb_service", allow_none=True),
    application_name=_text("As it calls itself.", "claude-code-bot", allow_none=True),
    state=_text("What they do; null where it cannot be seen.", "idle", allow_none=True),
    wait_event=_text("What they wait for.", "Client: ClientRead", allow_none=True),
    connections=_count("How many.", 4),
    oldest_seconds=_number("For how long the one that has done so for longest.", 12.5),
)
Locks = report_of(
    "Locks",
    pid=_count("The server's process that waits.", 4711),
    user_name=_text("Its login.", "ccb_worker", allow_none=True),
    waits_for=_text("The table, or the kind of thing.", "events"),
    mode=_text("The lock that it wants.", "AccessExclusiveLock"),
    waiting_seconds=_number("For how long it has waited.", 3.2),
    query=_text("What it wants to do.", "ALTER TABLE events DETACH PARTITION events_y2025m01", allow_none=True),
    blocked_by=fields.List(
        fields.Integer(), required=True, metadata=described("The processes that it waits for.", [4712])
    ),
    blocking_query=_text("What the oldest of these did last.", "SELECT * FROM events", allow_none=True),
)
CacheHitRate = report_of(
    "CacheHitRate",
    kind=_text("`tables` and `indexes` for all of them, `table` for one.", "tables"),
    name=_text("The table, or `all`.", "all"),
    blocks_hit=_count("Blocks that were in memory already.", 90210),
    blocks_read=_count("Blocks that were not.", 112),
    hit_percent=_number("The first of both, of a hundred.", 99.88),
)
Bloat = report_of(
    "Bloat",
    **SCHEMA_NAME,
    **TABLE_NAME,
    live_rows=_count("Rows.", 4100),
    dead_rows=_count("Rows that are dead and take up room.", 310),
    dead_percent=_number("The dead ones, of a hundred.", 7.03),
    last_vacuum=_moment("When it was last vacuumed."),
    last_analyze=_moment("When it was last analyzed."),
    **SIZE,
)
TransactionIdAge = report_of(
    "TransactionIdAge",
    kind=_text("`database` or `table`.", "database"),
    name=_text("Its name.", "claude_code_bot"),
    age=_count("Transactions since its oldest unfrozen row.", 41000),
    freeze_percent=_number("Of the age at which autovacuum freezes come what may.", 0.02),
    wraparound_percent=_number("Of the age at which the database stops.", 0.01),
)
Replication = report_of(
    "Replication",
    kind=_text("`standby`, `slot`, or `this standby`.", "standby"),
    name=_text("Its name.", "second"),
    state=_text("What it does.", "streaming", allow_none=True),
    sync_state=_text("Whether commits wait for it.", "async", allow_none=True),
    lag_bytes=_count("Bytes of log that it has yet to take in.", 0, allow_none=True),
    lag_seconds=_number("Seconds that it is behind.", 0.004),
)
Partitions = report_of(
    "Partitions",
    **TABLE_NAME,
    partitions=_count("Months with a partition of their own.", 18),
    oldest_month=_moment("Where the oldest begins."),
    covered_until=_moment("Where the months that follow one another without a gap end."),
    months_ahead=_number("Months until then; below one something is wrong.", 3.26),
)
Backups = report_of(
    "Backups",
    kind=_text("`dump`: the database. `base`: the whole server, to recover to a point in time from.", "dump"),
    name=_text("The file's name, as `flask backup list` shows it.", "full_backup_20261122_020000_000000.dump"),
    size_bytes=_count("Its size in bytes.", 81920),
    size=_text("The same in words.", "80 kB"),
    sha256=_text("Its checksum.", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
    created_at=moment("When it was made.", required=True),
    verified_at=_moment("When it was last restored elsewhere and found to be what it should: the last drill."),
)

FailingWebhooks = report_of(
    "FailingWebhooks",
    webhook_id=identifier("The webhook.", required=True),
    organization_id=identifier("Whose it is.", required=True),
    organization_name=_text("How they are called.", "Acme"),
    origin=_text("Where it goes, without the path, which may hold a secret.", "https://hooks.example.com"),
    failing_since=_moment("The first failure after the last success."),
    failure_count=_count("Failed attempts in a row.", 12),
    last_success_at=_moment("When it last worked."),
    disabled_at=_moment("When it was switched off for it."),
    disabled_reason=_text("`failing` for days, or `gone`.", "failing", allow_none=True),
    waiting=_count("Deliveries that wait, up to a thousand.", 4),
)
RunningQueries = report_of(
    "RunningQueries",
    pid=_count("The server's process.", 4711),
    user_name=_text("Its login.", "ccb_service", allow_none=True),
    application_name=_text("As it calls itself.", "claude-code-bot", allow_none=True),
    state=_text("What it does.", "active", allow_none=True),
    transaction_seconds=_number("For how long its transaction has been open.", 12.5),
    statement_seconds=_number("Since its newest statement began.", 12.4),
    wait_event=_text("What it waits for.", "Lock: relation", allow_none=True),
    query=_text("Its newest statement.", "SELECT * FROM events", allow_none=True),
)
InvalidIndexes = report_of(
    "InvalidIndexes",
    **TABLE_NAME,
    index_name=_text("The index.", "idx_webhook_deliveries_status"),
    **SIZE,
)
Gauges = report_of(
    "Gauges",
    gauge=_text("What is measured: in `/metrics` it is called so behind `ccb_`.", "queue_depth"),
    label=_text("Of which of them, where there are several.", "deliveries", allow_none=True),
    value=_number("How much.", 4.0),
)


class MaintenanceRunCreate(Schema):
    """A task to be done now."""

    task = choice("The task.", (*TASKS, *BACKUP_TASKS), required=True)


class MaintenanceRun(Schema):
    """One run of a maintenance task."""

    id = identifier("Identifier.", required=True)
    task = _text("The task.", "cleanup-old-data")
    outcome = choice("What became of it.", OUTCOMES, required=True)
    requested_by = identifier("Who asked for it; null where it was due.", allow_none=True)
    created_at = moment("When it was asked for, or due.", required=True)
    started_at = moment("When it began.", allow_none=True)
    ended_at = moment("When it ended.", allow_none=True)
    row_count = fields.Integer(allow_none=True, metadata=described("Rows that it dealt with, where it counts.", 12))
    error_message = fields.String(
        allow_none=True, metadata=described("What went wrong.", "The database did not answer in time.")
    )
    runner = fields.String(
        allow_none=True,
        metadata=described("Who ran it: worker or pg_cron; null before it begins.", "worker"),
    )
    version = version("Raised when it begins and when it ends.")


MaintenanceRunFilters = filters(
    "MaintenanceRunFilters",
    "created_at",
    task=choice("Only those of this task.", (*TASKS, *BACKUP_TASKS)),
    outcome=choice("Only those of which this became.", OUTCOMES),
)
