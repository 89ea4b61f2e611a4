"""The queue of mail."""

from __future__ import annotations

from database import Row, load
from repositories.repository import Repository


class MailMessages(Repository):
    """Messages that are to be sent."""

    queries = load("mail_messages")

    def claim(self, batch: int, lease_seconds: int) -> list[Row]:
        """Messages that are due, for this caller alone until the lease has run out.

        What turns out to concern nobody is put away unsent.
        """
        return self.connection.many(self.queries.claim, batch=batch, lease_seconds=lease_seconds)

    def settle(self, message: Row, status: str, *, error_message: str | None = None, pause_seconds: float = 0) -> bool:
        """Note what became of a claimed message.

        :param status: `sent`, `failed`, or `pending` for another attempt after the pause.
        :return: False where the lease is somebody else's by now.
        """
        row = self.connection.one(
            self.queries.settle,
            message_id=message["id"],
            lease_token=message["lease_token"],
            status=status,
            error_message=error_message,
            pause_seconds=int(pause_seconds),
        )
        return bool(row["is_settled"])
