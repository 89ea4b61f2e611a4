"""Metrics."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema
from marshmallow.validate import Length, Range

from schemas.fields import (
    EXAMPLE_TIME,
    Duration,
    Moment,
    Pattern,
    Words,
    choice,
    described,
    identifier,
    json_object,
    moment,
    no_nul,
    text,
)  # fmt: skip
from schemas.lists import filters
from schemas.plain_points import FUTURE, LARGEST, MAX_LABELS, MAX_POINTS, METRIC_TYPES, NAME, PAST, PlainPoints

MAX_FAULTY = 100  # points whose faults are told
MAX_BUCKETS = 11_000  # of one answer
MAX_GROUPING = 3
MAX_PERCENTILES = 10
MAX_SPAN = timedelta(days=366)  # of a query

_PERCENTILE = re.compile(r"\d{1,3}(\.\d{1,6})?", re.ASCII)
_EXAMPLE_LABELS = {"region": "eu", "host": "web-1"}


class Measurement(fields.Float):
    """A finite JSON number, not a text that looks like one, within what DECIMAL(20,6) holds."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> float:
        if type(value) not in (int, float) or value != value:  # NaN
            raise self.make_error("invalid", input=value)
        return value  # type: ignore[no-any-return]  # an integer stays one: not every large one is a float


class Labels(fields.Dict):
    """A flat object of texts."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> dict[str, str]:
        return _check_labels(value)


class LabelFilter(fields.String):
    """Labels as JSON in a query parameter."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Any:
        try:
            return _check_labels(json.loads(value))
        except (ValueError, RecursionError) as error:
            if isinstance(error, ValidationError):
                raise
            raise ValidationError("Not a JSON object.") from error


class PointTime(Moment):
    """When a point was measured: not long ago, and not to come."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> datetime:
        read: datetime = super()._deserialize(value, attr, data, **options)
        now = datetime.now(UTC)
        if not now - PAST <= read <= now + FUTURE:
            raise ValidationError(f"Not within the last {PAST.days} days, nor at most an hour ahead.")
        return read


def _check_labels(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValidationError("Not a JSON object.")
    if len(value) > MAX_LABELS:
        raise ValidationError(f"More than {MAX_LABELS} labels.")
    faults: dict[str, Any] = {}
    for name, content in value.items():
        try:
            Length(1, 100, error="The name of a label has 1 to 100 characters.")(name)
            no_nul(name)
            if not isinstance(content, str):
                raise ValidationError("Not a text.")
            Length(0, 255)(content)
            no_nul(content)
        except ValidationError as error:
            faults[name] = error.messages
    if faults:
        raise ValidationError(faults)
    return value


def _check_percentile(word: str) -> None:
    if _PERCENTILE.fullmatch(word) is None or float(word) > 100:
        raise ValidationError("Each is a number from 0 to 100.")


def _name(**options: Any) -> fields.String:
    return fields.String(
        validate=[Length(1, 100), Pattern(NAME, error="A letter or _, then letters, digits, and any of _ . : -")],
        metadata=described("What is measured.", "request_seconds"),
        **options,
    )


class MetricPoint(Schema):
    """A measurement."""

    metric_name = _name(required=True)
    metric_type = choice("Its kind.", METRIC_TYPES, required=True)
    value = Measurement(
        required=True,
        validate=Range(-LARGEST, LARGEST),
        metadata=described("What was measured; six decimals are kept.", 0.245),
    )
    labels = Labels(
        metadata=described(
            f"What tells this series from others of the name: {MAX_LABELS} labels at most.",
            _EXAMPLE_LABELS,
            additionalProperties={"type": "string", "maxLength": 255},
            maxProperties=MAX_LABELS,
        )
    )
    integration_id = identifier("The integration that it is about, one of the batch's organization.")
    recorded_at = PointTime(
        format="iso",
        metadata=described(
            f"When it was measured, now when left out: within the last {PAST.days} days, at most an hour ahead.",
            EXAMPLE_TIME,
        ),
    )


class Points(fields.List[dict[str, Any]]):
    """Many points.

    A schema takes most of a second for ten thousand, so that plain ones are read by :class:`PlainPoints` and only what
    is not plain, such as what is wrong, goes through the schema.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(fields.Nested(MetricPoint), validate=Length(1, MAX_POINTS), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> list[Any]:
        if not isinstance(value, list):
            raise self.make_error("invalid")
        if len(value) > MAX_POINTS:
            return value  # its length will be found fault with; nothing else is looked at
        plain, schema = PlainPoints(datetime.now(UTC)), MetricPoint()
        points: list[Any] = []
        faults: dict[int, Any] = {}
        for number, point in enumerate(value):
            read = plain.read(point)
            if read is None:
                try:
                    read = schema.load(point)
                except ValidationError as error:
                    faults[number] = error.messages
                    if len(faults) == MAX_FAULTY:
                        break
            points.append(read)
        if faults:
            raise ValidationError(faults)
        return points


class MetricBatch(Schema):
    """Points of one organization."""

    organization_id = identifier("Organization; the key's or the caller's personal one when left out.")
    points = Points(
        required=True,
        metadata=described(
            f"1 to {MAX_POINTS} points, written all or none; the faults of the first {MAX_FAULTY} bad ones are told.",
            [{"metric_name": "request_seconds", "metric_type": "gauge", "value": 0.245, "labels": _EXAMPLE_LABELS}],
        ),
    )


class WrittenMetrics(Schema):
    """What was written."""

    count = fields.Integer(required=True, metadata=described("Points.", 1))


class Metric(Schema):
    """A point as it is kept."""

    id = identifier("Identifier.", required=True)
    metric_name = _name(required=True)
    metric_type = choice("Its kind.", METRIC_TYPES, required=True)
    value = fields.Float(required=True, metadata=described("What was measured.", 0.245))
    labels = json_object("Its labels.", _EXAMPLE_LABELS, required=True)
    integration_id = identifier("The integration that it is about.", required=True, allow_none=True)
    user_id = identifier("Who wrote it.", required=True, allow_none=True)
    organization_id = identifier("Whose it is.", required=True)
    recorded_at = moment("When it was measured.", required=True)


class MetricSeries(Schema):
    """A metric of an organization."""

    id = identifier("Stands for the organization and the name.", required=True)
    organization_id = identifier("Whose it is.", required=True)
    metric_name = _name(required=True)
    metric_type = choice("Kind of its newest point.", METRIC_TYPES, required=True)
    labels = json_object("Labels of its newest point.", _EXAMPLE_LABELS, required=True)
    last_recorded_at = moment("When its newest point was measured.", required=True)


class MetricBucket(Schema):
    """The points of a stretch of time."""

    bucket = moment("When it begins.", required=True)
    labels = json_object("The labels that it was grouped by.", {"region": "eu"}, required=True)
    count = fields.Integer(required=True, metadata=described("Points.", 1200))
    sum = fields.Float(required=True, metadata=described("Of their values.", 294.0))
    avg = fields.Float(required=True, metadata=described("Mean of their values.", 0.245))
    min = fields.Float(required=True, metadata=described("The smallest value.", 0.01))
    max = fields.Float(required=True, metadata=described("The largest value.", 2.5))
    percentiles = json_object(
        "The percentiles that were asked for, interpolated between the two nearest values.",
        {"50": 0.2, "95": 0.8},
        required=True,
    )


class MetricBuckets(Schema):
    """A metric over time."""

    metric_name = _name(required=True)
    bucket_seconds = fields.Float(required=True, metadata=described("How long a bucket is.", 300))
    items = fields.List(
        fields.Nested(MetricBucket),
        required=True,
        metadata=described("In the order of time. Buckets without a point are left out.", []),
    )


class MetricQuery(Schema):
    """What to ask of a metric."""

    metric_name = _name(required=True)
    organization_id = identifier("Only of this organization; all of the caller's when left out.", load_default=None)
    integration_id = identifier("Only what is about this integration.", load_default=None)
    labels = LabelFilter(
        load_default=None, metadata=described("Only points with these labels: a JSON object.", '{"region": "eu"}')
    )
    recorded_after = moment("From this moment on.", required=True)
    recorded_before = moment(f"Before this moment, at most {MAX_SPAN.days} days later.", required=True)
    bucket = Duration(
        most=MAX_SPAN,
        load_default=timedelta(minutes=5),
        metadata=described(
            f"Length of a bucket in seconds, or in ISO 8601 (weeks to seconds); at most {MAX_BUCKETS} buckets. They "
            "begin at multiples of it from Monday 2001-01-01T00:00:00Z on. Five minutes when left out.",
            "PT5M",
        ),
    )
    percentiles = Words(
        _check_percentile,
        most=MAX_PERCENTILES,
        load_default=None,
        metadata=described("Percentiles, separated by commas.", "50,95,99.9"),
    )
    group_by = Words(
        no_nul,
        most=MAX_GROUPING,
        load_default=[],
        metadata=described("Names of labels to group by, separated by commas.", "region,host"),
    )

    @validates_schema(skip_on_field_errors=True)
    def _spans(self, data: dict[str, Any], **_: Any) -> None:
        span = data["recorded_before"] - data["recorded_after"]
        if not timedelta() < span <= MAX_SPAN:
            raise ValidationError(f"Not after recorded_after, by {MAX_SPAN.days} days at most.", "recorded_before")
        if span / data["bucket"] > MAX_BUCKETS:
            least = -(-span // MAX_BUCKETS // timedelta(seconds=1))
            raise ValidationError(f"More than {MAX_BUCKETS} buckets: take one of {least} seconds or longer.", "bucket")


MetricFilters = filters(
    "MetricFilters",
    "recorded_at",
    organization_id=identifier("Only those of this organization."),
    metric_name=_name(),
    metric_type=choice("Only those of this kind.", METRIC_TYPES),
    integration_id=identifier("Only those about this integration."),
    labels=LabelFilter(metadata=described("Only those with these labels: a JSON object.", '{"region": "eu"}')),
    recorded_after=moment("Only those at or after this moment."),
    recorded_before=moment("Only those before this moment."),
)

MetricSeriesFilters = filters(
    "MetricSeriesFilters",
    "last_recorded_at",
    "metric_name",
    organization_id=identifier("Only those of this organization."),
    prefix=text("Only those whose name begins so.", "request", most=100),
)
