"""Webhooks."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response

from database import Row, statement, transaction
from repositories.webhook_deliveries import WebhookDeliveries
from repositories.webhooks import Webhooks
from schemas.lists import Single
from schemas.webhooks import (
    Enabling,
    NewWebhook,
    SecretRotation,
    Webhook,
    WebhookChange,
    WebhookCreate,
    WebhookFilters,
    WebhookHealth,
    WebhookOfMany,
)
from security.webhook_signatures import new_secret
from web.answers import created, expected_versions, json, no_content, secret, single
from web.blueprint import Blueprint
from web.bulk import Item, bulk, each
from web.caller import caller, cipher
from web.history import past
from web.paging import page

blueprint = Blueprint(
    "webhooks", __name__, url_prefix="/webhooks", description="Other systems hear of what happens to integrations."
)


@blueprint.get("")
@blueprint.arguments(WebhookFilters, location="query")
@blueprint.page(Webhook)
def list_webhooks(query: dict[str, Any]) -> Response:
    """List webhooks."""
    with statement(caller()) as connection:
        return page(Webhooks(connection).find, query)


@blueprint.post("")
@blueprint.arguments(WebhookCreate)
@blueprint.response(201, NewWebhook)
def create_webhook(body: dict[str, Any]) -> Response:
    """Create a webhook; its secret is shown this once."""
    with statement(caller()) as connection:
        row = _create(Webhooks(connection), **body)
    return secret(created(row, f"/api/v1/webhooks/{row['id']}"))


@blueprint.post("/bulk")
@bulk(blueprint, WebhookOfMany, create=WebhookCreate, change=WebhookChange, delete=True)
def bulk_webhooks(items: list[Item]) -> Response:
    """Create, change and delete up to 1,000 webhooks, each by itself; secrets of new ones are shown this once."""
    with transaction(caller()) as connection:
        webhooks = Webhooks(connection)
        create = partial(_create, webhooks)
        change, delete = webhooks.update, webhooks.delete
        return secret(each(connection, items, lock=webhooks.lock_many, create=create, change=change, delete=delete))


@blueprint.get("/<uuid:webhook_id>")
@blueprint.arguments(Single, location="query")
@blueprint.response(200, Webhook)
def get_webhook(query: dict[str, Any], webhook_id: UUID) -> Response:
    """Get a webhook, without its secret."""
    with statement(caller()) as connection:
        if query["as_of"] is not None:
            return past(connection, Webhook, "webhook", webhook_id, query["as_of"])
        return single(Webhooks(connection).get(webhook_id, include_deleted=query["include_deleted"]))


@blueprint.patch("/<uuid:webhook_id>")
@blueprint.arguments(WebhookChange)
@blueprint.response(200, Webhook)
def change_webhook(body: dict[str, Any], webhook_id: UUID) -> Response:
    """Change a webhook by a JSON merge patch."""
    with transaction(caller()) as connection:
        return single(Webhooks(connection).update(webhook_id, expected_versions(), body))


@blueprint.delete("/<uuid:webhook_id>")
@blueprint.response(204)
def delete_webhook(webhook_id: UUID) -> Response:
    """Delete a webhook; what waits for it is cancelled. It can be restored."""
    with transaction(caller()) as connection:
        Webhooks(connection).delete(webhook_id, expected_versions())
    return no_content()


@blueprint.post("/<uuid:webhook_id>/restore")
@blueprint.response(200, Webhook)
def restore_webhook(webhook_id: UUID) -> Response:
    """Restore a deleted webhook."""
    with transaction(caller()) as connection:
        return single(Webhooks(connection).restore(webhook_id))


@blueprint.post("/<uuid:webhook_id>/rotate-secret")
@blueprint.conditional
@blueprint.arguments(SecretRotation, required=False)
@blueprint.response(200, NewWebhook)
def rotate_webhook_secret(body: dict[str, Any], webhook_id: UUID) -> Response:
    """Give a webhook another secret, shown this once; the one before signs along for 24 hours."""
    key = body.get("secret") or new_secret()
    with transaction(caller()) as connection:
        row = Webhooks(connection).rotate_secret(webhook_id, expected_versions(required=False), _encrypted(key))
    return secret(single(_with(row, key)))


@blueprint.post("/<uuid:webhook_id>/enable")
@blueprint.conditional
@blueprint.arguments(Enabling, location="query")
@blueprint.response(200, Webhook)
def enable_webhook(query: dict[str, Any], webhook_id: UUID) -> Response:
    """Switch a webhook on; with `recover` what it missed is sent as well."""
    with transaction(caller()) as connection:
        row = Webhooks(connection).switch(webhook_id, expected_versions(required=False), is_active=True)
        if query["recover"]:
            WebhookDeliveries(connection).recover(webhook_id)
        return single(row)


@blueprint.post("/<uuid:webhook_id>/disable")
@blueprint.conditional
@blueprint.response(200, Webhook)
def disable_webhook(webhook_id: UUID) -> Response:
    """Switch a webhook off; what it would get is kept."""
    with transaction(caller()) as connection:
        return single(Webhooks(connection).switch(webhook_id, expected_versions(required=False), is_active=False))


@blueprint.get("/<uuid:webhook_id>/health")
@blueprint.response(200, WebhookHealth)
def get_webhook_health(webhook_id: UUID) -> Response:
    """Get how a webhook's deliveries go, and what waits.

    Success rates and latencies are those of the newest 20,000 deliveries at most.
    """
    with statement(caller()) as connection:
        return json(Webhooks(connection).health(webhook_id))


def _create(webhooks: Webhooks, *, secret: str = "", **values: Any) -> Row:
    key = secret or new_secret()
    return _with(webhooks.create(secret=_encrypted(key), **values), key)


def _encrypted(key: str) -> str:
    return cipher().encrypt(key.encode()).decode()


def _with(row: Row, key: str) -> Row:
    return {**row, "secret": key}
