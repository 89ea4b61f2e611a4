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
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.webhooks.processes import free_port, worker
from config import ROOT
from tests.conftest import Database
from tests.service import Service
from tests.waiting import eventually

RULES = ROOT / "deploy" / "prometheus" / "claude-code-bot.rules.yml"
RULE_TESTS = RULES.with_name("claude-code-bot.tests.yml")
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


def labels_in(expression: str) -> dict[str, set[str]]:
    """The labels that an expression chooses by, for each metric."""
    found: dict[str, set[str]] = {}
    for name, matchers in re.findall(r"\b(ccb_\w+)\{([^}]*)\}", expression):
        found.setdefault(name, set()).update(re.findall(r"(\w+)\s*[!=]", matchers))
    return found


def labels_scraped(text: str) -> dict[str, set[str]]:
    """The labels of each metric that has samples."""
    families = text_string_to_metric_families(text)
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


def names_scraped(text: str) -> set[str]:
    """The metrics that a scrape can hold; a family that has no sample yet is announced all the same."""
    families = re.findall(r"^# TYPE (\w+) (\w+)$", text, flags=re.MULTILINE)
    return {name + suffix for name, kind in families for suffix in SUFFIXES[kind]}


@pytest.fixture(scope="module")
def scrapes(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """What both kinds of process tell, of a service that has done something."""
    log, port = Path(tmp_path_factory.mktemp("worker")) / "log", free_port()

    def of_worker() -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    with Service(module_database.settings(web_workers=1)) as service:
        service.database = module_database
        service.person().execution()
        with worker(module_database.settings(), log, WORKER_PORT=port):
            eventually(lambda: "ccb_webhook_due" in of_worker(), "the worker tells of itself", 30)
            told = eventually(lambda: told_maintenance(service), "maintenance is told of", 30)
            yield [told, of_worker()]


def told_maintenance(service: Service) -> str:
    """A scrape of the web processes, once a worker has maintained something."""
    text = service.client().get("!/metrics").body.decode()
    return text if "ccb_maintenance_age_seconds{" in text else ""


@pytest.fixture(scope="module")
def scraped(scrapes: list[str]) -> set[str]:
    """The metrics that they hold."""
    return names_scraped(scrapes[0]) | names_scraped(scrapes[1])


def test_the_labels_of_the_alerts_are_told(scrapes: list[str]) -> None:
    told = labels_scraped(scrapes[0]) | labels_scraped(scrapes[1])
    checked = set()
    for expression in [alert["expr"] for alert in alerts()] + [
        target["expr"] for panel in panels() for target in panel["targets"]
    ]:
        for name, labels in labels_in(expression).items():
            if name in told:
                assert labels <= told[name], expression
                checked.add(name)
    assert {
        "ccb_http_requests_total", "ccb_http_request_seconds_bucket", "ccb_maintenance_age_seconds",
        "ccb_executions_last_hour",
    } <= checked  # fmt: skip


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


def test_every_alert_is_tested() -> None:
    """Each is seen to fire, and seen not to."""
    for expected in (True, False):
        tested = {
            each["alertname"]
            for test in yaml.safe_load(RULE_TESTS.read_text("utf-8"))["tests"]
            for each in test["alert_rule_test"]
            if bool(each.get("exp_alerts")) == expected
        }
        assert tested == {alert["alert"] for alert in alerts()}


needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool, which Debian's prometheus package carries"
)


def promtool(*arguments: str, given: str | None = None) -> None:
    done = subprocess.run(["promtool", *arguments], input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
@pytest.mark.parametrize(
    "arguments",
    [("check", "rules", str(RULES)), ("check", "config", str(CONFIGURATION)), ("test", "rules", str(RULE_TESTS))],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_promtool_finds_no_fault(arguments: tuple[str, ...]) -> None:
    promtool(*arguments)


@needs_promtool
def test_promtool_reads_what_is_told(scrapes: list[str]) -> None:
    for text in scrapes:
        promtool("check", "metrics", given=text)
