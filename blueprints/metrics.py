"""Metrics."""

from __future__ import annotations

from typing import Any

from flask import Response

from database import statement, transaction
from repositories.metrics import Metrics
from schemas.metrics import (
    MAX_BUCKETS,
    Metric,
    MetricBatch,
    MetricBuckets,
    MetricFilters,
    MetricQuery,
    MetricSeries,
    MetricSeriesFilters,
    WrittenMetrics,
)
from web.answers import json
from web.blueprint import Blueprint
from web.caller import caller
from web.paging import page

blueprint = Blueprint("metrics", __name__, url_prefix="/metrics", description="Measurements, over time.")


@blueprint.post("")
@blueprint.arguments(MetricBatch)
@blueprint.response(201, WrittenMetrics)
def write_metrics(body: dict[str, Any]) -> Response:
    """Write up to ten thousand points, all of them or none."""
    with transaction(caller()) as connection:
        count = Metrics(connection).write(**body)
    return json({"count": count}, 201, {"Location": "/api/v1/metrics/points"})


@blueprint.get("/points")
@blueprint.arguments(MetricFilters, location="query")
@blueprint.page(Metric)
def list_metrics(query: dict[str, Any]) -> Response:
    """List points one by one."""
    with statement(caller()) as connection:
        return page(Metrics(connection).find, query)


@blueprint.get("/series")
@blueprint.arguments(MetricSeriesFilters, location="query")
@blueprint.page(MetricSeries)
def list_metric_series(query: dict[str, Any]) -> Response:
    """List what is measured, each with its newest point."""
    with statement(caller()) as connection:
        return page(Metrics(connection).find_series, query)


@blueprint.get("/query")
@blueprint.arguments(MetricQuery, location="query")
@blueprint.response(200, MetricBuckets)
def query_metric(query: dict[str, Any]) -> Response:
    """Query a metric over time: count, sum, mean, extremes and percentiles of each bucket."""
    with statement(caller()) as connection:
        items = Metrics(connection).buckets(most=MAX_BUCKETS, **query)
    seconds = query["bucket"].total_seconds()
    return json({"metric_name": query["metric_name"], "bucket_seconds": seconds, "items": items})
