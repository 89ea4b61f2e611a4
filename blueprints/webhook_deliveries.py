"""Deliveries of webhooks."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response

from database import Row, statement, transaction
from repositories.webhook_deliveries import WebhookDeliveries
from schemas.lists import Sparse
from schemas.webhook_deliveries import (
    DeliveriesOfWebhookFilters,
    Delivery,
    DeliveryExportFilters,
    DeliveryFilters,
    DeliverySummary,
    Recovered,
    Recovery,
)
from web.answers import json, single
from web.blueprint import Blueprint
from web.caller import caller
from web.export import export
from web.paging import page

blueprint = Blueprint("webhook-deliveries", __name__, description="What was sent to webhooks, and what came back.")


@blueprint.get("/webhooks/<uuid:webhook_id>/deliveries")
@blueprint.arguments(DeliveriesOfWebhookFilters, location="query")
@blueprint.page(DeliverySummary)
def list_deliveries_of_webhook(query: dict[str, Any], webhook_id: UUID) -> Response:
    """List a webhook's deliveries."""
    with transaction(caller()) as connection:
        return page(partial(WebhookDeliveries(connection).find_of, webhook_id), query)


@blueprint.post("/webhooks/<uuid:webhook_id>/test")
@blueprint.response(202, DeliverySummary)
def ping_webhook(webhook_id: UUID) -> Response:
    """Send a test, `webhook.ping`, to a webhook; watch the delivery for what comes back."""
    with transaction(caller()) as connection:
        return _queued(WebhookDeliveries(connection).ping(webhook_id))


@blueprint.post("/webhooks/<uuid:webhook_id>/recover")
@blueprint.arguments(Recovery, required=False)
@blueprint.response(202, Recovered)
def recover_webhook(body: dict[str, Any], webhook_id: UUID) -> Response:
    """Send again what a webhook missed: given up after all attempts, or kept while it was off."""
    with transaction(caller()) as connection:
        recovered = WebhookDeliveries(connection).recover(webhook_id, **body)
    return json(recovered, 202, {"Location": f"/api/v1/webhooks/{webhook_id}/deliveries"})


@blueprint.get("/webhook-deliveries")
@blueprint.arguments(DeliveryFilters, location="query")
@blueprint.page(DeliverySummary)
def list_webhook_deliveries(query: dict[str, Any]) -> Response:
    """List deliveries of all webhooks."""
    with statement(caller()) as connection:
        return page(WebhookDeliveries(connection).find, query)


@blueprint.get("/webhook-deliveries/export")
@blueprint.arguments(DeliveryExportFilters, location="query")
@blueprint.export(DeliverySummary)
def export_webhook_deliveries(query: dict[str, Any]) -> Response:
    """Export deliveries as NDJSON or CSV, with the filters of the list."""
    return export(WebhookDeliveries, DeliverySummary, query)


@blueprint.get("/webhook-deliveries/<uuid:delivery_id>")
@blueprint.arguments(Sparse, location="query")
@blueprint.response(200, Delivery)
def get_webhook_delivery(query: dict[str, Any], delivery_id: UUID) -> Response:
    """Get a delivery with its payload and every attempt."""
    with statement(caller()) as connection:
        return single(WebhookDeliveries(connection).get(delivery_id))


@blueprint.post("/webhook-deliveries/<uuid:delivery_id>/redeliver")
@blueprint.response(202, DeliverySummary)
def redeliver_webhook_delivery(delivery_id: UUID) -> Response:
    """Send a delivery again, under the same `webhook-id`, whatever became of it."""
    with transaction(caller()) as connection:
        return _queued(WebhookDeliveries(connection).redeliver(delivery_id))


def _queued(row: Row) -> Response:
    return single(row, 202, {"Location": f"/api/v1/webhook-deliveries/{row['id']}"})
