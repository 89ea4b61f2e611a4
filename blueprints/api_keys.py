"""API keys."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response

from database import Row, statement, transaction
from repositories.api_keys import ApiKeys
from schemas.api_keys import ApiKey, ApiKeyChange, ApiKeyCreate, ApiKeyFilters, NewApiKey, Rotation
from schemas.lists import Single, Sparse
from security.api_keys import new_api_key, shown_prefix
from web.answers import created, expected_versions, no_content, secret, single
from web.blueprint import Blueprint
from web.caller import caller, digest
from web.history import past
from web.paging import page

blueprint = Blueprint("api-keys", __name__, url_prefix="/api-keys", description="API keys of services.")


@blueprint.get("")
@blueprint.arguments(ApiKeyFilters, location="query")
@blueprint.page(ApiKey)
def list_api_keys(query: dict[str, Any]) -> Response:
    """List one's keys, and those of organizations whose keys one manages."""
    with statement(caller()) as connection:
        return page(ApiKeys(connection).find, query)


@blueprint.post("")
@blueprint.arguments(ApiKeyCreate)
@blueprint.response(201, NewApiKey)
def create_api_key(body: dict[str, Any]) -> Response:
    """Create a key, shown this once."""
    key = new_api_key()
    with statement(caller()) as connection:
        row = ApiKeys(connection).create(key_hash=digest(key), key_prefix=shown_prefix(key), **body)
    return _shown(row, key)


@blueprint.get("/self")
@blueprint.arguments(Sparse, location="query")
@blueprint.response(200, ApiKey)
def get_current_api_key(query: dict[str, Any]) -> Response:
    """Get the key that the request comes with."""
    with statement(caller()) as connection:
        return single(ApiKeys(connection).get_current())


@blueprint.get("/<uuid:api_key_id>")
@blueprint.arguments(Single, location="query")
@blueprint.response(200, ApiKey)
def get_api_key(query: dict[str, Any], api_key_id: UUID) -> Response:
    """Get a key, without its secret."""
    with statement(caller()) as connection:
        if query["as_of"] is not None:
            return past(connection, ApiKey, "api_key", api_key_id, query["as_of"])
        return single(ApiKeys(connection).get(api_key_id, include_deleted=query["include_deleted"]))


@blueprint.patch("/<uuid:api_key_id>")
@blueprint.arguments(ApiKeyChange)
@blueprint.response(200, ApiKey)
def change_api_key(body: dict[str, Any], api_key_id: UUID) -> Response:
    """Change a key by a JSON merge patch."""
    with transaction(caller()) as connection:
        return single(ApiKeys(connection).update(api_key_id, expected_versions(), body))


@blueprint.post("/<uuid:api_key_id>/rotate")
@blueprint.arguments(Rotation, required=False)
@blueprint.response(201, NewApiKey)
def rotate_api_key(body: dict[str, Any], api_key_id: UUID) -> Response:
    """Make a key's successor; the old key goes on for the overlap."""
    key = new_api_key()
    with transaction(caller()) as connection:
        row = ApiKeys(connection).rotate(api_key_id, key_hash=digest(key), key_prefix=shown_prefix(key), **body)
    return _shown(row, key)


@blueprint.delete("/<uuid:api_key_id>")
@blueprint.response(204)
def revoke_api_key(api_key_id: UUID) -> Response:
    """Revoke a key: it stops working with the next request."""
    with transaction(caller()) as connection:
        ApiKeys(connection).revoke(api_key_id, expected_versions())
    return no_content()


def _shown(row: Row, key: str) -> Response:
    return secret(created({**row, "key": key}, f"/api/v1/api-keys/{row['id']}"))
