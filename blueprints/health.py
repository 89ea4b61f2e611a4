"""Whether the process is up and whether it can work: outside of the API, for balancers and supervisors."""

from __future__ import annotations

from flask import Blueprint, Response

from database import statement
from errors import Unavailable
from repositories.migrations import Migrations
from web.answers import json
from web.caller import anybody

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """The process is up."""
    return json({"status": "up"})


@blueprint.get("/readyz")
def readyz() -> Response:
    """The database can be reached and the schema is as new as the program."""
    with statement(anybody()) as connection:
        behind = Migrations(connection).behind()
    if behind:
        raise Unavailable(f"{behind} migrations have not run yet.")
    return json({"status": "ready"})
