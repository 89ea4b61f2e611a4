"""Backups: what was dumped comes back, and nothing else is taken for it (ruling 24)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from config import ROOT
from database import ActingFor, Nobody, transaction
from operations.backup import create_backup, list_backups, prune_backups, sole_use
from operations.postgresql_programs import BackupError, run
from operations.restore import restore_backup, verify_backup
from repositories.integrations import Integrations
from repositories.users import Users
from tests.conftest import Database
from tests.waiting import eventually


def fill(database: Database) -> None:
    """Somebody with two integrations."""
    pool, user_id = database.pool(), str(uuid.uuid4())
    with transaction(Nobody(pool)) as connection:
        Users(connection).register(user_id=user_id, email=f"{user_id}@example.org", name="Ann", password_hash="hash")
    with transaction(ActingFor(pool, user_id)) as connection:
        for name in ("Stripe", "Slack"):
            Integrations(connection).create(name=name, service_type="rest")
    pool.close()


def count(database: Database) -> int:
    """The number of integrations."""
    with database.admin() as connection:
        row = connection.execute("SELECT count(*) AS number FROM integrations").fetchone()
    assert row is not None
    return int(row["number"])


def test_create_verify_restore(database: Database, tmp_path: Path) -> None:
    fill(database)
    backup = create_backup(database.admin_url, tmp_path)
    assert backup.tables["integrations"][0] == 2
    assert list_backups(tmp_path) == [backup]
    assert Path(backup.path).stat().st_mode & 0o077 == 0
    verify_backup(database.admin_url, backup)

    with database.admin() as connection:
        connection.execute("TRUNCATE integrations CASCADE")
    with pytest.raises(BackupError, match="is there already"):
        restore_backup(database.admin_url, backup)
    assert count(database) == 0
    restore_backup(database.admin_url, backup, overwrite=True)
    assert count(database) == 2
    verify_backup(database.admin_url, create_backup(database.admin_url, tmp_path))
    # tenants are kept apart in it as before
    with psycopg.connect(database.logins.service) as connection:
        connection.execute("SET ROLE authenticated_users")
        assert connection.execute("SELECT count(*) FROM integrations").fetchone() == (0,)


def test_a_database_that_is_gone_comes_back(database: Database, tmp_path: Path) -> None:
    fill(database)
    backup = create_backup(database.admin_url, tmp_path)
    database.databases.drop(database.name)
    restore_backup(database.admin_url, backup)
    assert count(database) == 2


def test_a_damaged_archive_is_noticed(database: Database, tmp_path: Path) -> None:
    backup = create_backup(database.admin_url, tmp_path)
    archive = Path(backup.path)
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(bytes(content))
    with pytest.raises(BackupError, match="checksum differs"):
        verify_backup(database.admin_url, backup)


def test_an_archive_with_other_content_is_noticed(database: Database, tmp_path: Path) -> None:
    backup = create_backup(database.admin_url, tmp_path / "first")
    fill(database)
    later = create_backup(database.admin_url, tmp_path / "second")
    swapped = Path(backup.path)
    swapped.write_bytes(Path(later.path).read_bytes())
    values = {**json.loads(swapped.with_suffix(".json").read_text()), "sha256": later.sha256}
    swapped.with_suffix(".json").write_text(json.dumps(values))
    (found,) = list_backups(tmp_path / "first")
    with pytest.raises(BackupError, match=r"does not hold what was dumped: .*integrations"):
        verify_backup(database.admin_url, found)


def test_a_login_that_sees_only_a_part_makes_no_backup(database: Database, tmp_path: Path) -> None:
    with pytest.raises((BackupError, psycopg.errors.InsufficientPrivilege)):
        create_backup(database.logins.service, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_pruning_keeps_thirty_days_and_the_newest(database: Database, tmp_path: Path) -> None:
    for age in (60, 31, 29):
        backup = create_backup(database.admin_url, tmp_path)
        manifest = Path(backup.path).with_suffix(".json")
        moment = datetime.now(UTC) - timedelta(days=age)
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "created_at": moment.isoformat()}))
    assert len(prune_backups(tmp_path)) == 2
    assert len(list_backups(tmp_path)) == 1
    (kept,) = list_backups(tmp_path)
    old = datetime.now(UTC) - timedelta(days=90)
    manifest = Path(kept.path).with_suffix(".json")
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "created_at": old.isoformat()}))
    assert prune_backups(tmp_path) == [], "the newest stays, however old"
    assert len(list(tmp_path.iterdir())) == 2


def test_no_password_among_the_arguments_that_everybody_can_read(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/arguments\necho "$PGPASSWORD" >{tmp_path}/password\n')
    program.chmod(0o700)
    run(program, ["--verbose"], url="postgresql://ann:it's%20secret@example.org:5433/ours?sslmode=require")
    arguments = (tmp_path / "arguments").read_text()
    assert "secret" not in arguments
    assert all(part in arguments for part in ("user=ann", "host=example.org", "port=5433", "dbname=ours", "--verbose"))
    assert (tmp_path / "password").read_text() == "it's secret\n"


FULL = """
import resource, signal, sys
from pathlib import Path
from operations.backup import create_backup
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
create_backup(sys.argv[1], Path(sys.argv[2]))
"""


def test_a_full_disk_leaves_nothing_that_looks_like_a_backup(database: Database, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, database.logins.backup, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert "BackupError: pg_dump failed" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root works in the folders of others")
def test_a_dump_that_root_makes_in_somebodys_folder_is_theirs(database: Database, tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    create_backup(database.admin_url, tmp_path)
    assert [each.stat().st_uid for each in tmp_path.iterdir()] == [65534, 65534]


def test_what_a_killed_dump_left_is_cleared_away(database: Database, tmp_path: Path) -> None:
    (tmp_path / "full_backup_20261127_020000_000000.unfinished").write_bytes(b"half")
    (tmp_path / "full_backup_20261127_020000_000000.json").write_text("{}")
    assert list_backups(tmp_path) == []
    backup = create_backup(database.logins.backup, tmp_path)
    assert {each.name for each in tmp_path.iterdir()} == {
        Path(backup.path).name,
        Path(backup.path).with_suffix(".json").name,
    }


def test_one_at_a_time_in_a_folder(database: Database, tmp_path: Path) -> None:
    with sole_use(tmp_path), pytest.raises(BackupError, match="somebody else works in"):
        create_backup(database.logins.backup, tmp_path)
    create_backup(database.logins.backup, tmp_path)


def test_a_month_that_is_dropped_meanwhile_does_not_spoil_it(database: Database, tmp_path: Path) -> None:
    """It is there in the snapshot and gone before it is locked."""
    dropped = threading.Event()
    with database.admin() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS aaa (id int)")

    def drop() -> None:
        with database.admin() as connection, connection.transaction():
            connection.execute("DROP TABLE aaa")
            dropped.set()
            waits = "SELECT FROM pg_locks WHERE NOT granted"
            eventually(lambda: connection.execute(waits).fetchall(), "the backup waits for the table")

    dropping = threading.Thread(target=drop)
    dropping.start()
    dropped.wait(10)
    backup = create_backup(database.logins.backup, tmp_path)
    dropping.join()
    assert "aaa" not in backup.tables
    verify_backup(database.admin_url, backup)
