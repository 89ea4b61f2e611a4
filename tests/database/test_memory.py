"""Large pages: memory that is in use gets them, and nothing fails where they cannot be had."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from config import ROOT
from database import memory

MEGABYTES = 48
# large pages of anonymous memory that a process of its own has before and after, and what it was told
FILL = f"""
import re
from pathlib import Path
from database.memory import use_large_pages
def large():
    return int(re.search(r"AnonHugePages: +(\\d+)", Path("/proc/self/smaps_rollup").read_text())[1]) * 1024
kept = [bytes({{size}}) for _ in range({MEGABYTES} * 1_000_000 // {{size}})]
before = large()
told = use_large_pages()
print(before, large(), told)
"""


def _can_collapse() -> bool:
    release = Path("/proc/sys/kernel/osrelease")
    if not release.exists() or not memory._POLICY.exists():
        return False
    major, minor = release.read_text().split(".")[:2]
    return (int(major), int(minor)) >= (6, 1) and "[madvise]" in memory._POLICY.read_text()


@pytest.mark.skipif(not _can_collapse(), reason="needs Linux 6.1 and transparent huge pages on request")
@pytest.mark.parametrize("size", [300, 1000], ids=["the interpreter's arenas", "the heap"])
def test_what_is_in_use_moves_into_large_pages(size: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FILL.format(size=size)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    before, after, told = map(int, done.stdout.split())
    assert told >= MEGABYTES // 2 << 20
    assert after - before >= told // 2


@pytest.mark.parametrize("policy", ["always madvise [never]\n", None])
def test_nothing_is_moved_where_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str | None
) -> None:
    if policy is not None:
        (tmp_path / "enabled").write_text(policy)
    monkeypatch.setattr(memory, "_POLICY", tmp_path / "enabled")
    assert memory.use_large_pages() == 0
