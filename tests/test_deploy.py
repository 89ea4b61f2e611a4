"""What `deploy/` has for Prometheus and Grafana, held against real scrapes of the web processes and the worker."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.webhooks.processes import free_port, worker
from config import ROOT
from tests.conftest import Database
from tests.service import Service
from tests.waiting import eventually

RULES = ROOT / "deploy" / "prometheus" / "claude-code-bot.rules.yml"
CONFIGURATION = ROOT / "deploy" / "prometheus" / "prometheus.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "claude-code-bot.json"
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return list(json.loads(DASHBOARD.read_text("utf-8"))["panels"])


def names_in(expression: str) -> set[str]:
    """The metrics that an expression asks for."""
    return set(re.findall(r"\bccb_\w+", expression))


def names_scraped(text: str) -> set[str]:
    """The metrics that a scrape can hold; a family that has no sample yet is announced all the same."""
    families = re.findall(r"^# TYPE (\w+) (\w+)$", text, flags=re.MULTILINE)
    return {name + suffix for name, kind in families for suffix in SUFFIXES[kind]}


@pytest.fixture(scope="module")
def scraped(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[set[str]]:
    """What both kinds of process tell."""
    log, port = Path(tmp_path_factory.mktemp("worker")) / "log", free_port()

    def of_worker() -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    with Service(module_database.settings(web_workers=1)) as service:
        service.client().get("/me")
        web = service.client().get("!/metrics").body.decode()
        with worker(module_database.settings(), log, WORKER_PORT=port):
            eventually(lambda: "ccb_webhook_due" in of_worker(), "the worker tells of itself", 30)
            yield names_scraped(web) | names_scraped(of_worker())


def test_every_metric_of_the_alerts_is_told(scraped: set[str]) -> None:
    assert len(alerts()) >= 5
    for alert in alerts():
        asked = names_in(alert["expr"])
        assert asked or alert["expr"].startswith("up{"), alert["alert"]
        assert asked <= scraped, alert["alert"]


def test_every_metric_of_the_dashboard_is_told(scraped: set[str]) -> None:
    for panel in panels():
        for target in panel["targets"]:
            assert names_in(target["expr"]), panel["title"]
            assert names_in(target["expr"]) <= scraped, panel["title"]


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in panels()}) == len(panels())


def test_every_alert_says_what_to_do() -> None:
    manual = (ROOT / "docs" / "operations.md").read_text("utf-8")
    for alert in alerts():
        assert f"\n### {alert['alert']}\n" in manual
        assert alert["annotations"]["summary"]
        assert alert["labels"]["severity"] in ("page", "ticket")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize(("what", "path"), [("rules", RULES), ("config", CONFIGURATION)])
def test_promtool_finds_no_fault(what: str, path: Path) -> None:
    done = subprocess.run(["promtool", "check", what, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
