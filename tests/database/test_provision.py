"""Provisioning: by an administrator who is no superuser, as often as one likes, with a login that is powerless."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from config import ConfigurationError
from database.migrations import migrations
from database.powers import refuse_powers
from database.provision import provision
from tests.conftest import Database, Databases

_numbers = itertools.count(1)


@pytest.fixture
def administrator(databases: Databases) -> Iterator[str]:
    """The login of an administrator with CREATEROLE who owns a new database: managed PostgreSQL gives no more."""
    name = f"ccb_test_admin_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(databases.server.url, autocommit=True) as connection:
        role = sql.Identifier(name)
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE CREATEDB PASSWORD 'administrator'").format(role))
        for granted in (
            "ccb_owner", "ccb_definer", "ccb_observer", "ccb_service", "ccb_worker", "ccb_maintainer",
            "ccb_backup",
            "authenticated_users",
        ):  # fmt: skip
            # the roles of the cluster are there already, made by the superuser: hand them over
            connection.execute(sql.SQL("GRANT {} TO {} WITH ADMIN OPTION").format(sql.Identifier(granted), role))
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(role, role))
    yield make_conninfo(databases.server.url, dbname=name, user=name, password="administrator")
    with psycopg.connect(databases.server.url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(role))
        connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
        connection.execute(sql.SQL("DROP ROLE {}").format(role))


def test_an_administrator_without_superuser_is_enough(administrator: str, databases: Databases, tmp_path: Path) -> None:
    with psycopg.connect(administrator) as connection:
        assert connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (False,)
    logins = provision(administrator, databases.settings(data_dir=databases.folder))
    with psycopg.connect(logins.service) as connection:
        assert connection.execute("SELECT current_user, newest_migration()").fetchone() == (
            "ccb_service",
            migrations()[-1].number,
        )


def test_again_changes_nothing(database: Database) -> None:
    settings = database.databases.settings()
    logins = provision(database.admin_url, settings)
    assert conninfo_to_dict(logins.service) == conninfo_to_dict(database.logins.service)


def test_months_ahead_wait_for_nobody(database: Database) -> None:
    """Whoever holds a table up does not keep the service from starting; the months come with the next try."""
    settings = database.databases.settings(partitions_ahead_months=4)
    with database.admin() as admin, database.admin() as holder:

        def months() -> float:
            row = admin.execute("SELECT min(months_ahead) AS months FROM partition_horizons()").fetchone()
            assert row is not None
            return float(row["months"])

        before = months()
        with holder.transaction():
            holder.execute("SELECT count(*) FROM audit_logs")
            provision(database.admin_url, settings)
            assert months() == pytest.approx(before, abs=0.01)
        provision(database.admin_url, settings)
        assert months() > before + 0.9


def test_many_at_once(database: Database) -> None:
    faults: list[Exception] = []

    def again() -> None:
        try:
            provision(database.admin_url, database.databases.settings())
        except Exception as fault:
            faults.append(fault)

    threads = [threading.Thread(target=again) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_the_kept_passwords_are_for_the_owner_of_the_files_only(database: Database) -> None:
    kept = database.databases.folder / "logins.json"
    assert kept.stat().st_mode & 0o777 == 0o600


def test_torn_passwords_are_one_line_that_says_what_to_do(database: Database, tmp_path: Path) -> None:
    (tmp_path / "logins.json").touch()
    with pytest.raises(ConfigurationError, match=r"logins.json holds no passwords; remove it"):
        provision(database.admin_url, database.settings(data_dir=tmp_path))


def test_a_powerful_login_is_refused(database: Database) -> None:
    with pytest.raises(ConfigurationError, match="is a superuser"):
        refuse_powers(database.admin_url)
    with database.admin() as connection:
        name = f"ccb_test_owner_{os.getpid()}"
        role = sql.Identifier(name)
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'owner' IN ROLE ccb_owner").format(role))
        try:
            with pytest.raises(ConfigurationError, match="owns the tables"):
                refuse_powers(make_conninfo(database.admin_url, user=name, password="owner"))
            connection.execute(sql.SQL("ALTER ROLE {} BYPASSRLS").format(role))
            with pytest.raises(ConfigurationError, match="bypasses row level security"):
                refuse_powers(make_conninfo(database.admin_url, user=name, password="owner"))
        finally:
            connection.execute(sql.SQL("DROP ROLE {}").format(role))


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ("NOINHERIT IN ROLE ccb_owner", "owns the tables"),
        ("IN ROLE ccb_definer", "owns the tables"),
        ("NOINHERIT IN ROLE ccb_definer, ccb_service", "owns the tables"),
        ("NOINHERIT IN ROLE {superuser}", "is a superuser"),
        ("CREATEROLE", "may create roles"),
    ],
)
def test_a_login_that_may_become_powerful_is_refused(database: Database, attributes: str, reason: str) -> None:
    name = f"ccb_test_login_{os.getpid()}"
    with database.admin() as connection:
        superuser = database.look("SELECT quote_ident(current_user)")
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'login' {attributes.format(superuser=superuser)}")
        try:
            with pytest.raises(ConfigurationError, match=reason):
                refuse_powers(make_conninfo(database.admin_url, user=name, password="login"))
        finally:
            connection.execute(f"DROP ROLE {name}")


def test_a_login_that_cannot_serve_is_refused(database: Database) -> None:
    with pytest.raises(ConfigurationError, match="ccb_worker may not authenticate anybody"):
        provision(database.admin_url, database.settings(service_database_url=database.logins.worker))


def test_the_service_does_not_start_with_a_powerful_login(database: Database) -> None:
    from tests.service import Service

    service = Service(database.settings(service_database_url=database.admin_url))
    with pytest.raises(AssertionError, match="is a superuser"), service:
        pass
    service.stop()
