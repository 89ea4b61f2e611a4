"""schemathesis against the running service: no 5xx, and no answer that the OpenAPI document does not foresee.

It calls each operation by itself, and follows the document's links through whole lives of resources.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from config import ROOT
from tests.service import Person

HERE = Path(__file__).parent
# they would end the session that all the rest needs, or not end at all; other tests hold them against the document
LEFT_OUT = ("logout", "end_session", "end_sessions", "close_account", "stream_events")


@pytest.mark.parametrize(
    ("phases", "seconds"),
    [("examples,coverage,fuzzing", 35), ("stateful", 20)],
    ids=["each-by-itself", "stateful"],
)
def test_answers_are_as_documented(ann: Person, tmp_path: Path, phases: str, seconds: int) -> None:
    team = ann.organization()
    ann.integration(organization_id=team["id"])
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"), f"--config-file={HERE / 'schemathesis.toml'}", "run",
            f"http://127.0.0.1:{ann.client.port}/openapi.json",
            f"--header=Authorization: {ann.client.headers['Authorization']}",
            *[f"--exclude-operation-id={name}" for name in LEFT_OUT],
            "--seed=1", f"--phases={phases}", f"--max-time={seconds}",
            "--max-examples=25", "--no-shrink", "--generation-database=none",
            "--continue-on-failure", "--no-color", "--warnings=off", "--output-truncate=false",
        ],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=seconds + 60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    covered = re.search(r"API Links: +(\d+) covered", done.stdout)
    assert "stateful" not in phases or (covered and int(covered[1]) >= 10), done.stdout
