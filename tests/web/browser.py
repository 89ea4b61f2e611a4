"""Headless Chromium, driven through chromedriver by the WebDriver protocol (https://www.w3.org/TR/webdriver2/)."""

from __future__ import annotations

import base64
import http.client
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.service import free_port
from tests.waiting import eventually

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the protocol's own name of a reference to an element
# it resolves no name and asks no proxy: every host but the service's is out of reach
_ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1280,1600",
    "--disable-background-networking", "--no-first-run", "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip


class Browser:
    """One browser without a network."""

    def __enter__(self) -> Browser:
        self._port = free_port()
        self._driver = subprocess.Popen([str(DRIVER), f"--port={self._port}"], stdout=subprocess.DEVNULL)
        self._session = ""
        try:
            eventually(self._is_up, "chromedriver is up")
            options = {"binary": CHROMIUM, "args": list(_ARGUMENTS)}
            logs = {"browser": "ALL", "performance": "ALL"}
            wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": logs}
            made = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
            self._session = f"/session/{made['sessionId']}"
        except BaseException:
            self._driver.kill()
            self._driver.wait()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._ask("DELETE", self._session)
        self._driver.terminate()
        self._driver.wait()

    def open(self, url: str) -> None:
        """Open a page."""
        self._ask("POST", f"{self._session}/url", {"url": url})

    def find(self, selector: str) -> str:
        """The first element that a CSS selector finds, once there is one."""
        return str(eventually(lambda: self.find_all(selector), selector)[0])

    def find_all(self, selector: str) -> list[str]:
        """The elements that a CSS selector finds."""
        found = self._ask("POST", f"{self._session}/elements", {"using": "css selector", "value": selector})
        return [each[_ELEMENT] for each in found]

    def click(self, selector: str) -> None:
        """Click an element."""
        self._ask("POST", f"{self._session}/element/{self.find(selector)}/click", {})

    def write(self, selector: str, text: str) -> None:
        """Type into an element, after emptying it."""
        element = self.find(selector)
        self._ask("POST", f"{self._session}/element/{element}/clear", {})
        self._ask("POST", f"{self._session}/element/{element}/value", {"text": text})

    def text(self, selector: str) -> str:
        """What an element shows."""
        return str(self._ask("GET", f"{self._session}/element/{self.find(selector)}/text"))

    def log(self, kind: str) -> list[dict[str, Any]]:
        """What `browser` (the console) or `performance` (the network, among others) have noted since the last time."""
        return list(self._ask("POST", f"{self._session}/se/log", {"type": kind}))

    def evaluate(self, expression: str) -> Any:
        """What an expression of JavaScript gives, in the page."""
        return self._ask("POST", f"{self._session}/execute/sync", {"script": f"return {expression}", "args": []})

    def look_like(self, *, width: int, scheme: str = "light") -> None:
        """Be as wide as this, and prefer a `light` or a `dark` scheme of colours."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self._command("Emulation.setDeviceMetricsOverride", size)
        scheme_feature = {"name": "prefers-color-scheme", "value": scheme}
        self._command("Emulation.setEmulatedMedia", {"features": [scheme_feature]})

    def whole_page(self, path: Path) -> None:
        """Keep a picture of all of the page, also of what is below the window."""
        path.write_bytes(
            base64.b64decode(self._command("Page.captureScreenshot", {"captureBeyondViewport": True})["data"])
        )

    def screenshot(self, path: Path) -> None:
        """Keep a picture of the page."""
        path.write_bytes(base64.b64decode(self._ask("GET", f"{self._session}/screenshot")))

    def _command(self, name: str, parameters: dict[str, Any]) -> Any:
        return self._ask("POST", f"{self._session}/goog/cdp/execute", {"cmd": name, "params": parameters})

    def _is_up(self) -> bool:
        try:
            return bool(self._ask("GET", "/status")["ready"])
        except OSError:
            return False

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            value = json.loads(answer.read())["value"]
            assert answer.status == 200, value
            return value
        finally:
            connection.close()
