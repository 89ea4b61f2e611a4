"""schemathesis against the running service: no 5xx, and no answer that the OpenAPI document does not foresee."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from config import ROOT
from tests.service import Person

HERE = Path(__file__).parent
SECONDS = 45
# they would end the session that all the rest needs; test_conventions.py holds them against the document too
SIGNING_OUT = ("logout", "end_session", "end_sessions")


def test_answers_are_as_documented(ann: Person, tmp_path: Path) -> None:
    team = ann.organization()
    ann.integration(organization_id=team["id"])
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"), f"--config-file={HERE / 'schemathesis.toml'}", "run",
            f"http://127.0.0.1:{ann.client.port}/openapi.json",
            f"--header=Authorization: {ann.client.headers['Authorization']}",
            *[f"--exclude-operation-id={name}" for name in SIGNING_OUT],
            "--seed=1", f"--max-time={SECONDS}", "--max-examples=25", "--no-shrink", "--generation-database=none",
            "--continue-on-failure", "--no-color", "--warnings=off", "--output-truncate=false",
        ],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=SECONDS + 60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
