"""One process under the supervisor: its log and the pauses between its starts."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from operations import service_process
from operations.service_process import RestartPause, ServiceProcess
from tests.waiting import eventually


def test_pauses_double_up_to_a_limit_and_begin_anew_after_a_steady_time(monkeypatch: pytest.MonkeyPatch):
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    pause = RestartPause()
    pauses = []
    for _ in range(7):
        pause.started()
        pauses.append(pause.ended())
        assert not pause.is_over()
        now += pauses[-1]
        assert pause.is_over()
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    pause.started()
    now += 61
    assert pause.ended() == 1


def test_a_log_that_has_grown_too_large_is_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(service_process, "LARGEST_LOG", 5)
    log = tmp_path / "echo.log"
    code = "import sys; print('first line', flush=True); sys.stdin.readline(); print('never', flush=True)"
    process = ServiceProcess("echo", [sys.executable, "-c", code], dict(os.environ), tmp_path, log)
    process.limit_log()
    process.start()
    assert eventually(process.ended, "the end of the process") == "exit status 0"  # its input is empty
    assert log.read_text() == "first line\nnever\n"
    assert log.stat().st_mode & 0o777 == 0o600
    assert process.last_line() == "never"
    process.limit_log()
    assert (log.read_text(), (tmp_path / "echo.log.1").read_text()) == ("", "first line\nnever\n")
    process.start()
    eventually(process.ended, "the end of the process")
    assert log.read_text() == "first line\nnever\n"
    process.stop(1)
    assert process.pid is None
