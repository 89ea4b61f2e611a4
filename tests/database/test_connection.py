"""Transactions: what travels together, what is undone, what survives a fault."""

from __future__ import annotations

import threading

import pytest

from database import ActingFor, ApiKey, Connection, Nobody, Pool, statement, transaction
from errors import Forbidden, Invalid, NotFound, Unauthenticated, Unavailable
from tests.conftest import Database
from tests.database.own_queries import query
from tests.waiting import eventually

WHO = query("SELECT current_user AS role, current_user_id()::text AS user_id, pg_backend_pid() AS backend")


def test_the_context_is_set_and_gone(pool: Pool, ann: ActingFor) -> None:
    with statement(ann) as connection:
        (row,) = connection.many(WHO)
    assert (row["role"], row["user_id"]) == ("authenticated_users", ann.user_id)
    for _ in range(4):  # each connection of the pool
        with statement(Nobody(pool)) as connection:
            (after,) = connection.many(WHO)
        assert (after["role"], after["user_id"]) == ("ccb_service", None)


def test_what_comes_while_the_process_stops_is_told_to_come_again(module_database: Database) -> None:
    pool = module_database.pool(pool_timeout=0.3)
    pool.close()
    for _ in range(5):  # more than there are connections
        with pytest.raises(Unavailable), statement(Nobody(pool)) as connection:
            connection.many(WHO)


def test_a_statement_is_one(ann: ActingFor) -> None:
    with statement(ann) as connection:
        connection.many(WHO)
        with pytest.raises(RuntimeError, match="holds one statement"):
            connection.many(WHO)


def test_a_transaction_is_undone_when_it_raises(ann: ActingFor) -> None:
    rename = query("UPDATE user_profiles SET name = %(name)s WHERE id = current_user_id()", "exec")
    name = query("SELECT name FROM user_profiles WHERE id = current_user_id()", "one")
    with pytest.raises(ZeroDivisionError), transaction(ann) as connection:
        assert connection.execute(rename, name="Eve") == 1
        raise ZeroDivisionError
    with statement(ann) as connection:
        assert connection.one(name) == {"name": "Ann"}
    with transaction(ann) as connection:
        connection.execute(rename, name="Anna")
    with statement(ann) as connection:
        assert connection.one(name) == {"name": "Anna"}


def test_a_savepoint_undoes_its_own_part(ann: ActingFor) -> None:
    rename = query("UPDATE user_profiles SET name = %(name)s WHERE id = current_user_id()", "exec")
    name = query("SELECT name FROM user_profiles WHERE id = current_user_id()", "one")

    def part(connection: Connection, wanted: str, then: str | None = None) -> None:
        with connection.savepoint():
            connection.execute(rename, name=wanted)
            if then is not None:
                connection.many(query(then))

    with transaction(ann) as connection:
        with pytest.raises(Invalid):  # what cannot even be sent, as the very first statement
            part(connection, "\0")
        part(connection, "Kept")
        with pytest.raises(Invalid):
            part(connection, "Undone", "SELECT 1 / 0")
        with pytest.raises(Invalid):
            part(connection, "\0")
        assert connection.one(name) == {"name": "Kept"}
        with pytest.raises(ZeroDivisionError), connection.savepoint():
            part(connection, "Undone")
            raise ZeroDivisionError
        with pytest.raises(Invalid):  # as the last one before the commit
            part(connection, "Undone", "SELECT 1 / 0")
    with statement(ann) as connection:
        assert connection.one(name) == {"name": "Kept"}
    with pytest.raises(ZeroDivisionError), transaction(ann) as connection:
        part(connection, "Undone as a whole")
        raise ZeroDivisionError
    with transaction(ann) as connection:
        assert connection.one(name) == {"name": "Kept"}
        connection.execute(rename, name="Anna")


def test_a_failure_that_was_caught_is_not_taken_for_a_commit(ann: ActingFor) -> None:
    with pytest.raises(RuntimeError, match="savepoint"), transaction(ann) as connection, pytest.raises(Invalid):
        connection.many(query("SELECT 1 / 0"))


def test_an_inner_transaction_joins_the_outer_one(ann: ActingFor) -> None:
    with transaction(ann) as outer:
        (first,) = outer.many(WHO)
        with statement(ann) as inner:
            assert inner is outer
            (second,) = inner.many(WHO)
    assert first == second


def test_after_a_failure_the_connection_goes_on(pool: Pool, ann: ActingFor) -> None:
    for _ in range(5):
        with pytest.raises(Invalid), statement(ann) as connection:
            connection.many(query("SELECT 1 / 0"))
        with pytest.raises(Invalid), transaction(ann) as connection:
            connection.many(WHO)
            connection.many(query("SELECT 'x'::integer"))
        with pytest.raises(Invalid), statement(ann) as connection:
            connection.many(query("SELECT %(text)s::text"), text="\0")
    with statement(ann) as connection:
        assert len(connection.many(WHO)) == 1
    assert pool.statistics()["pool_available"] >= 1


def test_a_refusal_names_the_permission(ann: ActingFor) -> None:
    with pytest.raises(Forbidden) as refused, statement(ann) as connection:
        connection.many(query("INSERT INTO events (event_type) VALUES ('forged')"))
    assert refused.value.members == {"permission": "tests:run"}


def test_a_bad_key_stops_the_statement_behind_it(pool: Pool, module_database: Database) -> None:
    with pytest.raises(Unauthenticated), statement(ApiKey(pool, credential="0" * 64)) as connection:
        connection.many(query("CREATE TEMPORARY TABLE reached (id integer)"))


def test_no_row_is_not_found(ann: ActingFor) -> None:
    with pytest.raises(NotFound), statement(ann) as connection:
        connection.one(query("SELECT 1 WHERE false", "one"))


def test_an_exhausted_pool(pool: Pool, ann: ActingFor) -> None:
    entered, leave = threading.Barrier(3), threading.Event()

    def hold() -> None:
        with transaction(ActingFor(pool, str(ann.user_id))) as connection:
            connection.many(WHO)
            entered.wait()
            leave.wait()

    holders = [threading.Thread(target=hold) for _ in range(2)]
    for holder in holders:
        holder.start()
    entered.wait()
    try:
        with pytest.raises(Unavailable) as refused, statement(ann):
            pass
        assert refused.value.headers["Retry-After"] == "1"
    finally:
        leave.set()
        for holder in holders:
            holder.join()
    with statement(ann) as connection:
        assert len(connection.many(WHO)) == 1


def test_who_comes_after_connections_were_cut_sees_nothing_of_it(module_database: Database, ann: ActingFor) -> None:
    pool = module_database.pool(pool_min_size=2, pool_max_size=2)
    with statement(ActingFor(pool, str(ann.user_id))) as one, statement(Nobody(pool)) as other:
        one.many(WHO)
        other.many(WHO)
    ours = "FROM pg_stat_activity WHERE usename = 'ccb_service' AND datname = current_database()"
    with module_database.admin() as admin:
        cut = [row["pid"] for row in admin.execute(f"SELECT pg_terminate_backend(pid), pid {ours}").fetchall()]
        assert len(cut) >= pool.statistics()["pool_size"] == 2
        left = f"SELECT {ours} AND pid = ANY (%s)"
        eventually(lambda: not admin.execute(left, [cut]).fetchall(), "the server has ended them")
    for _ in range(3):
        with statement(ActingFor(pool, str(ann.user_id))) as connection:
            assert connection.many(WHO)
    pool.close()


def test_without_prepared_statements(module_database: Database, ann: ActingFor) -> None:
    pool = module_database.pool(prepare_statements=False)
    try:
        with transaction(ActingFor(pool, str(ann.user_id))) as connection:
            assert connection.many(WHO)[0]["role"] == "authenticated_users"
            assert connection.many(query("SELECT name FROM pg_prepared_statements")) == []
    finally:
        pool.close()


def test_a_large_value_passes_in_both_directions(ann: ActingFor) -> None:
    text = "x" * 5_000_000
    with statement(ann) as connection:
        (row,) = connection.many(query("SELECT %(text)s::text AS text"), text=text)
    assert row["text"] == text
