"""What all operations of a kind take and answer, written into the OpenAPI document once.

The kind is seen from the method, the path and the answer that a handler states: a page, a single resource with
a row version, something that is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import errors
from schemas.fields import EXAMPLE_ID
from web.descriptions import describe, example_of
from web.problems import CONTENT_TYPE, TYPE

EVENT_STREAM = "text/event-stream"
EXPORTED = {
    "application/x-ndjson": {
        "schema": {"type": "string"},
        "example": '{"id":"0b0f3f1e-6c58-4d3e-9a0e-5a1f6d1f0c11"}\n',
    },
    "text/csv": {"schema": {"type": "string"}, "example": "id\r\n0b0f3f1e-6c58-4d3e-9a0e-5a1f6d1f0c11\r\n"},
}

# the problems that operations share: status → the error whose code is the example, and what it means
PROBLEMS: dict[int, tuple[type[errors.DomainError], str]] = {
    400: (errors.MalformedRequest, "The request cannot be read"),
    401: (errors.Unauthenticated, "The credential is missing or not valid"),
    403: (errors.Forbidden, "The permission is missing"),
    404: (errors.NotFound, "Not there, or not for the caller's eyes"),
    409: (errors.Conflict, "It contradicts the state of things"),
    412: (errors.StaleVersion, "Changed meanwhile"),
    413: (errors.TooLarge, "The body is too large"),
    415: (errors.UnsupportedMediaType, "The body is not said to be JSON, or is compressed"),
    422: (errors.Invalid, "The input is not valid"),
    428: (errors.PreconditionRequired, "If-Match is missing"),
    429: (errors.RateLimited, "Too many requests"),
    503: (errors.Unavailable, "The database cannot be reached for the moment"),
}

EXAMPLE_REQUEST_ID = "5f3c1e0a9b7d4c2e8f6a1b3d5c7e9f01"

HEADERS = {
    "X-Request-Id": ("Names the request in logs: the one that was sent, or a new one.", EXAMPLE_REQUEST_ID),
    "RateLimit": ("What is left of the hour's budget, and the seconds until all of it is back.", '"hour";r=998;t=8'),
    "RateLimit-Policy": ("The hour's budget.", '"hour";q=1000;w=3600'),
    "Access-Control-Allow-Origin": ("For pages of the origins that CORS_ORIGINS names.", "https://app.example.org"),
    "Retry-After": ("Seconds to wait before the next try.", "3"),
    "ETag": ("The row's version, for If-Match and If-None-Match.", '"3"'),
    "Location": ("The path of what was made.", "/api/v1/integrations/0b0f3f1e-6c58-4d3e-9a0e-5a1f6d1f0c11"),
    "Link": ("Leads to the next page.", '<https://example.org/api/v1/integrations?cursor=WyIv>; rel="next"'),
    "Idempotent-Replayed": ("`true` where this is the first answer again.", "true"),
    "WWW-Authenticate": ("The scheme to authenticate with.", 'Bearer realm="claude-code-bot"'),
}  # fmt: skip

IF_MATCH = "The ETag that was read, or * for any version."


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each operation of an OpenAPI document with its path and method."""
    for path, item in document["paths"].items():
        for method in ("get", "post", "put", "patch", "delete"):
            if method in item:
                yield path, method, item[method]


def header_components() -> dict[str, dict[str, Any]]:
    """The answers' headers, as components."""
    return {
        name: {"description": description, "schema": {"type": "string", "maxLength": 8190}, "example": example}
        for name, (description, example) in HEADERS.items()
    }


def complete(
    path: str, method: str, seen: dict[str, Any], operation: dict[str, Any], schemas: dict[str, dict[str, Any]]
) -> None:
    """Add to an operation what all of its kind take and answer.

    :param seen: the operation with its references resolved to names.
    :param operation: the same operation, to be added to.
    :param schemas: the document's schemas.
    """
    public = operation.get("security") == []
    parameters = operation.setdefault("parameters", [])
    answered = answered_schema(seen)
    for parameter in parameters:
        _tidy(parameter)
        if parameter["name"] == "fields":
            _enumerate(parameter, schemas, answered)
    statuses = {429, 503}
    if not public:
        statuses |= {401, 403}
    if "{" in path or (method == "post" and not public):
        statuses.add(404)
    if "requestBody" in operation:
        statuses |= {400, 413, 415, 422}
    if method == "get":
        statuses.add(422)  # of a query parameter
    if method == "post":
        statuses.add(409)
    properties = schemas.get(answered, {}).get("properties", {})
    exporting = operation.pop("x-export", False)
    versioned = not exporting and any(
        properties.get(name, {}).get("type") == "integer" for name in ("version", "version_number")
    )
    listing = "next_cursor" in properties
    if listing:
        statuses |= {400, 422}
    if EVENT_STREAM in seen["responses"].get("200", {}).get("content", {}):
        parameters.append(_header("Last-Event-ID", "Id of the last event that was received.", example="WyIvIl0.Qm9iCg"))
        statuses.add(400)
    if method == "get" and versioned:
        parameters.append(_header("If-None-Match", "The ETag of what the caller has already.", example='"3"'))
        parameters[-1]["schema"] = {"type": "string"}  # what is no ETag is nobody's ETag
        operation["responses"]["304"] = {"description": "What the caller has is current"}
    if method == "post" and operation.pop("x-idempotent", False):
        parameters.append(
            _header("Idempotency-Key", "Makes the request safe to repeat for 24 hours.", example="order-7")
        )
        parameters[-1]["schema"]["pattern"] = "^[ -~]+$"
        statuses |= {413, 422}
    if operation.pop("x-conditional", False):
        parameters.append(_header("If-Match", f"{IF_MATCH} May be left out.", example='"3"'))
        statuses.add(412)
    elif method in ("patch", "put", "delete") and "/sessions" not in path:
        parameters.append(_header("If-Match", IF_MATCH, required=True, example='"3"'))
        statuses |= {409, 412, 428}
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]
        content["application/json"]["example"] = _example(schemas[_referenced(seen["requestBody"])])
        if method == "patch":
            # a second content type beside it would make two bodies of one in generated clients
            operation["requestBody"]["description"] = (
                "A JSON merge patch (RFC 7396); application/merge-patch+json is accepted as well."
            )
    for status in sorted(statuses):
        operation["responses"][str(status)] = _problem(status)
    operation["responses"]["default"] = _problem(500)
    if exporting:
        operation["responses"]["200"] = {"description": f"A line for each {answered}", "content": EXPORTED}
    _add_headers(operation["responses"], public=public, versioned=versioned, listing=listing)
    for success in ("200", "201", "202", "207"):
        content = operation["responses"].get(success, {}).get("content", {})
        if "application/json" in content and answered in schemas:
            content["application/json"]["example"] = example_of(answered, schemas)
    operation["description"] = describe(method, operation, listing=listing)


def answered_schema(seen: dict[str, Any]) -> str:
    """The name of the schema of the answer that means success."""
    successes = [seen["responses"][status] for status in ("200", "201", "202", "207") if status in seen["responses"]]
    return next((_referenced(each) for each in successes if "application/json" in each.get("content", {})), "")


def _referenced(message: dict[str, Any]) -> str:
    """The name of the schema of a request's or an answer's JSON."""
    return str(message["content"]["application/json"]["schema"]["$ref"]).rpartition("/")[2]


def _example(schema: dict[str, Any]) -> dict[str, Any]:
    """A body that works as it is: without what refers to something else or may be null."""
    return {
        name: field["example"]
        for name, field in schema["properties"].items()
        if (name in schema.get("required", ()) or not name.endswith("_id"))
        and not field.get("nullable")
        and not field.get("readOnly")
    }


def _add_headers(responses: dict[str, Any], *, public: bool, versioned: bool, listing: bool) -> None:
    for status, response in responses.items():
        names = ["X-Request-Id"]
        names += ["RateLimit", "RateLimit-Policy", "Access-Control-Allow-Origin"]
        if status == "401":
            names.append("WWW-Authenticate")
        if status in ("429", "503"):
            names.append("Retry-After")
        if status in ("200", "201", "202", "304") and versioned:
            names.append("ETag")
        if status in ("201", "202"):
            names.append("Location")
        if status in ("200", "201", "202", "207") and not public:
            names.append("Link" if listing else "Idempotent-Replayed")
        response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _tidy(parameter: dict[str, Any]) -> None:
    """What a filter is when it is left out is nothing that could be sent."""
    schema = parameter.get("schema", {})
    if schema.get("default", ...) is None:
        del schema["default"]
        schema.pop("nullable", None)


def _enumerate(parameter: dict[str, Any], schemas: dict[str, dict[str, Any]], answered: str) -> None:
    """Say which fields an answer has, or a page's items."""
    properties = schemas[answered]["properties"]
    if "next_cursor" in properties:
        properties = schemas[properties["items"]["items"]["$ref"].rpartition("/")[2]]["properties"]
    items = {"type": "string", "enum": sorted(properties)}
    parameter |= {"style": "form", "explode": False, "example": ["id" if "id" in properties else min(properties)]}
    parameter["schema"] = {
        "type": "array",
        "items": items,
        "minItems": 1,
        "maxItems": len(properties),
        "uniqueItems": True,
    }


# path parameters that are names
NAMES = {"permission_name": "integrations:read", "role": "developer", "event_type": "integration.created"}


def describe_path_parameter(parameter: dict[str, Any]) -> None:
    """Say what a path parameter is: its name tells."""
    name = parameter["name"]
    noun = name.removesuffix("_id").removesuffix("_name").replace("_", " ")
    parameter.setdefault("description", f"{'Name' if name in NAMES else 'Identifier'} of the {noun}.")
    known = NAMES.get(name, "rest-api")
    parameter.setdefault("example", EXAMPLE_ID if parameter["schema"].get("format") == "uuid" else known)


def _header(name: str, description: str, *, required: bool = False, example: str) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1, "maxLength": 255}
    return {
        "in": "header",
        "name": name,
        "required": required,
        "description": description,
        "schema": schema,
        "example": example,
    }


def _problem(status: int) -> dict[str, Any]:
    error, description = PROBLEMS.get(status, (None, "A problem"))
    if error is None:
        code, title = "internal_error", "Internal error"
    else:
        code, title = error.code, error.title
    example = {
        "type": TYPE + code,
        "title": title,
        "status": status,
        "detail": f"{description}.",
        "instance": "/api/v1/integrations",
        "code": code,
        "request_id": EXAMPLE_REQUEST_ID,
    }
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
    return {"description": f"{description} (`{code}`)", "content": {CONTENT_TYPE: content}}
