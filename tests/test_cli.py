"""The commands themselves."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from config import ROOT


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
    )
    assert (ended.returncode, "Making .venv" in ended.stderr) == (status, bool(told))
    assert ended.stderr.endswith(told.format(root=tmp_path))
