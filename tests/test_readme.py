"""The README's tour and the guide to workflows, run as they are written against what `bin/serve` runs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import ROOT
from tests.service import free_port
from tests.waiting import eventually


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Path]:
    """A directory in which `bin/serve` was started."""
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    environment |= {
        "PORT": str(free_port()),
        "DATA_DIR": str(tmp_path / "var"),
        "BCRYPT_COST": "4",
        "BACKUP_HOUR": "-1",
    }
    command = [sys.executable, "-m", "flask", "--app", "cli", "serve"]  # what bin/serve ends in
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        eventually(lambda: b"Ctrl-C" in (tmp_path / "log").read_bytes() or process.poll() is not None, "it serves", 90)
        assert process.poll() is None, (tmp_path / "log").read_text()
        yield tmp_path
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_the_tour(served: Path) -> None:
    script = "\n".join(
        block
        for page, heading in (("README.md", "## A five-minute tour"), ("docs/workflows.md", "## A first workflow"))
        for block in re.findall(
            r"```bash\n(.*?)```", (ROOT / page).read_text("utf-8").split(heading)[1].split("\n## ")[0], re.DOTALL
        )
    )
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=served,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for expected in (
        '"permissions":["*"]',
        '"name":"Weather"',
        '"base_url":"https://weather.example.org"',
        '"allowed":["draft","failed","generating"]',
        "forbidden_transition",
        "integration.status_changed",
        '"deleted_at":null',
        '"code":"not_found"',
        '"valid":true,"errors":[]',
        '"status":"pending","progress":0,"workflow_version_number":1',
    ):
        assert expected in done.stdout.replace('": ', '":'), (expected, done.stdout)
