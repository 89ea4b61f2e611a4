"""Links of the OpenAPI document: from what was just made to everything that can be done with it.

Readers see where a new resource leads, and what tests by the document finds its way through whole lives of resources.
"""

from __future__ import annotations

import re
from typing import Any

from web.openapi import answered_schema, operations

_PARAMETER = re.compile(r"{(\w+)}")


def add_links(seen: dict[str, Any], paths: dict[str, dict[str, Any]]) -> None:
    """Add links to every answer that says that something was made.

    :param seen: the document with its references resolved to names.
    :param paths: the paths of the same document, to be added to.
    """
    for path, method, operation in operations(seen):
        if method == "post" and "201" in operation["responses"] and (made := _path_of_made(seen, path, operation)):
            properties = seen["components"]["schemas"][answered_schema(operation)]["properties"]
            links = {
                target["operationId"]: {"operationId": target["operationId"], "parameters": parameters}
                for place, _, target in operations(seen)
                if (place == made or place.startswith(f"{made}/"))
                and (parameters := _parameters(path, made, place, target, properties))
            }
            paths[path][method]["responses"]["201"]["links"] = links


def _path_of_made(seen: dict[str, Any], path: str, operation: dict[str, Any]) -> str | None:
    """The path of one of what an operation makes: below its own, or else where the same is read."""
    schema = answered_schema(operation)
    below = [each for each in seen["paths"] if re.fullmatch(re.escape(path) + r"/{\w+}", each)]
    alike = [each for each, method, other in operations(seen) if method == "get" and answered_schema(other) == schema]
    return next((each for each in below + alike if each.endswith("}")), None)


def _parameters(
    path: str, made: str, place: str, target: dict[str, Any], properties: dict[str, Any]
) -> dict[str, str] | None:
    """What the target's parameters are; None where one of its path cannot be known."""
    own, given = _PARAMETER.findall(made)[-1], _PARAMETER.findall(path)
    known = {name: f"$request.path.{name}" for name in given}
    known[own] = f"$response.body#/{own if own in properties else 'id'}"
    needed = _PARAMETER.findall(place)
    if not known.keys() >= set(needed):
        return None
    headers = [each["name"] for each in target.get("parameters", []) if each.get("in") == "header"]
    guards = {"If-Match": "$response.header.ETag"} if "If-Match" in headers else {}
    return {name: known[name] for name in needed} | guards
