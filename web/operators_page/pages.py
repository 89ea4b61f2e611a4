"""Answers as HTML, with headers that let in nothing from elsewhere, no script at all among it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import orjson
from flask import Response, current_app, render_template, request

from web.operators_page import access, words
from web.operators_page.findings import findings
from web.operators_page.reading import Reading
from web.operators_page.trends import PERIODS
from web.operators_page.view import view
from web.problems import CONTENT_TYPE

TEMPLATES = Path(__file__).parent / "templates"
REFRESH = 30  # seconds between two looks of a page that is to look by itself

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # with no-referrer browsers would not say where a form comes from either
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

logger = logging.getLogger("ccb.operators_page")


def state_page(reading: Reading, *, refreshes: bool) -> Response:
    """The page itself.

    :param refreshes: whether the browser is to load it again every half minute.
    """
    found = findings(reading)
    answer = _page(
        "state.html",
        reading=reading,
        now=reading.at,
        findings=found,
        wrong={finding.section for finding in found},
        operator=access.present(),
        periods=PERIODS.values(),
        refreshes=refreshes,
        **view(reading),
    )
    if refreshes:
        answer.headers["Refresh"] = str(REFRESH)
    return answer


def sign_in_page(message: str = "", status: int = 200) -> Response:
    """The form to sign in with.

    :param message: why it is shown.
    """
    return _page("sign_in.html", status, message=message, email=request.form.get("email", ""))


def as_page(answer: Response) -> Response:
    """Turn a problem into a page for whoever asked for one; anything else is left as it is."""
    if answer.content_type != CONTENT_TYPE or not _wants_page():
        return answer
    problem = orjson.loads(answer.get_data())
    status = problem["status"]
    if status in (401, 422, 429) and (status == 401 or request.method == "POST"):
        page = sign_in_page(_reason(problem, answer), status)
    elif status == 503:
        page = _page("unavailable.html", status, problem=problem, known=_what_is_known(), seconds=REFRESH)
        page.headers["Refresh"] = str(REFRESH)
    else:
        page = _page("problem.html", status, problem=problem, operator=access.found())
    for name, value in page.headers.items():
        answer.headers[name] = value
    answer.set_data(page.get_data())
    return answer


def _wants_page() -> bool:
    return request.accept_mimetypes.best_match([CONTENT_TYPE, "text/html"]) == "text/html"


def _reason(problem: dict[str, Any], answer: Response) -> str:
    if "Retry-After" in answer.headers:
        return f"{problem['detail']} Try again in {words.duration(float(answer.headers['Retry-After']))}."
    if problem["status"] == 422:
        return "Type in the address and the password."
    return str(problem["detail"])


def _what_is_known() -> dict[str, Any] | None:
    """What the process can tell without the database, to those who have been let in before."""
    if not access.is_known():
        return None
    answers = current_app.extensions["monitoring"].answers()
    return {"pool": current_app.extensions["pool"].statistics(), "answers": sorted(answers.items())}


def _page(template: str, status: int = 200, **values: Any) -> Response:
    text = render_template(f"ops/{template}", words=words, **values)
    return Response(text, status, headers=HEADERS, content_type="text/html; charset=utf-8")
