"""Metrics: points, and what they come to over time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from database import Row, load
from errors import Invalid
from repositories.repository import Order, Page, Repository


class Metrics(Repository):
    """Metrics of the caller's organizations."""

    queries = load("metrics")

    def write(self, points: list[dict[str, Any]], organization_id: object = None) -> int:
        """Write points, all or none; gives how many.

        :raises errors.Invalid: a point names an integration that the organization does not have.
        :raises errors.Forbidden: the caller may not write there.
        """
        self._expect_integrations(points, organization_id)
        return self.connection.execute(self.queries.create, organization_id=organization_id, batch={"points": points})

    def find(self, *, order: Order, metric_name: str | None = None, **filters: Any) -> Page:
        """A page of points."""
        if metric_name is None:
            return self.page(self.queries.list, order, **filters)
        return self.page(self.queries.list_of_name, order, metric_name=metric_name, **filters)

    def find_series(self, *, order: Order, **filters: Any) -> Page:
        """A page of what is measured."""
        return self.page(self.queries.list_series, order, **filters)

    def buckets(
        self,
        *,
        most: int,
        bucket: timedelta,
        recorded_after: datetime,
        recorded_before: datetime,
        **filters: Any,
    ) -> list[Row]:
        """What a metric comes to in each bucket that has points.

        :raises errors.Invalid: these are more than `most`.
        """
        span = {"bucket": bucket, "recorded_after": recorded_after, "recorded_before": recorded_before}
        rows = self.connection.many(self.queries.buckets, most=most + 1, **span, **filters)
        if len(rows) > most:
            sentence = f"The groups have more than {most} buckets: take longer ones, or fewer groups."
            raise Invalid(sentence, errors=[{"pointer": "?group_by", "detail": sentence}])
        return rows

    def _expect_integrations(self, points: list[dict[str, Any]], organization_id: object) -> None:
        named = {str(point["integration_id"]) for point in points if "integration_id" in point}
        if not named:
            return
        asked = {"organization_id": organization_id, "integration_ids": list(named)}
        unknown = {row["integration_id"] for row in self.connection.many(self.queries.unknown_integrations, **asked)}
        if unknown:
            raise Invalid(
                "A point names an integration that the organization does not have.",
                errors=[
                    {"pointer": f"/points/{number}/integration_id", "detail": "There is no such integration."}
                    for number, point in enumerate(points)
                    if "integration_id" in point and str(point["integration_id"]) in unknown
                ],
            )
