"""The point-in-time drill on an installed server, and what its parts promise (ruling 25).

Write, note the time, destroy, recover, find exactly what had been committed. test_recovery.py has it for bin/serve."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from database.archiving import archiving_settings
from operations.point_in_time import (
    BaseBackup,
    base_for,
    create_base_backup,
    list_base_backups,
    prepare_recovery,
    prune_base_backups,
)
from operations.postgresql_programs import BackupError
from tests.operations.cluster import Cluster, short_folder
from tests.postgresql import _installation


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with short_folder() as folder:
        made = Cluster(folder, _installation())
        yield made
        made.kill()


def test_the_drill(cluster: Cluster) -> None:
    first, second, third = (cluster.folder / name for name in ("first", "second", "third"))
    cluster.initialise(first)
    cluster.start(first)
    cluster.write("one")
    assert "needs the log from 0000000100000000" in cluster.flask("backup", "base")
    moment = cluster.write("two")
    cluster.write("three")
    cluster.flask("backup", "base")  # of a future that will not have been
    cluster.archived()
    cluster.kill()
    shutil.rmtree(first)

    said = cluster.flask("backup", "recover", "--to", moment.isoformat(), "--data-directory", str(second))
    assert f"{second} is ready to recover" in said
    cluster.start(second)
    assert cluster.read() == ["one", "two"]
    cluster.write("four")
    cluster.archived()
    cluster.kill()

    # once more, to the end of the new timeline: from the base backup that lies on its way
    past, future = list_base_backups(cluster.archive)
    assert base_for(cluster.archive, None) == past
    assert future.created_at > past.created_at
    cluster.flask("backup", "recover", "--data-directory", str(third))
    cluster.start(third)
    assert cluster.read() == ["one", "two", "four"]
    with pytest.raises(BackupError, match="there already"):
        prepare_recovery(past, third, cluster.archive, moment)


def aged(base: BaseBackup, days: int) -> None:
    """Let a base backup have been made so long ago."""
    base.path.rename(base.path.with_name(f"base_{datetime.now(UTC) - timedelta(days=days):%Y%m%d_%H%M%S_%f}"))


def test_pruning_keeps_what_the_days_that_are_kept_need(cluster: Cluster) -> None:
    cluster.initialise(cluster.folder / "data")
    cluster.start(cluster.folder / "data")
    for days in (30, 20, 1):
        aged(create_base_backup(cluster.url, cluster.archive), days)
        cluster.archived()
    oldest, older, newest = list_base_backups(cluster.archive)
    removed = {each.name for each in prune_base_backups(cluster.archive, timedelta(days=14))}
    assert oldest.path.name in removed
    assert list_base_backups(cluster.archive) == [older, newest], "the fourteenth day needs one from before it"
    kept = sorted(each.name for each in (cluster.archive / "wal").iterdir())
    assert kept[0].startswith(older.first_segment)
    assert f"{oldest.first_segment}.gz" in removed
    assert prune_base_backups(cluster.archive, timedelta(days=14)) == []


SEGMENT = "000000010000000000000001"


def run_command(setting: str, archive: Path, segment: Path) -> int:
    """Run archive_command or restore_command as PostgreSQL does."""
    command = archiving_settings(archive)[setting].replace("%p", str(segment)).replace("%f", SEGMENT)
    return subprocess.run(["sh", "-c", command], check=False).returncode


def test_an_archived_segment_is_never_overwritten(tmp_path: Path) -> None:
    segment, archive = tmp_path / "segment", tmp_path / "it's here"
    archive.mkdir()
    segment.write_text("first")
    assert run_command("archive_command", archive, segment) == 0
    # PostgreSQL died before it could note that, and hands it over again
    assert run_command("archive_command", archive, segment) == 0
    segment.write_text("second")
    assert run_command("archive_command", archive, segment) != 0
    assert [each.name for each in archive.iterdir()] == [f"{SEGMENT}.gz"]
    assert run_command("restore_command", archive, segment) == 0
    assert segment.read_text() == "first"


def test_a_segment_that_cannot_be_copied_whole_is_not_archived(tmp_path: Path) -> None:
    """As on a full disk: what there is of it has another name, and the next attempt begins anew."""
    segment, archive = tmp_path / "segment", tmp_path / "archive"
    assert run_command("archive_command", archive, segment) != 0, "there is no folder"
    archive.mkdir()
    segment.write_bytes(b"whole")
    (archive / f"{SEGMENT}.unfinished").symlink_to("/dev/full")
    assert run_command("archive_command", archive, segment) != 0
    assert run_command("restore_command", archive, tmp_path / "other") != 0
    assert not (tmp_path / "other").exists()
    (archive / f"{SEGMENT}.unfinished").unlink()
    assert run_command("archive_command", archive, segment) == 0
