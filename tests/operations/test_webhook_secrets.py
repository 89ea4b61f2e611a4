"""Webhooks' secrets under the newest encryption key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from cryptography.fernet import Fernet

from operations.webhook_secrets import reencrypt
from security.encryption import Cipher
from tests.conftest import Database
from tests.worker.hooks import Hooks, new_secret

OLD, NEW, LOST = (Fernet.generate_key().decode() for _ in range(3))


@pytest.fixture
def hooks(database: Database) -> Iterator[Hooks]:
    with closing(Hooks(database.admin_url, OLD)) as made:
        yield made


def test_older_keys_can_go_afterwards(hooks: Hooks, database: Database) -> None:
    organization = hooks.organization()
    secrets = [new_secret() for _ in range(3)]
    webhooks = [hooks.webhook(organization, f"https://x.example/{each}", secret=each) for each in secrets]
    hooks.run("UPDATE webhooks SET previous_secret = secret WHERE id = %s", webhooks[0])
    unreadable = hooks.webhook(organization, "https://x.example/lost", secret="")
    token = Cipher([LOST]).encrypt(b"lost").decode()
    hooks.run("UPDATE webhooks SET secret = %s WHERE id = %s", token, unreadable)

    outcome = reencrypt(database.admin_url, Cipher([NEW, OLD]))
    assert (outcome.changed, outcome.unreadable) == (3, [unreadable])
    newest = Cipher([NEW])
    for webhook, secret in zip(webhooks, secrets, strict=True):
        assert newest.decrypt(hooks.hook(webhook)["secret"].encode()).decode() == secret
    first = hooks.hook(webhooks[0])
    assert newest.decrypt(first["previous_secret"].encode()).decode() == secrets[0]
    assert first["previous_secret_expires_at"] is None, "that is no rotation by its owner"
    assert hooks.hook(unreadable)["secret"] == token, "nothing is lost"
    assert reencrypt(database.admin_url, Cipher([NEW, OLD])).changed == 0


def test_what_is_rotated_meanwhile_stays(hooks: Hooks) -> None:
    webhook = hooks.webhook(hooks.organization(), "https://x.example/")
    was = hooks.hook(webhook)["secret"]
    rotated = hooks.encrypted(new_secret())
    hooks.run("UPDATE webhooks SET secret = %s WHERE id = %s", rotated, webhook)
    [row] = hooks.run("SELECT keep_webhook_secrets(%s, %s, NULL, %s, NULL) AS is_kept", webhook, was, was)
    assert row["is_kept"] is False
    assert hooks.hook(webhook)["secret"] == rotated
