"""Health over HTTP, for those who have no credential."""

from __future__ import annotations

from tests.conftest import Database
from tests.service import Client, Service


def test_up_and_ready(client: Client) -> None:
    for path, status in (("!/healthz", "up"), ("!/readyz", "ready")):
        answer = client.get(path)
        assert (answer.status, answer.json) == (200, {"status": status})
        assert answer.headers["X-Request-Id"]
        assert client.call("HEAD", path).body == b""


def test_not_ready_while_migrations_are_missing(service: Service, client: Client) -> None:
    database: Database = service.database
    newest = "(SELECT max(number) FROM schema_migrations)"
    with database.admin() as connection:
        row = connection.execute(f"DELETE FROM schema_migrations WHERE number = {newest} RETURNING *").fetchone()
        try:
            answer = client.get("!/readyz")
            assert (answer.status, answer.code) == (503, "unavailable")
            assert "Retry-After" in answer.headers
            assert client.get("!/healthz").status == 200
        finally:
            connection.execute("INSERT INTO schema_migrations (number, name, checksum) VALUES"
                               " (%(number)s, %(name)s, %(checksum)s)", row)  # fmt: skip
    assert client.get("!/readyz").status == 200
