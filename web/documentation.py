"""The OpenAPI document and the page that shows it."""

from __future__ import annotations

from collections.abc import Sequence

import flask_smorest
from flask import Flask

from schemas.problems import Problem
from web import documentation_page
from web.blueprint import Blueprint
from web.bounds import bound
from web.links import add_links
from web.openapi import complete, describe_path_parameter, header_components, operations

PREFIX = "/api/v1"

DESCRIPTION = """\
Where teams keep their integrations and move them from draft to active.

Send an API key (`Authorization: Bearer ccb_…` or `X-API-Key`) or a person's access token. Lists are read page by
page with `cursor`; a resource's `ETag` goes into `If-Match` of what changes it; an `Idempotency-Key` makes a POST safe
to repeat. Errors are problem documents (RFC 9457).

What is sent is kept as it is, or refused: integers of more than 64 bits and numbers that would become 0
(send them as text), and names of nothing but white space. White space around a name stays.

With `fields` an answer holds only these; what a schema calls required is required of complete answers.
"""


class Api(flask_smorest.Api):
    """flask-smorest without its error handler, which is not problem+json and drops headers."""

    ERROR_SCHEMA = Problem

    def _register_error_handlers(self) -> None:
        """Errors are answered by `web/problems.py`."""


def register(app: Flask, blueprints: Sequence[Blueprint]) -> None:
    """Register the resources below /api/v1 and document them at /openapi.json and /docs."""
    app.config.update(
        API_TITLE="Claude Code Bot control plane",
        API_VERSION="v1",
        OPENAPI_VERSION="3.0.3",
        OPENAPI_URL_PREFIX="/",
        OPENAPI_JSON_PATH="openapi.json",
        API_SPEC_OPTIONS={
            "info": {
                "description": DESCRIPTION,
                "license": {"name": "Proprietary"},
                "contact": {"name": "Whoever runs this service"},
            },
            "servers": [{"url": "/", "description": "This service, production or local", "x-internal": False}],
        },
    )
    app.url_map.merge_slashes = False  # a doubled slash is another path, not one to be sent on from
    api = Api(app)
    schemes = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "An API key or an access token."},
        "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
    }
    for name, scheme in schemes.items():
        api.spec.components.security_scheme(name, scheme)
    for name, header in header_components().items():
        api.spec.components.header(name, header)
    for blueprint in blueprints:
        api.register_blueprint(blueprint, url_prefix=PREFIX + (blueprint.url_prefix or ""))
    del api.spec.components.schemas["PaginationMetadata"]  # of flask-smorest's own paging, which is not used
    api.spec.components.responses.clear()  # of its own errors
    api.spec.options["security"] = [{name: []} for name in schemes]
    document = api.spec.to_dict()
    for path, method, operation in operations(document):
        complete(path, method, operation, api.spec._paths[path][method], document["components"]["schemas"])
    add_links(api.spec.to_dict(), api.spec._paths)
    for path in api.spec._paths.values():
        for parameter in path.get("parameters", []):
            describe_path_parameter(parameter)
            bound(parameter["schema"])
        for operation in (each for each in path.values() if isinstance(each, dict)):
            for parameter in operation.get("parameters", []):
                bound(parameter.get("schema", {}))
            for response in operation["responses"].values():
                for content in response.get("content", {}).values():
                    if isinstance(content["schema"], dict):
                        bound(content["schema"])
    for schema in api.spec.components.schemas.values():
        bound(schema)
        for value in schema.get("properties", {}).values():
            if not value.keys() & {"type", "$ref", "allOf"}:
                value.pop("nullable", None)  # what has no type may be null as well, and OpenAPI wants a type beside it
    app.register_blueprint(documentation_page.blueprint)
