"""The OpenAPI document and the page that shows it.

What every operation of a kind has in common is not repeated in the handlers: it is written into the document
here, from the method and the answers that a handler states.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import flask_smorest
from flask import Flask

from schemas.problems import Problem
from web.blueprint import Blueprint

PREFIX = "/api/v1"
PUBLIC = {"/api/v1/auth/register", "/api/v1/auth/login", "/api/v1/auth/refresh"}

DESCRIPTION = """\
Where teams keep their integrations and move them from draft to active.

Send an API key (`Authorization: Bearer ccb_…` or `X-API-Key`) or a person's access token. Lists are read page by
page with `cursor`; a resource's `ETag` goes into `If-Match` of what changes it; an `Idempotency-Key` makes a POST safe
to repeat. Errors are problem documents (RFC 9457).
"""


class Api(flask_smorest.Api):
    """flask-smorest without its error handler, which is not problem+json and drops headers."""

    ERROR_SCHEMA = Problem

    def _register_error_handlers(self) -> None:
        """Errors are answered by `web/problems.py`."""


def register(app: Flask, blueprints: Sequence[Blueprint]) -> None:
    """Register the resources below /api/v1 and document them."""
    app.config.update(
        API_TITLE="Claude Code Bot control plane",
        API_VERSION="v1",
        OPENAPI_VERSION="3.0.3",
        OPENAPI_URL_PREFIX="/",
        OPENAPI_JSON_PATH="openapi.json",
        API_SPEC_OPTIONS={
            "info": {"description": DESCRIPTION, "license": {"name": "Proprietary"}},
            "servers": [{"url": "/", "description": "This service"}],
        },
    )
    api = Api(app)
    schemes = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "An API key or an access token."},
        "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
    }
    for name, scheme in schemes.items():
        api.spec.components.security_scheme(name, scheme)
    for blueprint in blueprints:
        api.register_blueprint(blueprint, url_prefix=PREFIX + (blueprint.url_prefix or ""))
    api.spec.options["security"] = [{name: []} for name in schemes]
    for path, method, operation in operations(api.spec.to_dict()):
        _complete(path, method, operation, api.spec._paths[path][method])


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each operation of an OpenAPI document with its path and method."""
    for path, item in document["paths"].items():
        for method in ("get", "post", "put", "patch", "delete"):
            if method in item:
                yield path, method, item[method]


def _header(name: str, description: str, *, required: bool = False, example: str) -> dict[str, Any]:
    return {
        "in": "header",
        "name": name,
        "required": required,
        "description": description,
        "schema": {"type": "string"},
        "example": example,
    }


def _complete(path: str, method: str, seen: dict[str, Any], operation: dict[str, Any]) -> None:
    """Add what all operations of this kind take and answer."""
    public = path in PUBLIC
    parameters = operation.setdefault("parameters", [])
    problems = {"429": "Too many requests", "503": "The database cannot be reached for the moment", "default": "A problem"}
    if public:
        operation["security"] = []
    else:
        problems |= {"401": "The credential is missing or not valid", "403": "The permission is missing"}
    if "{" in path or method == "post":
        problems["404"] = "Not there, or not for the caller's eyes"
    if "requestBody" in operation:
        problems |= {"400": "The body is not JSON", "413": "The body is too large", "415": "The body is not said to be JSON"}
        problems["422"] = "The input is not valid"
    if method == "get":
        problems["422"] = "A query parameter is not valid"
        if any(parameter.get("name") == "cursor" for parameter in seen.get("parameters", [])):
            problems["400"] = "The cursor is not valid"
    if method == "post":
        problems["409"] = "It contradicts the state of things"
        if not path.startswith(PREFIX + "/auth/"):
            parameters.append(_header("Idempotency-Key", "Makes the request safe to repeat for 24 hours.", example="order-7"))
            problems["422"] = "The input is not valid, or the Idempotency-Key was used for another"
    if method in ("patch", "put", "delete") and "/sessions" not in path:
        parameters.append(
            _header("If-Match", "The ETag that was read, or * for any version.", required=True, example='"3"')
        )
        problems |= {"409": "It contradicts the state of things", "412": "Changed meanwhile", "428": "If-Match is missing"}
    for status, description in problems.items():
        operation["responses"].setdefault(status, _problem(description))
        if "content" not in operation["responses"][status]:
            operation["responses"][status] = _problem(description)


def _problem(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
