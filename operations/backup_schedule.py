"""The backups that the worker makes by itself, and the drills that prove them: tasks of maintenance (ruling 22)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from config import Settings
from database.embedded import running_server_url
from operations.backup import create_backup, list_backups, prune_backups, sole_use
from operations.maintenance import Run, Task
from operations.point_in_time import create_base_backup, list_base_backups, prune_base_backups
from operations.recovery import drill
from operations.restore import scratch_server, verify_backup

NAMES = ("create-backup", "verify-backup", "create-base-backup", "drill-recovery")
OTHER_BEGINS_WITHIN = 5.0  # seconds


def scheduled(settings: Settings) -> tuple[Task, ...]:
    """What a worker of these settings does by itself: dumps where it has their login and a folder, base backups where
    the embedded server archives its log; nothing where BACKUP_HOUR says never."""
    if settings.backup_hour < 0:
        return ()
    hour, found = settings.backup_hour, []
    if settings.backup_dir is not None and settings.backup_database_url:
        found += [Task(NAMES[0], f"0 {hour} * * *", _create), Task(NAMES[1], f"20 {hour} * * 1", _verify)]
    if settings.wal_archive_dir is not None and (settings.data_dir / "postgresql").exists():
        found += [Task(NAMES[2], f"40 {hour} * * 1", _create_base), Task(NAMES[3], f"50 {hour} * * 1", _drill)]
    return tuple(found)


def _create(run: Run) -> int:
    settings = run.settings
    made = create_backup(settings.backup_database_url, settings.backups, run.stop)
    prune_backups(settings.backups, timedelta(days=settings.backup_keep_days), run.stop)
    return sum(rows for rows, _ in made.tables.values())


def _verify(run: Run) -> int:
    """On a server of its own, which needs nothing of the real one: the worker's logins could not make a database."""
    settings = run.settings
    if not _made(run, settings.backups, lambda: list_backups(settings.backups)):
        _create(run)
    backup = list_backups(settings.backups)[-1]
    with scratch_server(settings.backups, backup.server_version, run.stop) as url:
        verify_backup(url, backup, record_at=settings.backup_database_url, stop=run.stop)
    return sum(rows for rows, _ in backup.tables.values())


def _create_base(run: Run) -> None:
    url, archive = _whole_server(run.settings)
    create_base_backup(url, archive, run.stop)
    prune_base_backups(archive, timedelta(days=run.settings.wal_archive_keep_days), run.stop)


def _drill(run: Run) -> None:
    url, archive = _whole_server(run.settings)
    if not _made(run, archive / "base", lambda: list_base_backups(archive)):
        _create_base(run)
    drill(url, archive, run.stop)


def _made(run: Run, folder: Path, there: Callable[[], Sequence[object]]) -> bool:
    """Whether there is one to prove. On the first start the other task makes it at this moment: once is enough."""
    deadline = time.monotonic() + OTHER_BEGINS_WITHIN
    while not there() and time.monotonic() < deadline and not run.stop.wait(0.2):
        pass
    if there():
        return True
    with sole_use(folder, run.stop):
        return bool(there())


def _whole_server(settings: Settings) -> tuple[str, Path]:
    # whoever runs the embedded server is its superuser, and nobody less can copy it
    assert settings.wal_archive_dir is not None
    return running_server_url(settings.data_dir / "postgresql"), settings.wal_archive_dir
