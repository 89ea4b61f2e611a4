"""The commands themselves."""

from __future__ import annotations

import subprocess
import sys

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
