"""The migrator."""

from __future__ import annotations

import threading
from pathlib import Path

import psycopg
import pytest

from database.migrations import Migration, MigrationError, migrate, migrations
from database.provision import create_roles
from tests.conftest import Database, Databases


@pytest.fixture
def empty(databases: Databases) -> str:
    """The administrator's login to a database with nothing in it."""
    return databases.empty()


def test_twenty_at_once(databases: Databases, empty: str) -> None:
    create_roles(empty)
    ran: list[list[str]] = []
    threads = [threading.Thread(target=lambda: ran.append(migrate(empty))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, ran)) == [0] * 19 + [len(migrations())]


def test_an_edited_migration_is_noticed(database: Database) -> None:
    known = migrations()
    known[0] = Migration(1, known[0].name, known[0].text + "\n-- edited")
    with pytest.raises(MigrationError, match="was changed after it ran"):
        migrate(database.admin_url, known)


def test_a_database_from_the_future_is_refused(database: Database) -> None:
    with pytest.raises(MigrationError, match="newer than this program"):
        migrate(database.admin_url, migrations()[:-1])


def test_a_failing_migration_leaves_nothing(database: Database) -> None:
    known = [
        *migrations(),
        Migration(9999, "9999_fail", "CREATE TABLE half (id int); SELECT 1/0;"),
    ]
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(database.admin_url, known)
    with database.admin() as connection:
        assert connection.execute("SELECT to_regclass('half') AS half").fetchone() == {"half": None}
    assert migrate(database.admin_url) == []


def test_a_migration_waits_little_for_a_lock_and_tries_again(database: Database) -> None:
    known = [
        *migrations(),
        Migration(9999, "9999_add", "ALTER TABLE metrics ADD COLUMN added int;"),
    ]
    with psycopg.connect(database.admin_url) as blocker:
        blocker.execute("LOCK TABLE metrics IN ACCESS EXCLUSIVE MODE")
        thread = threading.Thread(target=migrate, args=(database.admin_url, known))
        thread.start()
        thread.join(3)  # longer than the lock time-out: it has given up at least once
        assert thread.is_alive()
        blocker.rollback()
        thread.join(30)
        assert not thread.is_alive()
    with database.admin() as connection:
        assert connection.execute("SELECT max(number) AS newest FROM schema_migrations").fetchone() == {
            "newest": known[-1].number
        }


def test_outside_of_a_transaction(database: Database) -> None:
    text = "-- no transaction\nCREATE INDEX CONCURRENTLY idx_added ON metrics_past (value);\nSELECT 1;\n"
    known = [*migrations(), Migration(9999, "9999_index", text)]
    assert migrate(database.admin_url, known) == ["9999_index"]


def test_names_and_numbers(tmp_path: Path) -> None:
    (tmp_path / "0001_create_a.sql").write_text("SELECT 1")
    (tmp_path / "0001_create_c.sql").write_text("SELECT 1")
    with pytest.raises(MigrationError, match="same number"):
        migrations(tmp_path)
    (tmp_path / "2_b.sql").write_text("SELECT 1")
    with pytest.raises(MigrationError, match="NNNN_verb_noun"):
        migrations(tmp_path)
