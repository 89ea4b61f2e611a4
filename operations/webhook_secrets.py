"""Webhooks' secrets under the newest encryption key, so that older keys can go."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import psycopg

from database.queries import load
from security.encryption import Cipher

QUERIES = load("webhook_secrets")
MIGRATOR = load("schema_migrations")


@dataclass
class Reencryption:
    """What came of it.

    :param changed: webhooks whose secrets are under the newest key now.
    :param unreadable: ids of webhooks with a secret that no key fits.
    """

    changed: int
    unreadable: list[str]


def reencrypt(url: str, cipher: Cipher) -> Reencryption:
    """Encrypt anew what is under an older key. May be repeated, and run while the service does.

    :param url: an administrator's login.
    """
    outcome, after = Reencryption(0, []), str(UUID(int=0))
    with psycopg.connect(url, autocommit=True, cursor_factory=psycopg.RawCursor) as connection:
        connection.execute(MIGRATOR.become_owner.text)
        while rows := connection.execute(QUERIES.encrypted.text, [after]).fetchall():
            for webhook_id, *stored in rows:
                try:
                    renewed = [None if each is None else cipher.rotate(each.encode()).decode() for each in stored]
                except ValueError:
                    outcome.unreadable.append(webhook_id)
                    continue
                if renewed != stored:
                    kept = connection.execute(QUERIES.keep.text, [webhook_id, *stored, *renewed]).fetchone()
                    outcome.changed += bool(kept and kept[0])
            after = rows[-1][0]
    return outcome
