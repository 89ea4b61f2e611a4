"""NOTIFY behind the commit: each change once, none that is undone, and no fault for whoever made it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import orjson
import psycopg
import pytest

from database import ActingFor, ApiKey, Pool, statement, transaction
from tests.conftest import Database
from tests.database.own_queries import query

Listening = psycopg.Connection[dict[str, Any]]


RENAME = query("UPDATE user_profiles SET name = %(name)s WHERE id = current_user_id()")
MANY = query(
    "INSERT INTO integrations (name, service_type, author_id, organization_id) "
    "SELECT 'One of many', 'rest', current_user_id(), personal_organization_id() FROM generate_series(1, 60)"
)


@pytest.fixture
def listening(module_database: Database) -> Iterator[Listening]:
    with module_database.admin() as connection:
        connection.execute("LISTEN table_changes")
        yield connection


def heard(listening: Listening) -> list[tuple[int, str]]:
    """Everything so far: who sent it, and the table. A notification of the test's own comes behind all others."""
    with psycopg.connect(listening.info.dsn, password=listening.info.password, autocommit=True) as other:
        other.execute("SELECT pg_notify('table_changes', '{\"table\": null}')")
    sent: list[tuple[int, str]] = []
    for each in listening.notifies(timeout=10):
        table = orjson.loads(each.payload)["table"]
        if table is None:
            return sent
        sent.append((each.pid, table))
    raise AssertionError("the last one did not come")


def tables(listening: Listening) -> list[str]:
    return [table for _, table in heard(listening)]


def test_what_is_committed_is_sent_once(ann: ActingFor, listening: Listening) -> None:
    with statement(ann) as connection:
        connection.execute(RENAME, name="Anna")
    assert tables(listening) == ["users"]
    with transaction(ann) as connection:
        connection.execute(RENAME, name="Hanna")
        assert tables(listening) == []
    assert tables(listening) == ["users"]


def test_what_is_undone_is_not_sent(ann: ActingFor, listening: Listening) -> None:
    with pytest.raises(ZeroDivisionError), transaction(ann) as connection:
        connection.execute(RENAME, name="Eve")
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), transaction(ann) as connection, connection.savepoint():
        connection.execute(RENAME, name="Eve")
        raise ZeroDivisionError
    with transaction(ann) as connection:
        with pytest.raises(ZeroDivisionError), connection.savepoint():
            connection.execute(RENAME, name="Eve")
            raise ZeroDivisionError
        connection.execute(query("SELECT 1"))
    assert tables(listening) == []


def test_the_transaction_that_writes_is_not_the_one_that_notifies(
    ann: ActingFor, listening: Listening, module_database: Database
) -> None:
    """With a notification of its own a commit would wait for the lock that others' notifications hold."""
    with module_database.admin() as admin:
        admin.execute("CREATE TABLE senders (transaction_id xid8)")
        admin.execute("GRANT INSERT ON senders TO PUBLIC")
        text = module_database.look("SELECT pg_get_functiondef('send_announcements'::regproc) AS text")
        spying = text.replace("IF length", "INSERT INTO senders VALUES (pg_current_xact_id()); IF length")
        admin.execute(spying)
        try:
            with statement(ann) as connection:
                connection.execute(RENAME, name="Ann")
        finally:
            admin.execute(text)
        assert len(tables(listening)) == 1
        last = "SELECT max(transaction_id::text::bigint) AS id FROM events WHERE event_type = 'user.updated'"
        assert module_database.look(last) < module_database.look("SELECT transaction_id::text::bigint FROM senders")
        admin.execute("DROP TABLE senders")


def test_a_large_transaction_sends_the_rest_with_its_commit(ann: ActingFor, listening: Listening) -> None:
    with statement(ann) as connection:
        connection.execute(MANY)
    assert tables(listening) == ["integrations"] * 60


def test_nothing_is_sent_behind_what_only_reads(pool: Pool, ann: ActingFor, listening: Listening) -> None:
    """It would cost every GET a transaction."""
    assert ann.user_id is not None
    reading = ActingFor(pool, ann.user_id)
    reading.reads_only = True
    with statement(reading) as connection:
        connection.execute(RENAME, name="Anna")
    assert tables(listening) == []


def test_that_a_key_was_used_is_no_news(
    pool: Pool, ann: ActingFor, listening: Listening, module_database: Database
) -> None:
    """A GET, which sends nothing, would leave it to be sent behind another's change."""
    key_hash = "a" * 64
    with module_database.admin() as admin:
        admin.execute(
            "INSERT INTO api_keys (user_id, name, key_prefix, key_hash, permissions)"
            " VALUES (%s, 'Key', 'ccb_aaaa', %s, '{integrations:read}')",
            [ann.user_id, key_hash],
        )
        assert tables(listening) == ["api_keys"]
        with statement(ApiKey(pool, credential=key_hash)) as connection:
            connection.execute(query("SELECT 1"))
        assert module_database.look("SELECT last_used_at FROM api_keys") is not None
        assert tables(listening) == []
        admin.execute("UPDATE api_keys SET is_active = false")
        assert tables(listening) == ["api_keys"]


def test_a_session_that_may_be_anothers_notifies_at_once(
    ann: ActingFor, listening: Listening, module_database: Database
) -> None:
    behind_a_pooler = module_database.pool(prepare_statements=False)
    try:
        assert ann.user_id is not None
        with statement(ActingFor(behind_a_pooler, ann.user_id)) as connection:
            connection.execute(RENAME, name="Anna")
    finally:
        behind_a_pooler.close()
    assert tables(listening) == ["users"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("RAISE EXCEPTION 'no'", "no"),
        # as where the server's queue is full: what commits the announcement is the Sync, which has no answer of its own
        ("INSERT INTO told VALUES (1), (1)", 'duplicate key value violates unique constraint "told_id_key"'),
    ],
    ids=["as it is sent", "as it is committed"],
)
def test_a_change_stays_when_its_announcement_fails(
    ann: ActingFor, module_database: Database, caplog: pytest.LogCaptureFixture, fault: str, said: str
) -> None:
    read = query("SELECT name FROM user_profiles WHERE id = current_user_id()")
    with module_database.admin() as admin:
        admin.execute("CREATE TABLE told (id integer UNIQUE DEFERRABLE INITIALLY DEFERRED)")
        admin.execute("GRANT INSERT ON told TO PUBLIC")
        text = module_database.look("SELECT pg_get_functiondef('send_announcements'::regproc) AS text")
        admin.execute(text.replace("IF length", f"{fault}; IF length"))
        try:
            with caplog.at_level(logging.WARNING, "ccb.database"):
                with statement(ann) as connection:
                    connection.execute(RENAME, name="Anna")
                with transaction(ann) as connection:
                    assert connection.one(read) == {"name": "Anna"}
                    connection.execute(RENAME, name="Hanna")
        finally:
            admin.execute(text)
            admin.execute("DROP TABLE told")
    assert caplog.text.count(f"changes were not announced: ERROR: {said}") == 2
    with statement(ann) as connection:
        assert connection.one(read) == {"name": "Hanna"}
