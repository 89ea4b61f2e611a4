"""The login of backups: it reads past forced row level security and does nothing else, also without a superuser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from database.provision import LoginUrls, provision
from operations.backup import Backup, Digests, create_backup, record
from operations.postgresql_programs import BackupError
from operations.restore import restore_backup, verify_backup
from tests.conftest import Database, Databases
from tests.operations.test_backup import fill
from tests.postgresql import OwnServer, _installation


@pytest.fixture(scope="module")
def managed() -> Iterator[OwnServer]:
    """A server whose administrator is no superuser, as managed PostgreSQL gives it."""
    server = OwnServer(_installation())
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE ROLE administrator LOGIN CREATEROLE CREATEDB PASSWORD 'administrator'")
        connection.execute("CREATE DATABASE ours OWNER administrator")
    yield server
    server.stop()


def login(server: OwnServer) -> str:
    """The administrator's."""
    return make_conninfo(server.url, dbname="ours", user="administrator", password="administrator")


def without_record(backup: Backup) -> Digests:
    """What was dumped, but for the record of backups, which grows with each of them."""
    return {name: content for name, content in backup.tables.items() if name != "backups"}


def test_it_reads_everything_and_changes_nothing(database: Database, tmp_path: Path) -> None:
    fill(database)
    backup = create_backup(database.logins.backup, tmp_path)
    assert backup.tables["integrations"][0] == 2
    assert without_record(backup) == without_record(create_backup(database.admin_url, tmp_path))
    with psycopg.connect(database.logins.backup, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM integrations").fetchone() == (2,)
        for statement in (
            "UPDATE integrations SET name = 'x'",
            "DELETE FROM backups",
            "CREATE TABLE mine (id int)",
            "SET ROLE ccb_owner",
            "SELECT pg_read_file('PG_VERSION')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(sql.SQL(statement))
    for url in (database.logins.service, database.logins.worker):
        with psycopg.connect(url, autocommit=True) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SET ROLE ccb_backup")


def test_it_notes_what_it_made_and_the_service_cannot(database: Database) -> None:
    record(database.logins.backup, "a.dump", 1, "0" * 64, is_verified=False)
    record(database.logins.backup, "a.dump", 1, "0" * 64, is_verified=True)
    with database.admin() as connection:
        row = connection.execute("SELECT kind, verified_at IS NOT NULL AS proven FROM backups").fetchone()
    assert row == {"kind": "dump", "proven": True}
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        record(database.logins.service, "b.dump", 1, "0" * 64, is_verified=True)


@pytest.fixture(scope="module")
def logins(managed: OwnServer, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> LoginUrls:
    """The service's logins there."""
    return provision(login(managed), databases.settings(data_dir=tmp_path_factory.mktemp("managed")))


def test_without_a_superuser_policies_let_it_read(
    managed: OwnServer, logins: LoginUrls, databases: Databases, tmp_path: Path
) -> None:
    there = Database("ours", make_conninfo(managed.url, dbname="ours"), logins, databases)
    fill(there)
    with psycopg.connect(managed.url) as connection:
        attribute = "SELECT rolbypassrls FROM pg_roles WHERE rolname = 'ccb_backup'"
        assert connection.execute(attribute).fetchone() == (False,)
    backup = create_backup(logins.backup, tmp_path)
    assert without_record(backup) == without_record(create_backup(there.admin_url, tmp_path)), "as a superuser does"
    assert backup.tables["integrations"][0] == 2
    verify_backup(login(managed), backup)

    # a month that is made later is a table of its own, which no policy lets it read yet
    with psycopg.connect(there.admin_url, autocommit=True) as connection:
        connection.execute("SET ROLE ccb_owner")
        assert connection.execute("SELECT create_partitions(9)").fetchone()
    assert create_backup(logins.backup, tmp_path).tables["integrations"][0] == 2

    # what nobody opens to it is noticed rather than left out
    with psycopg.connect(there.admin_url, autocommit=True) as connection:
        connection.execute("ALTER POLICY integrations_backup ON integrations USING (false)")
        with pytest.raises(BackupError, match="does not see all rows of 1 tables: integrations"):
            create_backup(logins.backup, tmp_path)
        connection.execute("ALTER POLICY integrations_backup ON integrations USING (true)")

    # and the administrator, who is no superuser, brings it back in the place of the database
    with psycopg.connect(there.admin_url) as connection:
        connection.execute("TRUNCATE integrations CASCADE")
    restore_backup(login(managed), backup, overwrite=True)
    with psycopg.connect(there.admin_url) as connection:
        assert connection.execute("SELECT count(*) FROM integrations").fetchone() == (2,)
    provision(login(managed), databases.settings(data_dir=tmp_path / "data"))
