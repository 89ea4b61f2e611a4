"""The page for operators in a real browser that has no network: empty, busy, and with much that is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Database
from tests.service import PASSWORD, Person, Service
from tests.waiting import eventually
from tests.web.browser import CHROMIUM, DRIVER, Browser
from tests.web.operations_states import busy, in_trouble, operator

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs a browser: apt-get install chromium chromium-driver"
)

# contrast of text with what is behind it, as WCAG 2.2 measures it: what is below 4.5
FAINT = """(() => {
  const light = c => { const v = c / 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 };
  const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
  const colour = text => text.match(/[\\d.]+/g).map(Number);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = colour(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const contrast = e => {
    const both = [luminance(colour(getComputedStyle(e).color)), luminance(behind(e))];
    return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
  };
  const hasText = e => [...e.childNodes].some(each => each.nodeType === 3 && each.data.trim());
  return [...document.querySelectorAll('body *')].filter(hasText).filter(e => contrast(e) < 4.5)
    .map(e => `${e.tagName} ${e.className}: ${e.textContent.slice(0, 40)}`);
})()"""
# what reaches beyond the window, where it cannot be scrolled to by itself
CUT_OFF = """[...document.querySelectorAll('body *')]
  .filter(e => !e.closest('.scroll, svg'))
  .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map(e => `${e.tagName} ${e.className}`)"""
ORDER = "[...document.querySelectorAll('h1, h2, h3')].map(e => e.tagName)"


def empty(service: Service, person: Person) -> None:
    """A new installation."""


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        (empty, "2 things need a look"),
        (lambda service, person: busy(service), "All is well"),
        (in_trouble, "11 things need a look"),
    ],
    ids=["empty", "busy", "in_trouble"],
)
def test_at_a_glance(
    database: Database, tmp_path: Path, state: Callable[[Service, Person], None], verdict: str
) -> None:
    with Service(database.settings(web_workers=1)) as service, Browser() as browser:
        service.database = database
        person = operator(service)
        state(service, person)
        origin = f"http://127.0.0.1:{service.port}"

        browser.open(f"{origin}/ops/login")
        browser.screenshot(tmp_path / "sign_in.png")
        browser.write("#email", person.email)
        browser.write("#password", PASSWORD)
        browser.click("main button")
        assert browser.text("#verdict").endswith(verdict)
        assert browser.evaluate("document.cookie") == ""  # of no script's business
        assert browser.evaluate(ORDER)[:2] == ["H1", "H2"]

        for width, scheme in ((1280, "light"), (1280, "dark"), (390, "light")):
            browser.look_like(width=width, scheme=scheme)
            browser.whole_page(tmp_path / f"{width}_{scheme}.png")
            assert browser.evaluate("document.documentElement.scrollWidth") <= width
            assert browser.evaluate(" ".join(CUT_OFF.split())) == []
            assert browser.evaluate(" ".join(FAINT.split())) == []
        browser.look_like(width=1280)

        browser.click(".choices a:last-child")
        assert browser.text("[aria-current]") == "14 days"
        if verdict != "All is well":
            browser.click(".findings summary")
            assert browser.evaluate("document.querySelector('.findings details').open")
        browser.click("[aria-label='Run cleanup-mail now']")
        assert browser.text(".state.requested") == "requested"
        browser.click(".who button")
        eventually(lambda: browser.evaluate("location.pathname") == "/ops/login", "the session has ended")

        assert [entry for entry in browser.log("browser") if entry["level"] != "INFO"] == []
        noted = [json.loads(entry["message"])["message"] for entry in browser.log("performance")]
        asked = {each["params"]["request"]["url"] for each in noted if each["method"] == "Network.requestWillBeSent"}
        assert f"{origin}/ops/operators.css" in asked
        assert [url for url in asked if not url.startswith(f"{origin}/ops")] == []
