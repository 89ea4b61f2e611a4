"""A migration changes what prepared statements return: they are prepared anew, and nobody hears of it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from database import ActingFor, Nobody, Pool, Query, statement, transaction
from errors import PlansOutdated
from tests.conftest import Database
from tests.service import Service
from tests.waiting import eventually

PLAN = Query.compile("tests.plan", "one", "tests:run", "For a test.", "SELECT * FROM plans LIMIT 1")
NAMES = Query.compile("tests.names", "many", "tests:run", "For a test.", "SELECT name FROM plans")


@pytest.fixture
def pool(database: Database) -> Iterator[Pool]:
    """A pool of two connections, both of which know the plan."""
    opened = database.pool(pool_min_size=2, pool_max_size=2)
    eventually(lambda: opened.statistics()["pool_available"] == 2, "both are connected")
    for outer in ("a", "b"):
        first, second = user(opened, outer), user(opened, outer * 2)
        with transaction(first) as one, transaction(second) as other:
            assert set(one.one(PLAN)) == set(other.one(PLAN)) == {"name", "limits"}
    yield opened
    opened.close()


def user(pool: Pool, name: str) -> ActingFor:
    """Somebody new."""
    user_id = str(uuid.uuid4())
    text = "SELECT register_user(%(id)s, %(email)s, 'Ann', 'hash')"
    register = Query.compile("tests.register", "many", None, "For a test.", text)
    with transaction(Nobody(pool)) as connection:
        connection.many(register, id=user_id, email=f"{name}-{user_id}@example.org")
    return ActingFor(pool, user_id)


def add_column(database: Database, name: str) -> None:
    """What a migration does."""
    with database.admin() as admin:
        admin.execute(f"ALTER TABLE plans ADD COLUMN {name} integer")


def test_a_single_statement_and_the_first_of_several(database: Database, pool: Pool) -> None:
    ann = user(pool, "ann")
    for number, opening in enumerate([statement, transaction, statement, transaction]):
        add_column(database, f"added_{number}")
        with opening(ann) as connection:
            assert f"added_{number}" in connection.one(PLAN)
    with transaction(ann) as connection:
        add_column(database, "last")
        with connection.savepoint():
            assert "last" in connection.one(PLAN)


def test_a_later_statement_undoes_its_transaction_which_can_be_repeated_at_once(database: Database, pool: Pool) -> None:
    ann = user(pool, "ann")
    add_column(database, "added")
    with pytest.raises(PlansOutdated), transaction(ann) as connection:
        connection.many(NAMES)
        connection.one(PLAN)
    for _ in range(2):  # on either connection
        with transaction(ann) as connection, transaction(user(pool, "bob")) as other:
            connection.many(NAMES)
            other.many(NAMES)
            assert "added" in connection.one(PLAN)
            assert "added" in other.one(PLAN)


def test_a_server_that_has_forgotten(database: Database, pool: Pool) -> None:
    ann = user(pool, "ann")
    forget = Query.compile("tests.forget", "exec", None, "For a test.", f'DEALLOCATE "{PLAN.statement.decode()}"')
    for opening in (statement, transaction):
        with transaction(ann) as connection:
            connection.one(PLAN)
            connection.execute(forget)
        for _ in range(2):  # whichever connection it is
            with opening(ann) as connection:
                assert connection.one(PLAN)


def test_a_function_that_waited_for_the_migration(database: Database) -> None:
    with Service(database.settings()) as service, ThreadPoolExecutor(1) as thread:
        service.database = database
        ann = service.person()
        ann.organization()
        with database.admin() as admin:
            admin.execute("BEGIN")
            admin.execute("ALTER TABLE organizations ADD COLUMN region text")
            creating = thread.submit(ann.organization, name="Made meanwhile")
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'ccb_service'"
            eventually(lambda: database.look(waiting), "the request waits")
            admin.execute("COMMIT")
        assert creating.result(30)["region"] is None
