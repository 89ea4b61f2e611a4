"""The migrator."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from database.migrations import Migration, MigrationError, migrate, migrations
from database.provision import create_roles
from tests.conftest import Database, Databases
from tests.waiting import eventually


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


def ahead(database: Database, *texts: str) -> list[Migration]:
    """The migrations that there are, and further ones."""
    return [
        *migrations(),
        *(Migration(9990 + number, f"99{90 + number}_go_on", text) for number, text in enumerate(texts)),
    ]


def blocked(database: Database) -> bool:
    """Whether somebody waits for a lock."""
    return bool(database.look("SELECT count(*) FROM pg_locks WHERE NOT granted"))


def test_a_migration_waits_little_for_a_lock_and_tries_again(database: Database) -> None:
    known = ahead(database, "ALTER TABLE metrics ADD COLUMN added int;")
    with ThreadPoolExecutor(1) as thread, psycopg.connect(database.admin_url) as blocker:
        blocker.execute("LOCK TABLE metrics IN ACCESS EXCLUSIVE MODE")
        migrating = thread.submit(migrate, database.admin_url, known)
        for _ in range(2):
            eventually(lambda: blocked(database), "the migration waits")
            eventually(lambda: not blocked(database), "the migration lets others pass", 2)
        assert not migrating.done()
        blocker.rollback()
        assert migrating.result(30) == [known[-1].name]


def test_a_lock_that_is_never_free_is_a_clear_error_and_nothing_is_done(database: Database) -> None:
    known = ahead(database, "CREATE TABLE half (id int); ALTER TABLE metrics ADD COLUMN added int;")
    with psycopg.connect(database.admin_url) as blocker:
        blocker.execute("LOCK TABLE metrics IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(MigrationError, match=r"9990_go_on did not get its locks within 1 s; `flask ops locks`"):
            migrate(database.admin_url, known, patience=1)
    assert database.look("SELECT to_regclass('half')") is None


def test_one_migration_one_statement_outside_of_a_transaction(database: Database) -> None:
    two = "-- no transaction\nSELECT 1;\nSELECT 2;\n"
    with pytest.raises(MigrationError, match="cannot insert multiple commands"):
        migrate(database.admin_url, ahead(database, two))
    body = "-- no transaction\nDO $$\nBEGIN\n    PERFORM 1;\n    COMMIT;\n    PERFORM 2;\nEND\n$$;\n"
    assert migrate(database.admin_url, ahead(database, body)) == ["9990_go_on"]


INDEX = "-- no transaction\n-- For a test.\nCREATE INDEX CONCURRENTLY IF NOT EXISTS idx_added ON {} (version);\n"
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('idx_added')"


def test_an_index_is_built_again_where_a_process_died(database: Database) -> None:
    known = ahead(database, INDEX.format("users"))
    with database.admin() as admin:
        admin.execute("SET ROLE ccb_owner")
        admin.execute("CREATE INDEX idx_added ON users (version)")
        admin.execute("RESET ROLE")
        broken = database.look("SELECT 'idx_added'::regclass::oid")
        admin.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s", [broken])
    assert migrate(database.admin_url, known) == ["9990_go_on"]
    assert database.look(VALID) is True
    assert database.look("SELECT 'idx_added'::regclass::oid") != broken


def test_an_index_that_was_built_but_not_recorded(database: Database) -> None:
    with database.admin() as admin:
        admin.execute("CREATE INDEX idx_added ON users (version)")
    assert migrate(database.admin_url, ahead(database, INDEX.format("users"))) == ["9990_go_on"]


def test_an_index_that_cannot_be_built_leaves_nothing(database: Database) -> None:
    text = INDEX.format("plans").replace("INDEX CON", "UNIQUE INDEX CON").replace("version", "(limits ->> 'nothing')")
    text = text.replace("((", "(coalesce(").replace("))", ", ''))")
    assert database.look("SELECT count(*) FROM plans") > 1
    with pytest.raises(psycopg.errors.UniqueViolation):
        migrate(database.admin_url, ahead(database, text))
    assert database.look("SELECT to_regclass('idx_added')") is None


def test_an_index_of_a_partitioned_table(database: Database) -> None:
    known = ahead(database, INDEX.format("events"))
    assert migrate(database.admin_url, known) == ["9990_go_on"]
    assert database.look(VALID) is True
    with database.admin() as admin:
        admin.execute("DELETE FROM schema_migrations WHERE number = 9990")
    indexes = "SELECT count(*) FROM pg_index"
    before = database.look(indexes)
    assert migrate(database.admin_url, known) == ["9990_go_on"]
    assert database.look(indexes) == before


def test_whoever_waits_for_its_turn_does_not_hold_up_an_index(database: Database) -> None:
    known = ahead(database, INDEX.format("users"))
    with ThreadPoolExecutor(4) as threads, psycopg.connect(database.admin_url) as writer:
        writer.execute("LOCK TABLE users IN ROW EXCLUSIVE MODE")  # the index waits for whoever may be writing
        migrating = [threads.submit(migrate, database.admin_url, known) for _ in range(4)]
        eventually(lambda: blocked(database), "the index waits")
        others = "SELECT count(*) = 3 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_try_advisory_lock%'"
        eventually(lambda: database.look(others), "the others wait for their turn")
        writer.rollback()
        assert sorted(each.result(30) for each in migrating) == [[], [], [], ["9990_go_on"]]


def test_names_and_numbers(tmp_path: Path) -> None:
    (tmp_path / "0001_create_a.sql").write_text("SELECT 1")
    (tmp_path / "0001_create_c.sql").write_text("SELECT 1")
    with pytest.raises(MigrationError, match="same number"):
        migrations(tmp_path)
    (tmp_path / "2_b.sql").write_text("SELECT 1")
    with pytest.raises(MigrationError, match="NNNN_verb_noun"):
        migrations(tmp_path)
