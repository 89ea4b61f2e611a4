"""`flask ops`, as an operator meets it at three in the morning."""

from __future__ import annotations

import pytest
from click.testing import Result
from psycopg.conninfo import make_conninfo

from cli import app
from operations.reports import TABLES
from tests.conftest import Database


def run(url: str, *arguments: str) -> Result:
    """A command, as a shell runs it."""
    return app.test_cli_runner().invoke(args=["ops", *arguments], env={"DATABASE_URL": url})


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_report_is_printed(module_database: Database, name: str) -> None:
    result = run(module_database.admin_url, name)
    assert result.exit_code == 0, result.output
    assert result.output.strip()
    assert "None" not in result.output


def test_a_table(module_database: Database) -> None:
    head, line, *rows = run(module_database.admin_url, "partitions").output.splitlines()
    assert head.split() == ["table_name", "partitions", "oldest_month", "covered_until", "months_ahead"]
    assert set(line) == {"-", " "}
    assert sorted(row.split()[0] for row in rows) == [
        "audit_logs", "events", "integration_executions", "metrics", "webhook_deliveries"
    ]  # fmt: skip


def test_running_a_task(module_database: Database) -> None:
    url = module_database.admin_url
    assert (
        run(url, "run", "refresh-views").output
        == "refresh-views is asked for; `flask ops maintenance-runs` shows what became of it\n"
    )
    assert "requested" in run(url, "maintenance-runs").output.splitlines()[2].split()
    assert run(url, "run", "nonsense").exit_code == 2


def test_the_cause_of_a_failure_is_told_to_its_end(database: Database) -> None:
    fault = f"pg_dump failed: {'could not write to output file: ' * 5}No space left on device"
    with database.admin() as admin:
        admin.execute(
            "INSERT INTO maintenance_runs (task, outcome, started_at, ended_at, error_message)"
            " VALUES ('create-backup', 'failed', now(), now(), %s)",
            [fault],
        )
    assert fault in run(database.admin_url, "maintenance-runs").output


def test_a_database_that_is_not_the_services(database: Database) -> None:
    name = f"{database.name}_without_schema"
    with database.admin() as admin:
        admin.rollback()
        admin.autocommit = True
        admin.execute(f"CREATE DATABASE {name}")
    for arguments in (["locks"], ["run", "refresh-views"]):
        result = run(make_conninfo(database.admin_url, dbname=name), *arguments)
        assert result.exit_code == 1
        assert result.output.startswith("Error: function ")
        assert result.output.endswith("is it the service's database, up to date by `flask migrate`?\n")


def test_the_services_login_is_no_operator(module_database: Database) -> None:
    result = run(module_database.logins.service, "locks")
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert "Traceback" not in result.output


def test_ruling_23_slow_queries(database: Database) -> None:
    """What stands in for the extension has the columns of PostgreSQL 15 to 18; other databases are left out."""
    with database.admin() as admin:
        admin.execute(
            "CREATE VIEW pg_stat_statements AS SELECT 'SELECT ' || n AS query, n AS calls, n * 1.5::float8 AS"
            " total_exec_time, 1.5::float8 AS mean_exec_time, n AS rows, 3 * n AS shared_blks_hit,"
            " n AS shared_blks_read, CASE WHEN n > 30 THEN 0::oid ELSE here.oid END AS dbid"
            " FROM generate_series(1::bigint, 40) AS n, pg_database AS here WHERE here.datname = current_database()"
        )
        admin.execute("GRANT SELECT ON pg_stat_statements TO PUBLIC")
        admin.execute(f"ALTER DATABASE {database.name} SET pg_stat_statements.max = 5000")
    head, _, first, *rest = run(database.admin_url, "slow-queries").output.splitlines()
    assert head.split() == ["query", "calls", "total_time", "mean_time", "row_count", "hit_percent"]
    assert first.split() == ["SELECT", "30", "30", "45.00", "1.50", "30", "75.00"]
    assert len(rest) == 19
