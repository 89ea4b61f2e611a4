"""Restoring: with everything the database had, past clients that do not let go, and from before a migration."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from config import ROOT
from database import Nobody, transaction
from database.migrations import migrate, migrations, pending
from database.provision import create_roles, provision
from operations.backup import create_backup
from operations.postgresql_programs import BackupError
from operations.restore import restore_backup, verify_backup
from repositories.users import Users
from tests.conftest import Database
from tests.operations.test_backup import count, fill
from tests.postgresql import SETTINGS, OwnServer, _installation
from tests.waiting import eventually

ENDOWMENT = """
SELECT pg_get_userbyid(datdba), datconnlimit, pg_encoding_to_char(encoding), datcollate, datctype,
    (SELECT array_agg(entry::text ORDER BY 1) FROM aclexplode(datacl) AS entry),
    (SELECT array_agg(pg_get_userbyid(setrole) || array_to_string(setconfig, ' ') ORDER BY 1)
        FROM pg_db_role_setting WHERE setdatabase = pg_database.oid)
FROM pg_database WHERE datname = current_database()
"""


def test_the_database_has_what_it_had(database: Database, tmp_path: Path) -> None:
    """Owner, grants and settings are the database's, and not in its dump."""
    name = sql.Identifier(database.name)
    create_roles(database.admin_url)  # a clone has not been granted anything
    with database.admin() as connection:
        for statement in (
            "ALTER DATABASE {} SET search_path = public, archive",
            "ALTER DATABASE {} SET \"app.greeting\" = 'it''s, here'",
            "ALTER ROLE ccb_worker IN DATABASE {} SET work_mem = '9MB'",
            "REVOKE ALL ON DATABASE {} FROM PUBLIC",
            "ALTER DATABASE {} OWNER TO ccb_owner",
            "ALTER DATABASE {} CONNECTION LIMIT 77",
        ):
            connection.execute(sql.SQL(statement).format(name))
    with psycopg.connect(database.admin_url) as connection:
        before = connection.execute(ENDOWMENT).fetchone()
    backup = create_backup(database.logins.backup, tmp_path)
    restore_backup(database.admin_url, backup, overwrite=True)
    with psycopg.connect(database.admin_url) as connection:
        assert connection.execute(ENDOWMENT).fetchone() == before
        assert connection.execute("SHOW search_path").fetchone() == ("public, archive",)
    with psycopg.connect(database.logins.service):
        pass  # it may still come in


def test_clients_that_come_back_at_once_do_not_hold_it_up(database: Database, tmp_path: Path) -> None:
    fill(database)
    backup = create_backup(database.logins.backup, tmp_path)
    stop, done = threading.Event(), []

    def client() -> None:
        while not stop.is_set():
            try:
                with psycopg.connect(database.logins.service, autocommit=True) as connection:
                    while not stop.is_set():
                        connection.execute("SELECT pg_sleep(0.01)")
            except psycopg.OperationalError:
                done.append("cut")

    clients = [threading.Thread(target=client) for _ in range(4)]
    for each in clients:
        each.start()
    try:
        with pytest.raises(BackupError, match="is in use, by"):
            restore_backup(database.admin_url, backup)
        restore_backup(database.admin_url, backup, overwrite=True)
    finally:
        stop.set()
        for each in clients:
            each.join()
    assert "cut" in done
    assert count(database) == 2
    with database.admin() as connection:
        left = connection.execute(
            "SELECT datname FROM pg_database WHERE datname ~ '^ccb_(restore|replaced)_'"
        ).fetchall()
    assert left == []


def test_an_empty_database_may_be_filled_without_saying_so(database: Database, tmp_path: Path) -> None:
    """As on a new machine: createdb, then restore."""
    fill(database)
    backup = create_backup(database.logins.backup, tmp_path)
    url = database.databases.empty()
    restore_backup(url, backup)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM integrations").fetchone() == (2,)
        name = connection.info.dbname
    database.databases.drop(name)


def test_a_backup_of_an_older_program_is_restored_and_migrated(database: Database, tmp_path: Path) -> None:
    url = database.databases.empty()
    create_roles(url)
    older = [each for each in migrations() if each.number < 28]
    migrate(url, older)
    backup = create_backup(url, tmp_path)
    verify_backup(url, backup)
    restore_backup(url, backup, overwrite=True)
    with psycopg.connect(url) as connection:
        assert pending(connection, migrations()) == [each for each in migrations() if each.number >= 28]
        name = connection.info.dbname
    provision(url, database.databases.settings())
    assert create_backup(url, tmp_path).tables.keys() >= backup.tables.keys()
    database.databases.drop(name)


VERIFY = """
import sys
from pathlib import Path
from operations.backup import list_backups
from operations.restore import verify_backup
verify_backup(sys.argv[1], list_backups(Path(sys.argv[2]))[-1])
"""


def test_what_a_killed_verification_leaves_the_next_one_clears(database: Database, tmp_path: Path) -> None:
    create_backup(database.logins.backup, tmp_path)
    killed = subprocess.Popen([sys.executable, "-c", VERIFY, database.admin_url, str(tmp_path)], cwd=ROOT)

    def scratch() -> list[str]:
        with database.admin() as connection:
            rows = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'ccb_restore_%'").fetchall()
        return [row["datname"] for row in rows]

    (left,) = eventually(scratch, "it has begun")
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    backup = create_backup(database.logins.backup, tmp_path)

    def cleared() -> bool:
        verify_backup(database.admin_url, backup)  # once the server has noticed that nobody is there any more
        return left not in scratch()

    eventually(cleared, "the scratch database is gone")
    assert scratch() == []


def test_a_dump_is_of_one_moment_while_others_write(database: Database, tmp_path: Path) -> None:
    stop = threading.Event()
    written: list[str] = []
    pool = database.pool()

    def write() -> None:
        while not stop.is_set():
            user_id = str(uuid.uuid4())
            with transaction(Nobody(pool)) as connection:
                email = f"{user_id}@example.org"
                Users(connection).register(user_id=user_id, email=email, name="Ann", password_hash="x")
            written.append(user_id)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        eventually(lambda: len(written) > 5, "somebody writes")
        backup = create_backup(database.logins.backup, tmp_path)
    finally:
        stop.set()
        writer.join()
        pool.close()
    assert 5 < backup.tables["users"][0] <= len(written)
    assert backup.tables["users"][0] == backup.tables["organizations"][0], "each of them came with an organization"
    verify_backup(database.admin_url, backup)


def test_pg_cron_stays_with_its_server(database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It lives in one database of a server; a copy of that database could not even be made."""
    with database.admin() as connection:
        if not connection.execute("SELECT FROM pg_available_extensions WHERE name = 'pg_cron'").fetchall():
            pytest.skip("apt-get install postgresql-15-cron: it is not installed here")
    own = {"shared_preload_libraries": "pg_cron", "cron.database_name": "ours", "cron.use_background_workers": "on"}
    for name, value in own.items():
        monkeypatch.setitem(SETTINGS, name, value)
    server = OwnServer(_installation())
    try:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE ours")
        url = make_conninfo(server.url, dbname="ours")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION pg_cron")
        logins = provision(url, database.databases.settings(data_dir=tmp_path))
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SELECT cron.schedule('nightly', '0 3 * * *', 'SELECT 1')")
        backup = create_backup(logins.backup, tmp_path)
        verify_backup(url, backup)
        restore_backup(url, backup, overwrite=True)
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT to_regnamespace('cron')").fetchone() == (None,)
    finally:
        server.stop()
