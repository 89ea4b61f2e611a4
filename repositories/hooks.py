"""Inbound calls of webhooks."""

from __future__ import annotations

from typing import Any

from database import load
from repositories.repository import Repository


class Hooks(Repository):
    """What a call needs before anybody is known: the service's login runs it."""

    queries = load("hooks")

    def secrets(self, webhook_id: object) -> list[str]:
        """The encrypted secrets that a call may be signed with; none for a webhook that takes no calls."""
        row = self.connection.maybe(self.queries.secrets, webhook_id=webhook_id) or {}
        return [secret for secret in row.values() if secret is not None]

    def accept(self, webhook_id: object, **message: Any) -> str | None:
        """Start an execution by a message whose signature was right, or give the one that it started before.

        :return: the execution's id; None where the webhook has stopped taking calls.
        :raises errors.Conflict: this is a replay.
        :raises errors.RateLimited: there were too many calls.
        """
        identity = self.connection.identity
        row = self.connection.one(
            self.queries.accept,
            webhook_id=webhook_id,
            request_id=identity.request_id,
            ip_address=identity.ip_address,
            user_agent=identity.user_agent,
            **message,
        )
        return None if row["execution_id"] is None else str(row["execution_id"])
