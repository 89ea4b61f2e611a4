"""The commands themselves."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cli import app
from config import ROOT, Settings
from operations.secret_keys import encryption_keys, with_secret_keys
from tests.conftest import Database


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_setting_of_the_wrong_type_is_one_line_that_names_the_variable(command: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "cli", command],
        cwd=ROOT,
        env={"PORT": "abc", "FLASK_SKIP_DOTENV": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (2, "Error: PORT should be of type int, not 'abc'\n")


@pytest.mark.parametrize(
    ("python", "status", "told"),
    [
        ("kill -INT $PPID; exit 1", 130, ""),  # as Ctrl-C while it starts: it goes to both
        ("exit 1", 1, "serve: {root}/.venv cannot be made; if it is somebody else's, have it removed\n"),
    ],
)
def test_an_environment_is_made_anew_only_when_it_does_not_work(
    tmp_path: Path, python: str, status: int, told: str
) -> None:
    shutil.copytree(ROOT / "bin", tmp_path / "bin")
    (tmp_path / "requirements.txt").touch()
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    base = "case $2 in *print*) echo 3.11 ;; venv) exit 1 ;; esac"
    for path, text in ((programs / "python", python), (tmp_path / "base", base)):
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    ended = subprocess.run(
        [tmp_path / "bin" / "serve"],
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(tmp_path / "base")},
        capture_output=True,
        text=True,
        timeout=60,
        # tests that run in the background were told to ignore it, and a shell cannot trap what it was told to ignore
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert (ended.returncode, "Making .venv" in ended.stderr) == (status, bool(told))
    assert ended.stderr.endswith(told.format(root=tmp_path))


def flask(*arguments: str, **environment: str) -> tuple[int, str]:
    """Exit status of a command and what it says."""
    done = app.test_cli_runner().invoke(args=arguments, env={"DATABASE_URL": "", **environment})
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    where = {"DATA_DIR": str(tmp_path)}
    status, told = flask("ops", "locks", **where)
    assert status == 1
    assert f"no PostgreSQL runs on {tmp_path}/postgresql; start bin/serve" in told
    (tmp_path / "postgresql").mkdir()
    (tmp_path / "postgresql" / "postmaster.pid").write_text("1\n/x\n1\n5432\n\n")  # it is only starting
    assert "no PostgreSQL runs on" in flask("ops", "locks", **where)[1]
    assert flask("backup", "list", **where) == (0, f"There is no dump in {tmp_path}/backups.\n")
    assert flask("backup", "prune", **where) == (0, "Nothing is too old.\n")
    (tmp_path / "backups").rmdir()
    (tmp_path / "backups").touch()
    assert flask("backup", "prune", **where) == (1, f"Error: {tmp_path}/backups cannot be used: File exists\n")
    for url in ("nonsense", "postgresql://ann:it's secret@[::1/ours"):
        assert flask("ops", "locks", DATABASE_URL=url) == (
            2,
            "Error: DATABASE_URL is not a PostgreSQL connection URL\n",
        )
    status, told = flask("worker", WORKER_DATABASE_URL="")
    assert (status, told) == (2, "Error: WORKER_DATABASE_URL is not set; bin/serve derives it\n")


def test_a_file_of_somebody_else_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "postgresql").mkdir()
    (tmp_path / "postgresql" / "postmaster.pid").mkdir()  # which root cannot read either
    status, told = flask("ops", "locks", DATA_DIR=str(tmp_path))
    assert (status, told) == (1, f"Error: [Errno 21] Is a directory: '{tmp_path}/postgresql/postmaster.pid'\n")


def test_secrets_are_put_under_the_newest_of_the_kept_keys(database: Database, tmp_path: Path) -> None:
    keys = {"DATABASE_URL": database.admin_url, "ENCRYPTION_KEYS": "", "DATA_DIR": str(tmp_path)}
    assert "ENCRYPTION_KEYS is not set" in flask("webhooks", "reencrypt", **keys)[1]
    kept = replace(Settings(), data_dir=tmp_path)
    with_secret_keys(kept)
    made = json.loads((tmp_path / "secrets.json").read_text())
    assert encryption_keys(kept) == tuple(made["encryption_keys"])
    keys["ENCRYPTION_KEYS"] = made["encryption_keys"][0]
    assert flask("webhooks", "reencrypt", **keys) == (0, "0 webhooks are under the newest key now\n")


def test_what_the_database_refuses_is_told_without_where_in_a_function(database: Database) -> None:
    told = flask("ops", "attach", "events_y2020m01", DATABASE_URL=database.admin_url)
    assert told == (1, "Error: there is no archived partition events_y2020m01\n")
