"""Backups: what was dumped comes back, and nothing else is taken for it (ruling 24)."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from database import ActingFor, Nobody, transaction
from operations.backup import create_backup, list_backups, prune_backups
from operations.postgresql_programs import BackupError
from operations.restore import restore_backup, verify_backup
from repositories.integrations import Integrations
from repositories.users import Users
from tests.conftest import Database


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
