"""The point-in-time drill on the embedded server: write, note the time, destroy, recover to it, find exactly what had
been committed (ruling 25). Through the commands that an operator types."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cli import app
from config import ROOT, Settings
from database import Nobody, Pool, transaction
from database.embedded import EmbeddedServer, running_server_url
from database.provision import provision
from database.server_account import Account
from operations.point_in_time import create_base_backup, prepare_recovery
from operations.postgresql_programs import BackupError
from operations.recovery import recover_embedded
from operations.serve import embedded_server
from repositories.users import Users
from tests.service import Client, free_port
from tests.waiting import eventually


class Place:
    """A DATA_DIR with an archive, and the commands on it."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.port = free_port()
        self.data, self.archive, self.log = folder / "var", folder / "archive", folder / "log"
        kept = {**os.environ, "DATABASE_URL": ""}
        own = {"DATA_DIR": self.data, "WAL_ARCHIVE_DIR": self.archive, "PORT": self.port, "BCRYPT_COST": 4}
        self.environment = {
            **kept,
            **{name: str(value) for name, value in own.items()},
            "BACKUP_HOUR": "-1",
            **settings,
        }

    @contextmanager
    def served(self) -> Iterator[subprocess.Popen[bytes]]:
        """bin/serve."""
        command = [sys.executable, "-m", "flask", "--app", "cli", "serve"]  # what bin/serve ends in
        with self.log.open("wb") as log:
            process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)
        try:
            eventually(lambda: b"Ctrl-C" in self.log.read_bytes() or process.poll() is not None, "it serves", 90)
            assert process.poll() is None, self.log.read_text()
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)

    def flask(self, *arguments: str) -> str:
        """Run a command; gives what it says."""
        done = app.test_cli_runner().invoke(args=arguments, env=self.environment)
        assert done.exit_code == 0, done.output
        return done.output

    def refused(self, *arguments: str) -> str:
        """Run a command that fails; gives why."""
        done = app.test_cli_runner().invoke(args=arguments, env=self.environment)
        assert isinstance(done.exception, SystemExit), done.output
        return done.output

    def sql(self, statement: str) -> Any:
        """The one value that the superuser is answered."""
        with psycopg.connect(running_server_url(self.data / "postgresql"), autocommit=True) as connection:
            row = connection.execute(statement).fetchone()
        return row[0] if row else None

    def archived(self) -> None:
        """Have the archive hold what has been committed."""
        segment = self.sql("SELECT pg_walfile_name(pg_switch_wal())")
        eventually((self.archive / "wal" / f"{segment}.gz").exists, "the segment is archived")


def test_the_drill_of_bin_serve(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with place.served() as service:
        key = json.loads((place.data / "demo.json").read_text())["api_key"]
        client = Client(place.port, {"X-API-Key": key})

        def write(name: str) -> datetime:
            assert client.post("/integrations", {"name": name, "service_type": "rest"}).status == 201
            moment: datetime = place.sql("SELECT clock_timestamp()")
            return moment

        def written() -> set[str]:
            return {each["name"] for each in client.get("/integrations?limit=100").json["items"]} & {"1", "2", "3", "4"}

        write("1")
        assert "needs the log from" in place.flask("backup", "base")
        moment = write("2")
        with psycopg.connect(running_server_url(place.data / "postgresql"), autocommit=True) as connection:
            for _ in range(2000):  # a future that is lost, with transaction ids that will be given out again
                connection.execute("SELECT pg_current_xact_id()")
        write("3")
        read_up_to = place.sql("SELECT max(transaction_id::text::bigint) FROM events")
        assert place.sql("SELECT kind FROM backups") == "base"
        place.archived()
        assert "in use by a running bin/serve" in place.refused("backup", "recover", "--to", moment.isoformat())
        service.kill()
        service.wait()
        EmbeddedServer(place.data / "postgresql").remove()

    assert "is from before that moment" in place.refused("backup", "recover", "--to", "2020-01-01T00:00:00")
    assert "Recovered from base_" in place.flask("backup", "recover", "--to", moment.isoformat())
    with place.served():
        assert written() == {"1", "2"}
        write("4")
        # who had read further before hears of it all the same
        assert place.sql("SELECT max(transaction_id::text::bigint) FROM events") > read_up_to
        kept = sorted((place.archive / "wal").glob("*.history.gz"))
        assert "give back all that was committed" in place.flask("backup", "drill")
        assert sorted((place.archive / "wal").glob("*.history.gz")) == kept, "a drill leaves no timeline in the archive"
        assert place.sql("SELECT count(*) FROM backups WHERE kind = 'base' AND verified_at IS NOT NULL") == 1


def test_bin_serve_backs_up_by_itself_and_runs_on_through_a_restore(tmp_path: Path) -> None:
    place = Place(tmp_path, BACKUP_HOUR="3")
    runs = "SELECT count(DISTINCT task) FROM maintenance_runs WHERE task ~ 'backup|drill' AND outcome = 'succeeded'"
    failed = "SELECT string_agg(task || ': ' || error_message, '; ') FROM maintenance_runs WHERE outcome = 'failed'"
    with place.served():
        client = Client(place.port, {"X-API-Key": json.loads((place.data / "demo.json").read_text())["api_key"]})
        eventually(lambda: place.sql(runs) == 4 or place.sql(failed), "dump, base backup and a drill of each", 120)
        assert place.sql(failed) is None
        assert place.sql("SELECT count(DISTINCT kind) FROM backups WHERE verified_at IS NOT NULL") == 2
        name = next(line.split()[0] for line in place.flask("backup", "list").splitlines() if ".dump" in line)
        before = {each["name"] for each in client.get("/integrations").json["items"]}
        assert client.post("/integrations", {"name": "too late", "service_type": "rest"}).status == 201
        assert "is in use, by" in place.refused("backup", "restore", name)
        assert "as it was dumped" in place.flask("backup", "restore", name, "--overwrite")
        answers = eventually(lambda: (got := client.get("/integrations")).status == 200 and got, "it has come back")
        assert {each["name"] for each in answers.json["items"]} == before
        assert "up to date" in place.flask("migrate")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "var", wal_archive_dir=tmp_path / "archive")


def notes(settings: Settings) -> list[str]:
    """What the notes say, with the server started for that."""
    server = embedded_server(settings)
    try:
        with psycopg.connect(server.start()) as connection:
            return [text for (text,) in connection.execute("SELECT text FROM notes ORDER BY text")]
    finally:
        server.stop()


def test_log_that_was_not_archived_is_taken_along_and_a_failure_puts_everything_back(settings: Settings) -> None:
    archive = settings.wal_archive_dir
    assert archive is not None
    server = embedded_server(settings)
    settings.data_dir.mkdir()
    with psycopg.connect(server.start(), autocommit=True) as connection:
        connection.execute("CREATE TABLE notes (text text)")
        connection.execute("INSERT INTO notes VALUES ('before')")
        base = create_base_backup(server.url, archive)
        connection.execute("INSERT INTO notes VALUES ('after'), ('not archived')")
    server.stop(immediate=True)
    kept = settings.data_dir / "postgresql"
    identity = kept.stat().st_ino
    if os.geteuid() == 0:  # who may work on somebody else's
        Account("nobody", 65534, 65534).own(kept)
    owner = kept.stat().st_uid

    with pytest.raises(BackupError, match="recovery ended before configured recovery target was reached"):
        recover_embedded(settings, archive, datetime(2999, 1, 1, tzinfo=UTC))
    assert kept.stat().st_ino == identity
    assert [each.name for each in settings.data_dir.iterdir() if each.name != "serve.lock"] == ["postgresql"]

    done = recover_embedded(settings, archive, None)
    assert (done.base.path, done.last_commit is not None) == (base.path, True)
    assert done.put_away is not None
    assert done.put_away.stat().st_ino == identity
    assert {each.stat().st_uid for each in kept.rglob("*")} == {owner}
    assert notes(settings) == ["after", "before", "not archived"]


def test_a_standby_reads_events_by_its_primarys_clock(settings: Settings) -> None:
    """It writes no log, so it has no timeline of its own to go by."""
    archive, kept = settings.wal_archive_dir, settings.data_dir / "postgresql"
    assert archive is not None
    server = embedded_server(settings)
    try:
        url = server.start()
        pool = Pool(provision(url, settings).service, settings)
        pool.open()
        user_id = str(uuid.uuid4())
        with transaction(Nobody(pool)) as connection:
            Users(connection).register(user_id=user_id, email="a@example.org", name="Ann", password_hash="x")
        pool.close()
        base = create_base_backup(url, archive)
        server.remove()
        prepare_recovery(base, kept, archive, None)
        (kept / "recovery.signal").rename(kept / "standby.signal")
        with psycopg.connect(server.start(), autocommit=True) as admin:
            assert admin.execute("SELECT pg_is_in_recovery(), current_timeline()").fetchone() == (True, None)
            below = "SELECT count(*) > 0 AND bool_and(transaction_id < event_horizon()) FROM events"
            assert admin.execute(below).fetchone() == (True,)
            assert admin.execute("SELECT event_horizon() < '10000000000000'").fetchone() == (True,)
    finally:
        server.stop()


def test_a_changed_base_backup_is_noticed(settings: Settings) -> None:
    archive = settings.wal_archive_dir
    assert archive is not None
    server = embedded_server(settings)
    try:
        base = create_base_backup(server.start(), archive)
        server.remove()
        (base.path / "global" / "pg_control").write_bytes(bytes(8192))
        with pytest.raises(BackupError, match="global/pg_control differs"):
            recover_embedded(settings, archive, None)
    finally:
        server.stop()
    assert not (settings.data_dir / "postgresql").exists()
