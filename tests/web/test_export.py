"""Exports: whole lists as CSV and NDJSON, in constant memory, and never silently short."""

from __future__ import annotations

import csv
import http.client
import io
import json
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Database
from tests.service import API, Client, Person, Service
from tests.waiting import eventually

MANY = 20_000  # more than all the buffers between here and there hold
MEMORY_ROWS = int(os.environ.get("TEST_EXPORT_ROWS", "200000"))  # a million takes minutes, and shows no more
LISTS = ("integrations", "integration-executions", "workflow-executions", "webhook-deliveries", "audit-logs")


def insert_audit_logs(database: Database, organization_id: str, count: int) -> None:
    """Rows with distinct times, the newest first in a list."""
    with database.admin() as admin:
        admin.execute(
            "INSERT INTO audit_logs"
            " (organization_id, action, resource_type, resource_id, details, user_agent, created_at)"
            " SELECT %s, 'thing.done', 'thing', n, jsonb_build_object('n', n, 'outcome', 'allowed'), repeat('x', 200),"
            " now() - n * interval '1 second' FROM generate_series(1, %s) AS n",
            [organization_id, count],
        )


@pytest.fixture
def lone(database: Database) -> Iterator[Service]:
    """A service of the test's own, with one process and one database connection."""
    with Service(database.settings(web_workers=1, pool_max_size=1, pool_timeout=3.0)) as running:
        running.database = database
        yield running


@contextmanager
def slow(client: Client, path: str, version: str = "1.1") -> Iterator[http.client.HTTPResponse]:
    """An answer that its client does not read yet."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(60)
        sock.connect(("127.0.0.1", client.port))
        head = [f"GET {API}{path} HTTP/{version}", "Host: x", *(f"{k}: {v}" for k, v in client.headers.items())]
        sock.sendall("\r\n".join([*head, "", ""]).encode())
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        yield answer


def read_broken(answer: http.client.HTTPResponse) -> bytes:
    """The rest of an answer whose transfer must be seen to have failed."""
    content = b""
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)) as broken:
        while piece := answer.read1(1 << 16):
            content += piece
        raise ConnectionResetError if answer.chunked and not answer.isclosed() else AssertionError("it ended well")
    if isinstance(broken.value, http.client.IncompleteRead):
        content += broken.value.partial
    return content


def lines(content: bytes) -> list[Any]:
    """The values of NDJSON."""
    assert content.endswith(b"\n")
    return [json.loads(line) for line in content.splitlines()]


def rows(content: bytes) -> list[dict[str, str]]:
    """The rows of CSV."""
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


@pytest.mark.parametrize("name", LISTS)
def test_an_export_is_the_list(ann: Person, name: str) -> None:
    for number in range(3):
        integration = ann.integration(name=f"Number {number}", config={"n": number})
        ann.post(f"/integrations/{integration['id']}/executions", {"trigger_data": {"n": number}})
        ann.execution(input_parameters={"name": "Eve"})
        hook = {"integration_id": integration["id"], "url": "https://example.org/", "events": ["integration.*"]}
        assert ann.post(f"/webhooks/{ann.post('/webhooks', hook).json['id']}/test").status == 202
    expected = ann.get(f"/{name}?limit=200").json["items"]
    answer = ann.get(f"/{name}/export")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/x-ndjson")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}.ndjson"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert len(expected) >= 3
    assert lines(answer.body) == expected
    table = ann.get(f"/{name}/export?format=csv")
    assert table.headers["Content-Type"].startswith("text/csv; charset=utf-8")
    assert table.headers["Content-Disposition"] == f'attachment; filename="{name}.csv"'
    found = rows(table.body)
    assert found[0].keys() == expected[0].keys()
    for cells, row in zip(found, expected, strict=True):
        for column, value in row.items():
            written = "" if value is None else value if isinstance(value, str) else json.dumps(value)
            assert cells[column].replace(" ", "") == written.replace(" ", ""), column


def test_the_format_may_be_asked_for_by_accept(ann: Person) -> None:
    ann.integration()
    for accept, kind in {
        "text/csv": "text/csv",
        "application/x-ndjson": "application/x-ndjson",
        "text/csv;q=0.5, application/x-ndjson": "application/x-ndjson",
        "*/*": "application/x-ndjson",
        "text/html": "application/x-ndjson",
    }.items():
        answer = ann.get("/integrations/export", headers={"Accept": accept})
        assert answer.headers.get_content_type() == kind, accept
    answer = ann.get("/integrations/export?format=csv", headers={"Accept": "application/x-ndjson"})
    assert answer.headers.get_content_type() == "text/csv"
    assert ann.get("/integrations/export?format=xml").json["errors"][0]["pointer"] == "?format"


def test_filters_order_and_fields(ann: Person) -> None:
    for name in ("b", "c", "a"):
        ann.integration(name=name, service_type="soap" if name == "c" else "rest")
    answer = ann.get("/integrations/export?service_type=rest&sort=name&fields=name,status")
    assert lines(answer.body) == [{"name": "a", "status": "draft"}, {"name": "b", "status": "draft"}]
    answer = ann.get("/integrations/export?format=csv&sort=-name&fields=name,status")
    assert answer.body == b"name,status\r\nc,draft\r\nb,draft\r\na,draft\r\n"
    assert ann.get("/integrations/export?cursor=x").code == "invalid"
    for wrong in ("limit=3", "fields=nonsense", "status=nonsense", "sort=config"):
        assert ann.get(f"/integrations/export?{wrong}").status == 422, wrong


def test_nothing_is_a_header_or_nothing(ann: Person) -> None:
    assert ann.get("/integration-executions/export").body == b""
    answer = ann.get("/integration-executions/export?format=csv&fields=id,status")
    assert (answer.status, answer.body) == (200, b"id,status\r\n")


def test_what_csv_must_quote_and_what_a_spreadsheet_would_run(ann: Person) -> None:
    names = {
        'say "hello", twice': None,
        "two\r\nlines": None,
        "=1+1": "'=1+1",
        "+1": "'+1",
        "-1": "'-1",
        "@SUM(A1)": "'@SUM(A1)",
        "\t=1": "'\t=1",
        "\r=1": "'\r=1",
        "\uff1d1+1": "'\uff1d1+1",
        "1-1=0": None,
        "Grüße ✓": None,
    }
    for name in names:
        ann.integration(name=name, config={"f": "=1+1"}, capabilities=["=1+1"])
    found = rows(ann.get("/integrations/export?format=csv&sort=created_at").body)
    assert [row["name"] for row in found] == [written or name for name, written in names.items()]
    assert {row["config"] for row in found} == {'{"f": "=1+1"}'}
    assert {row["capabilities"] for row in found} == {'["=1+1"]'}
    plain = lines(ann.get("/integrations/export?sort=created_at").body)
    assert [row["name"] for row in plain] == list(names)


def test_many_pages_are_one_request(ann: Person, service: Service) -> None:
    team = ann.organization()
    insert_audit_logs(service.database, team["id"], 1700)
    client = ann.key(rate_limit=100)
    before = int(client.get("/api-keys/self").headers["RateLimit"].split("r=")[1].split(";")[0])
    answer = client.get(f"/audit-logs/export?organization_id={team['id']}&resource_type=thing")
    assert [row["resource_id"] for row in lines(answer.body)] == [str(n) for n in range(1, 1701)]
    assert int(answer.headers["RateLimit"].split("r=")[1].split(";")[0]) == before - 1
    assert int(client.get("/api-keys/self").headers["RateLimit"].split("r=")[1].split(";")[0]) == before - 2


def test_who_is_refused_gets_an_ordinary_answer(ann: Person, bob: Person) -> None:
    client = ann.key()
    (key,) = ann.get("/api-keys").json["items"]
    assert ann.delete(f"/api-keys/{key['id']}", headers={"If-Match": "*"}).status == 204
    assert client.get("/audit-logs/export").code == "unauthenticated"
    assert all(row["user_id"] == bob.user_id for row in lines(bob.get("/audit-logs/export").body))


@pytest.mark.parametrize("kind", ["ndjson", "csv"])
def test_a_revocation_ends_it(ann: Person, service: Service, kind: str) -> None:
    team = ann.organization()
    insert_audit_logs(service.database, team["id"], MANY)
    client = ann.key()
    (key,) = ann.get("/api-keys").json["items"]
    with slow(client, f"/audit-logs/export?organization_id={team['id']}&format={kind}") as answer:
        assert answer.status == 200
        assert ann.delete(f"/api-keys/{key['id']}", headers={"If-Match": "*"}).status == 204
        last = read_broken(answer).splitlines()[-1]
    if kind == "csv":
        assert last == b"problem: unauthenticated: This API key has been revoked."
    else:
        problem = json.loads(last)["problem"]
        assert (problem["code"], problem["status"]) == ("unauthenticated", 401)
        assert problem["request_id"] == answer.headers["X-Request-Id"]


def test_a_cut_database_connection_is_seen(lone: Service) -> None:
    ann = lone.person()
    insert_audit_logs(lone.database, ann.personal_organization_id, MANY)
    cut = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE usename = 'ccb_service' AND datname = current_database() AND wait_event_type = 'Lock'"
    )
    for version in ("1.1", "1.0"):
        # HTTP/1.0 does not say where a body ends: there the last line has to
        read = read_broken if version == "1.1" else http.client.HTTPResponse.read
        with (
            slow(ann.client, "/audit-logs/export", version) as answer,
            lone.database.admin() as admin,
            ThreadPoolExecutor() as thread,
        ):
            with admin.transaction():  # a connection that is cut between two pages is replaced
                admin.execute("LOCK TABLE audit_logs")
                reading = thread.submit(read, answer)
                eventually(lambda: lone.database.look(cut), "the connection is cut in the middle of a page")
            content = reading.result()
        *whole, last = lines(content)
        assert last["problem"]["code"] == "unavailable"
        assert 0 < len(whole) < MANY
        assert next(row["resource_id"] for row in whole if row["action"] == "thing.done") == "1"


def test_a_slow_client_holds_no_connection(lone: Service) -> None:
    """There is one connection in the pool, and two exports wait for their readers."""
    ann = lone.person()
    insert_audit_logs(lone.database, ann.personal_organization_id, MANY)
    with slow(ann.client, "/audit-logs/export") as first, slow(ann.client, "/audit-logs/export?format=csv") as second:
        for _ in range(5):
            assert ann.get("/me").status == 200
        assert len(first.read().splitlines()) >= MANY
        assert len(second.read().splitlines()) >= MANY + 1


def test_a_graceful_stop_ends_it(database: Database) -> None:
    with Service(database.settings(web_workers=1)) as service:
        ann = service.person()
        insert_audit_logs(database, ann.personal_organization_id, MANY)
        with slow(ann.client, "/audit-logs/export") as answer:
            stopping = threading.Thread(target=service.stop)
            stopping.start()
            eventually(lambda: not _accepts(service.port), "it stops")
            content = read_broken(answer)
            stopping.join(25)
            assert not stopping.is_alive()
    assert content.count(b"\n") < MANY


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_memory_stays_what_it_is(lone: Service) -> None:
    """200,000 rows, 100 MB of NDJSON, through one process: what it holds does not grow with them."""
    ann = lone.person()
    insert_audit_logs(lone.database, ann.personal_organization_id, MEMORY_ROWS)
    process = _web_process(lone)
    assert ann.get("/audit-logs/export?resource_type=nothing").status == 200  # whatever the first one loads is loaded
    before, most, count, size = _resident(process), 0, 0, 0
    connection = http.client.HTTPConnection("127.0.0.1", lone.port, timeout=60)
    connection.request("GET", f"{API}/audit-logs/export", headers=ann.client.headers)
    answer = connection.getresponse()
    while piece := answer.read1(1 << 20):
        count, size, most = count + piece.count(b"\n"), size + len(piece), max(most, _resident(process))
    connection.close()
    print(f"{count} rows, {size / 1e6:.0f} MB; resident {before / 1024:.0f} MB, at most {most / 1024:.0f} MB")
    assert count > MEMORY_ROWS
    assert most - before < 16 * 1024


@pytest.mark.parametrize("kind", ["ndjson", "csv"])
def test_memory_stays_what_it_is_with_large_rows(lone: Service, kind: str) -> None:
    """150 results of a megabyte: as many rows as of small ones would be half a gigabyte and more."""
    ann = lone.person()
    integration = ann.integration()
    with lone.database.admin() as admin:
        admin.execute("SET session_replication_role = replica")  # no events of so much text, which are not asked for
        admin.execute(
            "INSERT INTO integration_executions"
            " (organization_id, integration_id, trigger_type, status, result, started_at, completed_at)"
            " SELECT %s, %s, 'manual', 'completed', jsonb_build_object('text', repeat('x', 1000000)), at, at"
            " FROM generate_series(1, 150) AS number, LATERAL (SELECT now() - number * interval '1 s' AS at) AS moment",
            [ann.personal_organization_id, integration["id"]],
        )
    process = _web_process(lone)
    before, most, size = _resident(process), 0, 0
    connection = http.client.HTTPConnection("127.0.0.1", lone.port, timeout=60)
    connection.request("GET", f"{API}/integration-executions/export?format={kind}", headers=ann.client.headers)
    answer = connection.getresponse()
    while piece := answer.read1(1 << 20):
        size, most = size + len(piece), max(most, _resident(process))
    connection.close()
    print(f"{size / 1e6:.0f} MB; resident {before / 1024:.0f} MB, at most {most / 1024:.0f} MB")
    assert size > 150_000_000
    assert most - before < 150 * 1024  # the first page, whose rows nobody knows: 20 MB, several times over


def _web_process(service: Service) -> int:
    assert service._process is not None
    children = Path(f"/proc/{service._process.pid}/task/{service._process.pid}/children").read_text("ascii").split()
    return int(children[0])


def _resident(process: int) -> int:
    """Kilobytes."""
    text = Path(f"/proc/{process}/status").read_text("ascii")
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("VmRSS")))
