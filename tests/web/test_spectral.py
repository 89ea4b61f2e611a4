"""The OpenAPI document under Spectral's rules and OWASP's, where there is a Node.js to run them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.web.document import document

HERE = Path(__file__).parent / "spectral"
INSTALLED = Path(sys.prefix) / "spectral"


@pytest.fixture(scope="module")
def spectral() -> Path:
    """Spectral at the version of the lock file."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs Node.js: apt-get install npm")
    lock = (HERE / "package-lock.json").read_text("utf-8")
    stamp = INSTALLED / "installed.json"
    if not stamp.exists() or stamp.read_text("utf-8") != lock:
        INSTALLED.mkdir(exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, INSTALLED)
        command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        made = subprocess.run(command, cwd=INSTALLED, capture_output=True, text=True, timeout=300)
        if made.returncode:
            pytest.skip(f"Spectral cannot be installed: {made.stderr.strip().splitlines()[-1:]}")
        stamp.write_text(lock, "utf-8")
    shutil.copy(HERE / "ruleset.yaml", INSTALLED)  # it finds the rules that it extends beside itself
    return INSTALLED


def test_no_errors(spectral: Path, tmp_path: Path) -> None:
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document()), "utf-8")
    command = [f"{spectral}/node_modules/.bin/spectral", "lint", str(path), "-r", f"{spectral}/ruleset.yaml"]
    run = subprocess.run([*command, "-q", "-f", "json"], capture_output=True, text=True, timeout=300)
    found = json.loads(run.stdout)
    assert [each for each in found if each["severity"] == 0] == []
    assert found, "it has something to remark, so it has looked"
