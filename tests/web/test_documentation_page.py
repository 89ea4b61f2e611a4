"""The documentation page in a real browser that has no network: only what the service gives can be shown."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.service import Client, Person
from tests.waiting import eventually
from tests.web.browser import CHROMIUM, DRIVER, Browser

needs_chromium = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs a browser: apt-get install chromium chromium-driver"
)


@needs_chromium
def test_try_it_out_with_an_api_key(ann: Person, tmp_path: Path) -> None:
    key = ann.key("integrations:read").headers["X-API-Key"]
    name = ann.integration(name="Shown in the page")["name"]
    origin = f"http://127.0.0.1:{ann.client.port}/"
    operation = "#operations-integrations-list_integrations"
    with Browser() as browser:
        browser.open(f"{origin}docs")
        browser.find(".opblock-tag-section")
        assert "Claude Code Bot control plane" in browser.text(".title")

        browser.click(".btn.authorize")
        browser.write(".auth-container input", key)
        browser.click(".auth-btn-wrapper .authorize")
        browser.click(".auth-btn-wrapper .btn-done")

        browser.click("#operations-tag-integrations")
        browser.click(f"{operation} .opblock-summary-control")
        browser.click(f"{operation} .try-out__btn")
        browser.click(f"{operation} .execute")
        status = f"{operation} .live-responses-table .response .response-col_status"
        eventually(lambda: browser.text(status).startswith("200"), "the answer is shown")
        assert name in browser.text(f"{operation} .live-responses-table .highlight-code")
        browser.screenshot(tmp_path / "documentation.png")

        assert [entry for entry in browser.log("browser") if entry["level"] != "INFO"] == []
        noted = [json.loads(entry["message"])["message"] for entry in browser.log("performance")]
        asked = [each["params"]["request"]["url"] for each in noted if each["method"] == "Network.requestWillBeSent"]
        assert f"{origin}openapi.json" in asked
        assert [url for url in asked if not url.startswith((origin, "data:"))] == []


def test_the_page_loads_nothing_from_elsewhere(client: Client) -> None:
    page = client.get("!/docs")
    assert page.status == 200
    assert page.headers.get_content_type() == "text/html"
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "http" not in policy
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.body.decode())
    assert len(loaded) == 5
    for path in loaded:
        assert path.startswith("docs/")
        asset = client.get(f"!/{path}")
        assert asset.status == 200
        assert asset.headers["X-Content-Type-Options"] == "nosniff"
        assert client.get(f"!/{path}", headers={"If-None-Match": asset.etag}).status == 304


@pytest.mark.parametrize(
    "path", ["/docs/", "/docs/index.html", "/docs/../config.py", "/docs/%2e%2e%2fconfig.py", "/docs/a/b"]
)
def test_nothing_else_is_served(client: Client, path: str) -> None:
    answer = client.get(f"!{path}")
    assert answer.status == 404
    assert answer.code == "not_found"
