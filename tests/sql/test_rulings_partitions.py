"""Rulings 1 and 19 to 21: partitions, retention, archive. Time moves by rows and months of other times."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.conftest import Database
from tests.sql.people import People
from tests.sql.statements import named_statements

Admin = psycopg.Connection[dict[str, Any]]

TIME_COLUMNS = {
    "webhook_deliveries": "created_at",
    "events": "created_at",
    "integration_executions": "started_at",
    "audit_logs": "created_at",
    "metrics": "recorded_at",
}
INSERTS = named_statements("moments")
# the edges of months: each of the years around this one, and one of every seventh year
MOMENTS = [
    datetime(year, month, 1, tzinfo=UTC) + side
    for year in (*range(1970, 2101, 7), *range(2024, 2030), 2100)
    for month in (range(1, 13) if 2024 <= year < 2030 else (6,))
    for side in (timedelta(), timedelta(microseconds=-1))
]
THIS_MONTH = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def month(ahead: int) -> datetime:
    """The beginning of a month, counted from this one."""
    number = THIS_MONTH.year * 12 + THIS_MONTH.month - 1 + ahead
    return THIS_MONTH.replace(year=number // 12, month=number % 12 + 1)


def partition_name(table: str, moment: datetime) -> str:
    """What the partition of a month is called, as in the document."""
    return f"{table}_y{moment:%Y}m{moment:%m}"


class Clock:
    """Rows at any time, in a database of the test's own."""

    def __init__(self, database: Database, admin: Admin) -> None:
        self.database, self.admin = database, admin
        people = People(database)
        self.person = people.register()
        team = people.team(self.person)
        integration = people.integration(self.person, team)
        people.close()
        webhook = admin.execute(
            "INSERT INTO webhooks (organization_id, integration_id, url, events) VALUES (%s, %s, 'https://x',"
            " '{}') RETURNING id",
            [team, integration],
        ).fetchone()
        assert webhook is not None
        self.values = {"team": team, "webhook": webhook["id"], "integration": integration}

    def insert(self, table: str, *moments: datetime) -> int:
        """Rows of a table; gives how many."""
        values = {**self.values, "moments": list(moments)}
        return self.admin.execute(INSERTS[table], values).rowcount

    def places(self, table: str, since: datetime, until: datetime) -> list[str]:
        """The partitions in which the rows of a stretch of time lie."""
        column = TIME_COLUMNS[table]
        rows = self.admin.execute(
            f"SELECT tableoid::regclass::text AS place FROM {table} WHERE {column} >= %s AND {column} < %s"
            f" ORDER BY {column}",
            [since, until],
        )
        return [row["place"] for row in rows]

    def make_month(self, table: str, moment: datetime) -> Any:
        """Make the partition of a month as maintenance does; gives whether it was made."""
        with self.admin.transaction():
            self.admin.execute("SET LOCAL ROLE ccb_owner")
            row = self.admin.execute("SELECT create_month_partition(%s, %s) AS made", [table, moment]).fetchone()
        assert row is not None
        return row["made"]

    def run(self, call: str) -> Any:
        """Call a procedure as the worker does."""
        with psycopg.connect(self.database.logins.worker, autocommit=True) as worker:
            row = worker.execute(f"SELECT {call}").fetchone()
        assert row is not None
        return row[0]

    def assert_nothing_is_refused(self) -> None:
        """Any time from 1970 to 2100 finds a partition, and time is covered once."""
        with self.admin.transaction(force_rollback=True):
            self.admin.execute(
                "SET LOCAL session_replication_role = replica"
            )  # no triggers: only where rows go matters
            for table in INSERTS:
                assert self.insert(table, *MOMENTS) == len(MOMENTS)
        for table in INSERTS:
            ranges = self.admin.execute(
                "SELECT lower_bound::text, upper_bound::text FROM partition_ranges(%s) ORDER BY lower_bound", [table]
            ).fetchall()
            assert ranges[0]["lower_bound"] == "-infinity"
            assert ranges[-1]["upper_bound"] == "infinity"
            assert all(before["upper_bound"] == after["lower_bound"] for before, after in itertools.pairwise(ranges))

    def inventory(self) -> list[Any]:
        """Every table of events with its rows, to see whether anything changed."""
        tables = self.admin.execute(
            "SELECT oid::regclass::text AS name FROM pg_class WHERE relkind = 'r' AND relname LIKE 'events%' ORDER BY 1"
        ).fetchall()
        return [
            (name, self.admin.execute(f"SELECT id FROM {name} ORDER BY id").fetchall())
            for name in (table["name"] for table in tables)
        ]


@pytest.fixture
def clock(database: Database) -> Iterator[Clock]:
    with database.admin() as admin:
        yield Clock(database, admin)


def test_ruling_1_tables_are_partitioned_by_month(clock: Clock) -> None:
    for table, column in TIME_COLUMNS.items():
        row = clock.admin.execute(
            "SELECT pg_get_partkeydef(oid) AS partition_key, (SELECT pg_get_constraintdef(keys.oid) FROM"
                " pg_constraint AS keys"
            " WHERE conrelid = pg_class.oid AND contype = 'p') AS primary_key,"
            " (SELECT attnotnull FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = %s) AS"
                " is_not_null FROM pg_class WHERE oid = %s::regclass", [column, table]
        ).fetchone()  # fmt: skip
        keys = {"partition_key": f"RANGE ({column})", "primary_key": f"PRIMARY KEY (id, {column})", "is_not_null": True}
        assert row == keys
        for first in (datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC)):
            last = first.replace(month=first.month + 1) - timedelta(microseconds=1)
            clock.insert(table, first, last)
            assert clock.places(table, first, last + timedelta(microseconds=1)) == [partition_name(table, first)] * 2


def test_ruling_21_months_ahead_are_there(clock: Clock) -> None:
    for table in INSERTS:
        for ahead in range(4):
            clock.insert(table, month(ahead))
            assert clock.places(table, month(ahead), month(ahead + 1))[:1] == [partition_name(table, month(ahead))]
    assert clock.run("create_partitions()") == 0
    assert clock.run("create_partitions(6)") == 3 * len(INSERTS)
    assert clock.run("create_partitions(6)") == 0
    clock.assert_nothing_is_refused()


def test_ruling_21_rows_move_out_of_the_fillers(clock: Clock) -> None:
    """Years pass, with months in which nobody made partitions, and rows that waited in between."""
    for table in INSERTS:
        spread = [month(number) + timedelta(days=3) for number in (-900, -30, -9, 5, 6, 8, 30, 70)]
        clock.insert(table, *spread)
        before = clock.admin.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()
        for number in (6, -9, 30, 5, -900, 8, 70, -30):
            moment = month(number)
            assert partition_name(table, moment) not in clock.places(table, moment, month(number + 1))
            assert clock.make_month(table, moment)
            assert clock.places(table, moment, month(number + 1)) == [partition_name(table, moment)]
        assert clock.admin.execute(f"SELECT * FROM {table} ORDER BY id").fetchall() == before
    clock.assert_nothing_is_refused()


def test_ruling_21_three_years_of_maintenance(clock: Clock) -> None:
    for number in range(4, 40):
        clock.insert("metrics", month(number) + timedelta(days=20))
        assert clock.make_month("metrics", month(number))
    places = clock.places("metrics", month(4), month(40))
    assert places == [partition_name("metrics", month(number)) for number in range(4, 40)]
    clock.assert_nothing_is_refused()


def test_ruling_21_a_new_partition_is_like_the_others(clock: Clock) -> None:
    """Row security on and forced, no grants, indexes, keys and triggers of its parent."""
    wanted = (
        "SELECT relrowsecurity, relforcerowsecurity, relacl, relowner::regrole::text AS owner,"
        " (SELECT count(*) FROM pg_index WHERE indrelid = pg_class.oid AND indisvalid) AS indexes,"
        " (SELECT count(*) FROM pg_trigger WHERE tgrelid = pg_class.oid AND NOT tgisinternal) AS triggers,"
        " (SELECT count(*) FROM pg_constraint WHERE conrelid = pg_class.oid AND contype <> 'n') AS constraints"
        " FROM pg_class WHERE oid = %s::regclass"
    )
    clock.run("create_partitions(7)")
    for table in INSERTS:
        original = clock.admin.execute(wanted, [f"{table}_y2025m01"]).fetchone()
        for name in (partition_name(table, month(7)), f"{table}_future", f"{table}_past"):
            assert clock.admin.execute(wanted, [name]).fetchone() == original, name


def _ago(days: int) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


@pytest.mark.parametrize(
    ("table", "days"), [("webhook_deliveries", 90), ("integration_executions", 184), ("audit_logs", 2557)]
)
def test_ruling_19_months_are_dropped_and_only_straddling_rows_deleted(clock: Clock, table: str, days: int) -> None:
    expired, limit = _ago(days + 70), _ago(days)
    before_limit, behind_limit = limit - timedelta(days=4), limit + timedelta(days=4)
    forgotten = _ago(days + 900)  # lies in a filler, which is no month and stays
    for moment in (expired, before_limit, behind_limit):
        clock.make_month(table, moment)
    clock.insert(table, expired, before_limit, behind_limit, forgotten)
    column = TIME_COLUMNS[table]
    rows = clock.admin.execute(
        f"SELECT tableoid::regclass, ctid, id FROM {table} WHERE {column} > %s", [behind_limit - timedelta(1)]
    )
    kept = rows.fetchall()
    clock.run("cleanup_old_data()")
    assert clock.admin.execute("SELECT to_regclass(%s) AS name", [partition_name(table, expired)]).fetchone() == {
        "name": None
    }
    assert clock.admin.execute("SELECT to_regclass(%s) AS name", [partition_name(table, behind_limit)]).fetchone() != {
        "name": None
    }
    remaining = clock.admin.execute(f"SELECT tableoid::regclass, ctid, id FROM {table}").fetchall()
    assert sorted(map(repr, kept)) == sorted(repr(row) for row in remaining if row in kept)
    assert not clock.places(table, datetime(1970, 1, 1, tzinfo=UTC), limit - timedelta(days=1))
    clock.assert_nothing_is_refused()


def test_ruling_19_sessions_and_limits(clock: Clock) -> None:
    clock.admin.execute(
        "INSERT INTO user_sessions (user_id, session_token, access_expires_at, expires_at)"
        " SELECT (SELECT id FROM users LIMIT 1), md5(days::text) || md5(days::text), now(), now() - days *"
            " interval '1 day'"
        " FROM unnest(ARRAY[1, 6, 8, 30]) AS days"
    )  # fmt: skip
    clock.admin.execute(
        "INSERT INTO idempotency_keys (user_id, route, key, request_hash, response_status, response_headers,"
            " response_body, expires_at)"
        " SELECT %s, 'route', due, 'hash', 201, '{}', '', due::timestamptz FROM unnest(ARRAY['yesterday',"
            " 'tomorrow']) AS due", [clock.person]
    )  # fmt: skip
    clock.admin.execute(
        "INSERT INTO maintenance_runs (task, created_at, ended_at) SELECT 'x', now() - days * interval '1 day',"
        " CASE WHEN days <> 95 THEN now() END FROM unnest(ARRAY[1, 89, 92, 95, 300]) AS days"
    )
    ended = "SELECT count(*) FROM user_sessions WHERE expires_at < now()"
    clock.run("cleanup_old_data()")
    kept = clock.admin.execute("SELECT count(*), count(ended_at) AS ended FROM maintenance_runs").fetchone()
    assert kept == {"count": 3, "ended": 2}
    assert clock.admin.execute(ended).fetchone() == {"count": 2}
    assert clock.admin.execute("SELECT key FROM idempotency_keys").fetchall() == [{"key": "tomorrow"}]
    clock.run("cleanup_old_data(keep_sessions => '2 days')")
    assert clock.admin.execute(ended).fetchone() == {"count": 1}
    clock.insert("webhook_deliveries", _ago(20), _ago(40))
    clock.run("cleanup_old_data(keep_webhook_deliveries => '30 days')")
    assert len(clock.places("webhook_deliveries", _ago(60), _ago(1))) == 1


def test_ruling_20_archive(clock: Clock) -> None:
    old = month(-14)
    name = partition_name("events", old)
    clock.make_month("events", old)
    clock.insert("events", old, old + timedelta(days=9), month(-11))
    clock.run("archive_old_partitions()")
    assert not clock.places("events", old, month(-13))
    assert len(clock.places("events", month(-11), month(-10))) == 1
    assert clock.admin.execute(f"SELECT count(*) FROM archive.{name}").fetchone() == {"count": 2}
    clock.assert_nothing_is_refused()

    inventory = clock.inventory()
    clock.run("archive_old_partitions()")
    assert clock.inventory() == inventory

    for arrived in (1, 2):
        clock.insert("events", old + timedelta(days=20 + arrived))
        clock.admin.execute("SELECT attach_archived_partition(%s)", [name])
        assert clock.places("events", old, month(-13)) == [name] * (2 + arrived)
        assert clock.admin.execute("SELECT to_regclass(%s) AS name", [f"archive.{name}"]).fetchone() == {"name": None}
        clock.assert_nothing_is_refused()
        clock.run("archive_old_partitions()")  # what was brought back stays, unless it is asked for
        assert clock.places("events", old, month(-13)) == [name] * (2 + arrived)
        clock.run("archive_old_partitions(brought_back_too => true)")
        assert clock.admin.execute(f"SELECT count(*) FROM archive.{name}").fetchone() == {"count": 2 + arrived}
    clock.assert_nothing_is_refused()


def test_ruling_20_there_is_nothing_to_attach(clock: Clock) -> None:
    for name in ("events_y2020m01", "users", "events_past"):
        with pytest.raises(psycopg.errors.UndefinedTable):
            clock.run(f"attach_archived_partition('{name}')")
    clock.assert_nothing_is_refused()


def test_maintenance_in_any_order_refuses_nothing(clock: Clock) -> None:
    for table in INSERTS:
        clock.insert(table, *(month(number) + timedelta(days=5) for number in range(-100, 12, 7)))
    for call in (
        "archive_old_partitions()",
        "cleanup_old_data()",
        "create_partitions(12)",
        "refresh_materialized_views()",
        "archive_old_partitions('1 month')",
        "cleanup_old_data('1 day', '1 day', '1 day', '2 years')",
        "create_partitions(24)",
        "archive_old_partitions()",
    ):
        clock.run(call)
        clock.assert_nothing_is_refused()
