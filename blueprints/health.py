"""Whether the process is up and whether it can work: outside of the API, for balancers, supervisors and
Prometheus."""

from __future__ import annotations

from flask import Blueprint, Response, current_app

from database import statement
from errors import Unavailable
from repositories.migrations import Migrations
from web.answers import json
from web.caller import nobody
from web.monitoring import expect_scraper, metrics

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """The process is up."""
    return json({"status": "up"})


@blueprint.get("/readyz")
def readyz() -> Response:
    """The database can be reached and the schema is as new as the program."""
    with statement(nobody()) as connection:
        behind = Migrations(connection).behind()
    if behind:
        raise Unavailable(f"{behind} migrations have not run yet.")
    return json({"status": "ready"})


@blueprint.get("/metrics")
def scrape() -> Response:
    """What Prometheus asks for."""
    expect_scraper()
    return metrics(current_app.extensions["monitoring"])
