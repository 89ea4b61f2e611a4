"""What operators ask and have done, over HTTP."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from database import Pool
from operations.accounts import set_permission
from operations.maintenance import TASKS
from repositories.operations import REPORTS, Operations
from tests.service import Client, Person, Service
from worker.maintenance import Schedule


@pytest.fixture
def operator(service: Service) -> Person:
    """Somebody whom the command line has permitted everything."""
    person = service.person("Operator")
    for permission in ("operations:read", "operations:run"):
        set_permission(service.database.admin_url, person.email, permission, True)
    return person


def rows(client: Client | Person, report: str) -> list[dict[str, Any]]:
    answer = client.get(f"/operations/{report}")
    assert answer.status == 200, answer.body
    return list(answer.json["items"])


@pytest.mark.parametrize("report", [*REPORTS, "maintenance-runs"])
def test_only_operators_read(report: str, ann: Person, operator: Person) -> None:
    """Neither owners nor keys with every permission; a key has to name it."""
    for client in (ann.client, operator.key("*"), operator.key("operations:run")):
        answer = client.get(f"/operations/{report}")
        assert (answer.status, answer.json["permission"]) == (403, "operations:read"), answer.body
    assert operator.get(f"/operations/{report}").status == 200
    assert operator.key("operations:read").get(f"/operations/{report}").status == 200


def test_sizes(operator: Person) -> None:
    sizes = {row["table_name"]: row for row in rows(operator, "table-sizes")}
    assert {"integrations", "events", "user_activity"} <= set(sizes)
    assert not [name for name in sizes if "_y20" in name]
    assert sizes["events"]["partitions"] >= 8
    for row in sizes.values():
        assert row["total_bytes"] == row["table_bytes"] + row["index_bytes"]
        assert row["size"].split()[1] in ("bytes", "kB", "MB")
    totals = [row["total_bytes"] for row in sizes.values()]
    assert totals == sorted(totals, reverse=True)


def test_indexes(service: Service, operator: Person) -> None:
    with service.database.admin() as admin:
        admin.execute("CREATE INDEX idx_integrations_unused ON integrations (repository_url)")
        admin.execute("CREATE INDEX idx_integrations_again ON integrations (repository_url, id)")
        try:
            unused = {row["index_name"] for row in rows(operator, "unused-indexes")}
            assert {"idx_integrations_unused", "idx_integrations_again"} <= unused
            assert not {"pk_integrations", "uq_users_email"} & unused
            assert not [name for name in unused if "_y20" in name]
            twice = {row["index_name"]: row["covered_by"] for row in rows(operator, "duplicate-indexes")}
            assert twice["idx_integrations_unused"] == "idx_integrations_again"
        finally:
            admin.execute("DROP INDEX idx_integrations_unused, idx_integrations_again")


def test_slow_queries_where_nobody_counts_them(operator: Person) -> None:
    answer = operator.get("/operations/slow-queries")
    assert (answer.status, answer.json["items"]) == (200, [])
    assert "pg_stat_statements is not there" in answer.json["note"]


def test_missing_indexes(service: Service, operator: Person) -> None:
    with service.database.admin() as admin:
        admin.execute("CREATE TABLE read_from_end_to_end AS SELECT n FROM generate_series(1, 20000) AS n")
        try:
            admin.execute("SELECT count(*) FROM read_from_end_to_end")
            admin.execute("SELECT pg_stat_force_next_flush()")
            found = {row["table_name"]: row for row in rows(operator, "missing-indexes")}
            assert found["read_from_end_to_end"]["sequential_scans"] >= 1
            assert found["read_from_end_to_end"]["row_estimate"] == 20000
            admin.execute("DELETE FROM read_from_end_to_end WHERE n <= 5000")
            admin.execute("SELECT pg_stat_force_next_flush()")
            dead = {row["table_name"]: row for row in rows(operator, "bloat")}
            assert dead["read_from_end_to_end"]["dead_rows"] == 5000
            assert dead["read_from_end_to_end"]["dead_percent"] == 25
        finally:
            admin.execute("DROP TABLE read_from_end_to_end")


def test_connections_of_everybody(service: Service, operator: Person) -> None:
    with psycopg.connect(service.database.admin_url, application_name="by hand"):
        answer = operator.get("/operations/connections").json
    by_hand = [row for row in answer["items"] if row["application_name"] == "by hand"]
    # an ordinary role sees neither the state nor the wait of a superuser
    assert [(row["connections"], row["state"], row["wait_event"]) for row in by_hand] == [
        (1, "idle", "Client: ClientRead")
    ]
    assert " connections are in use." in answer["note"]
    assert "pg_read_all_stats" not in answer["note"]


def test_locks(service: Service, operator: Person) -> None:
    with service.database.admin() as holder, service.database.admin() as waiter:
        holder.execute("BEGIN")
        holder.execute("LOCK TABLE integration_templates")
        thread = threading.Thread(target=lambda: waiter.execute("LOCK TABLE integration_templates; SELECT 1"))
        waiter.execute("BEGIN")
        thread.start()
        deadline = time.monotonic() + 10
        while not (found := rows(operator, "locks")) and time.monotonic() < deadline:
            time.sleep(0.01)
        holder.execute("ROLLBACK")
        thread.join()
        pids = holder.info.backend_pid, waiter.info.backend_pid
    (row,) = found
    assert (row["waits_for"], row["mode"]) == ("integration_templates", "AccessExclusiveLock")
    assert (row["blocked_by"], row["pid"]) == ([pids[0]], pids[1])
    assert row["blocking_query"] == "LOCK TABLE integration_templates"
    assert rows(operator, "locks") == []


def test_the_rest_of_what_the_server_counts(operator: Person) -> None:
    hits = {(row["kind"], row["name"]): row for row in rows(operator, "cache-hit-rate")}
    assert hits["tables", "all"]["blocks_hit"] > 0
    assert 0 < hits["indexes", "all"]["hit_percent"] <= 100
    ages = rows(operator, "transaction-id-age")
    assert {"database", "table"} == {row["kind"] for row in ages}
    assert all(0 <= row["wraparound_percent"] < 1 for row in ages)
    assert rows(operator, "replication") == []


def test_partitions(service: Service, operator: Person) -> None:
    found = {row["table_name"]: row for row in rows(operator, "partitions")}
    assert set(found) >= {"events", "metrics", "webhook_deliveries", "audit_logs", "integration_executions"}
    assert all(3 <= row["months_ahead"] <= 4.1 for row in found.values())
    with service.database.admin() as admin, admin.transaction(force_rollback=True):
        last = admin.execute(
            "SELECT partition FROM partition_ranges('metrics') WHERE is_month AND lower_bound ="
            " date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + interval '2 months'"
        ).fetchone()
        assert last is not None
        admin.execute(f"DROP TABLE {last['partition']}")
        until = admin.execute("SELECT * FROM partition_horizons() WHERE table_name = 'metrics'").fetchone()
    assert until is not None
    assert 1 <= until["months_ahead"] < 2.1  # behind the gap nothing counts


def test_backups(service: Service, operator: Person) -> None:
    with service.database.admin() as admin:
        admin.execute(
            "SELECT record_backup('one.dump', 2048, 'abc', false), record_backup('one.dump', 2048, 'abc', true)"
        )
        admin.execute("SELECT record_backup('two.dump', 1024, 'def', false)")
    newest, older = rows(operator, "backups")
    assert (newest["name"], newest["verified_at"], newest["size"]) == ("two.dump", None, "1024 bytes")
    assert older["name"] == "one.dump"
    assert older["verified_at"] is not None


def test_maintenance_on_request(service: Service, operator: Person, ann: Person) -> None:
    """The next worker does it although it is not due, once however often it was asked for."""
    assert operator.post("/operations/maintenance-runs", {"task": "nonsense"}).code == "invalid"
    for client in (ann.client, operator.key("*"), operator.key("operations:read")):
        answer = client.post("/operations/maintenance-runs", {"task": "cleanup-mail"})
        assert (answer.status, answer.json["permission"]) == (403, "operations:run"), answer.body
    pool = Pool(service.database.logins.worker, service.database.settings())
    pool.open()
    try:
        schedule = Schedule(pool, service.database.settings(), [replace(task, cron="0 0 29 2 *") for task in TASKS])
        schedule.run_due(threading.Event())
        asked = [operator.post("/operations/maintenance-runs", {"task": "cleanup-mail"}) for _ in range(2)]
        assert [answer.status for answer in asked] == [202, 202], asked[0].body
        assert asked[0].json == asked[1].json
        assert asked[0].json["outcome"] == "requested"
        assert asked[0].json["requested_by"] == operator.user_id
        place = asked[0].headers["Location"].removeprefix("/api/v1")
        assert ann.get(place).status == 404
        assert schedule.run_due(threading.Event()) == ["cleanup-mail"]
        assert schedule.run_due(threading.Event()) == []
    finally:
        pool.close()
    done = operator.get(place)
    assert (done.json["outcome"], done.json["error_message"]) == ("succeeded", None)
    assert (done.json["row_count"], done.json["runner"]) == (0, "worker")
    assert done.json["started_at"] <= done.json["ended_at"]
    assert done.etag != asked[0].etag
    listed = operator.get("/operations/maintenance-runs?task=cleanup-mail&outcome=succeeded").json["items"]
    assert done.json in listed


def test_every_task_can_be_asked_for(operator: Person) -> None:
    for task in TASKS:
        assert operator.post("/operations/maintenance-runs", {"task": task.name}).status == 202


@pytest.mark.parametrize("report", [*REPORTS, "observation"])
def test_every_function_refuses_by_itself(service: Service, report: str) -> None:
    """Whatever the program asks before."""
    query = REPORTS.get(report, Operations.queries.observation)
    with psycopg.connect(service.database.logins.service) as connection:
        connection.execute("SET ROLE authenticated_users")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="operations:read"):
            connection.execute(query.text)
