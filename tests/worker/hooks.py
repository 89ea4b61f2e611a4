"""Webhooks and their deliveries, made straight in the database."""

from __future__ import annotations

import base64
import itertools
import json
import os
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row

from security.encryption import Cipher

_numbers = itertools.count(1)


def new_secret() -> str:
    """A secret as its owner sees it."""
    return "whsec_" + base64.b64encode(os.urandom(24)).decode()


class Hooks:
    """An administrator's connection that arranges and looks.

    :param url: a superuser's login.
    :param encryption_key: of the workers.
    """

    def __init__(self, url: str, encryption_key: str) -> None:
        self.connection: psycopg.Connection[dict[str, Any]] = psycopg.connect(
            url, autocommit=True, row_factory=dict_row
        )
        self._cipher = Cipher([encryption_key])
        row = self.run("SELECT register_user(gen_random_uuid(), %s, 'Ann', '$2b$04$x') AS id", f"{uuid.uuid4()}@x.org")
        assert row
        self._user = self.run("SELECT id FROM users LIMIT 1")[0]["id"]

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def run(self, text: str, *values: Any) -> list[dict[str, Any]]:
        """Run a statement; gives its rows."""
        cursor = self.connection.execute(text, values)
        return cursor.fetchall() if cursor.description else []

    def organization(self, retry_seconds: Sequence[float] | None = None) -> str:
        """A new organization with a schedule of its own; gives the id."""
        settings = {"webhooks": {"retry_seconds": list(retry_seconds)}} if retry_seconds else {}
        [row] = self.run(
            "INSERT INTO organizations (name, slug, settings) VALUES ('Team', %s, %s) RETURNING id",
            f"team-{uuid.uuid4()}", json.dumps(settings),
        )  # fmt: skip
        return str(row["id"])

    def webhook(self, organization: str, url: str, *, secret: str | None = None, **values: Any) -> str:
        """A new webhook, which hears of nothing by itself unless `events` are given; gives the id."""
        [integration] = self.run(
            "INSERT INTO integrations (organization_id, author_id, name, service_type) VALUES (%s, %s, 'i', 'rest')"
            " RETURNING id", organization, self._user,
        )  # fmt: skip
        columns = {"secret": self.encrypted(secret or new_secret()), "events": ["webhook.ping"], **values}
        [row] = self.run(
            f"INSERT INTO webhooks (organization_id, integration_id, url, {', '.join(columns)})"
            f" VALUES (%s, %s, %s{', %s' * len(columns)}) RETURNING id",
            organization, integration["id"], url, *columns.values(),
        )  # fmt: skip
        return str(row["id"])

    def encrypted(self, secret: str) -> str:
        """A secret as it is stored."""
        return self._cipher.encrypt(secret.encode()).decode()

    def deliver(self, webhook: str, count: int = 1, payload: str | None = None, **values: Any) -> list[str]:
        """Queue deliveries, in this order; gives their ids.

        :param payload: JSON; by default each holds its number.
        """
        first = next(_numbers) * 1_000_000
        columns = ", ".join(["", *values])
        rows = self.run(
            "INSERT INTO webhook_deliveries (organization_id, webhook_id, event_type, event_position,"
            f" delivery_attempts, payload{columns}) SELECT organization_id, id, 'integration.updated', %s + number, 0,"
            " coalesce(%s::jsonb, jsonb_build_object('type', 'integration.updated',"
            " 'timestamp', '2026-01-01T00:00:00Z', 'data', jsonb_build_object('number', number)))"
            f"{', %s' * len(values)}"
            " FROM webhooks, generate_series(1, %s) AS number WHERE id = %s RETURNING id, event_position",
            first, payload, *values.values(), count, webhook,
        )  # fmt: skip
        self.run("NOTIFY webhook_deliveries")
        return [str(row["id"]) for row in sorted(rows, key=lambda row: row["event_position"])]

    def get(self, delivery: str) -> dict[str, Any]:
        """A delivery as it is now."""
        return self.run("SELECT * FROM webhook_deliveries WHERE id = %s", delivery)[0]

    def hook(self, webhook: str) -> dict[str, Any]:
        """A webhook as it is now."""
        return self.run("SELECT * FROM webhooks WHERE id = %s", webhook)[0]

    def statuses(self, webhook: str) -> Counter[str]:
        """How many deliveries have which status."""
        rows = self.run("SELECT status FROM webhook_deliveries WHERE webhook_id = %s", webhook)
        return Counter(row["status"] for row in rows)
