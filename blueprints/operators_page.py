"""The page for operators, outside of the API: how the service is, at a glance."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request, send_from_directory, url_for

from database import statement, transaction
from repositories.operations import Operations
from repositories.sessions import Sessions
from schemas.auth import Login
from schemas.operations import MaintenanceRunCreate
from web.blueprint import check
from web.caller import anybody, known
from web.documentation_page import STATIC
from web.operators_page import access
from web.operators_page.pages import HEADERS, TEMPLATES, as_page, sign_in_page, state_page
from web.operators_page.reading import read
from web.operators_page.trends import PERIODS
from web.signing_in import sign_in

ASSETS = ("operators.css", "operators.svg")

blueprint = Blueprint("operators_page", __name__, url_prefix="/ops", template_folder=str(TEMPLATES))
blueprint.after_request(access.set_cookie)
blueprint.after_request(as_page)


@blueprint.get("")
def state() -> Response:
    """How the service is."""
    return known(_state, access.operator)()


@blueprint.get("/login")
def login() -> Response:
    """The form to sign in with."""
    return sign_in_page()


@blueprint.post("/login")
def begin_session() -> Response:
    """Sign in: as over the API, with its throttling and its record."""
    return known(_begin_session, anybody)()


@blueprint.post("/logout")
def end_session() -> Response:
    """Sign out."""
    return known(_end_session, access.operator)()


@blueprint.post("/maintenance-runs")
def run_maintenance() -> Response:
    """Have a maintenance task done now."""
    return known(_run_maintenance, access.operator)()


@blueprint.get("/<path:name>")
def asset(name: str) -> Response:
    """What the page loads."""
    if name not in ASSETS:
        abort(404)
    answer = send_from_directory(STATIC, name, max_age=3600)
    answer.headers.update({key: value for key, value in HEADERS.items() if key != "Cache-Control"})
    return answer


def _state() -> Response:
    period = PERIODS.get(request.args.get("hours", 24, int), PERIODS[24])
    reading = read(access.present().identity, period)
    return state_page(reading, refreshes="refresh" in request.args)


def _begin_session() -> Response:
    access.expect_own_form()
    given = check(Login(), {name: request.form.get(name, "") for name in ("email", "password")})
    access.keep(sign_in(given["email"], given["password"]))
    return _back()


def _end_session() -> Response:
    access.expect_own_form()
    with statement(access.present().identity) as connection:
        Sessions(connection).end_current()
    access.forget()
    return _back("operators_page.login")


def _run_maintenance() -> Response:
    access.expect_own_form()
    given = check(MaintenanceRunCreate(), {"task": request.form.get("task", "")})
    with transaction(access.present().identity) as connection:
        Operations(connection).request_run(given["task"])
    return _back(anchor="maintenance")


def _back(endpoint: str = "operators_page.state", anchor: str | None = None) -> Response:
    return Response(status=303, headers={**HEADERS, "Location": url_for(endpoint, _anchor=anchor)})
