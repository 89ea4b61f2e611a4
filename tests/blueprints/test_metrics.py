"""Metrics over HTTP."""

from __future__ import annotations

import random
import statistics
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.service import Answer, Client, Person
from tests.web.asking import assert_refused

POINT = {"metric_name": "requests", "metric_type": "counter", "value": 1}
HOUR = timedelta(hours=1)
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=2)


def written(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def point(**values: Any) -> dict[str, Any]:
    return {**POINT, **values}


def write(person: Person | Client, *points: dict[str, Any], **batch: Any) -> None:
    answer = person.post("/metrics", {"points": points, **batch})
    assert (answer.status, answer.json) == (201, {"count": len(points)}), answer.body


def query(person: Person | Client, **parameters: Any) -> Answer:
    span = {"recorded_after": written(MIDNIGHT), "recorded_before": written(MIDNIGHT + 24 * HOUR), "bucket": "PT1H"}
    return person.get(f"/metrics/query?{urlencode({'metric_name': 'requests', **span, **parameters})}")


def items(person: Person | Client, **parameters: Any) -> list[dict[str, Any]]:
    answer = query(person, **parameters)
    assert answer.status == 200, answer.body
    return list(answer.json["items"])


@pytest.fixture
def measured(ann: Person) -> list[dict[str, Any]]:
    """Points that Ann wrote: a day of them, with two hours left out."""
    chance = random.Random(7)
    points = [
        point(
            value=round(chance.uniform(-50, 1000), 3),
            labels={"region": chance.choice(("eu", "us")), "host": f"web-{chance.randrange(3)}"},
            recorded_at=written(MIDNIGHT + chance.choice([hour for hour in range(24) if hour not in (3, 4)]) * HOUR),
        )
        for _ in range(500)
    ]
    write(ann, *points, point(metric_name="others", recorded_at=written(MIDNIGHT)))
    return points


# --- writing


def test_what_is_written_can_be_read(ann: Person) -> None:
    integration, moment = ann.integration()["id"], MIDNIGHT + timedelta(microseconds=1)
    named = point(value=0.1234567, labels={"region": "eu"}, integration_id=integration, recorded_at=written(moment))
    write(ann, point(metric_name="queue.length", metric_type="gauge", value=-3), named)
    newest, oldest = ann.get("/metrics/points").json["items"]
    assert newest["recorded_at"] > written(datetime.now(UTC) - timedelta(minutes=1))
    whose = {"user_id": ann.user_id, "organization_id": ann.personal_organization_id}
    assert oldest == {**named, **whose, "id": oldest["id"], "value": 0.123457}
    del newest["id"], newest["recorded_at"]
    assert newest == {"metric_name": "queue.length", "metric_type": "gauge", "value": -3, "labels": {},
                      "integration_id": None, **whose}  # fmt: skip


def test_a_batch_is_written_whole_or_not_at_all(ann: Person) -> None:
    faulty = [point(), point(value="1", labels={"a/b": 1}), point(), {"metric_type": "x"}]
    errors = assert_refused(ann.post("/metrics", {"points": faulty}), 422, "invalid")
    assert {error["pointer"] for error in errors} == {
        "/points/1/value", "/points/1/labels/a~1b", "/points/3/metric_name", "/points/3/metric_type", "/points/3/value",
    }  # fmt: skip
    assert ann.get("/metrics/points").json["items"] == []


@pytest.mark.parametrize("points", [None, {}, [], "x"])
def test_a_batch_without_points_is_refused(ann: Person, points: Any) -> None:
    assert_refused(ann.post("/metrics", {"points": points}), 422, "invalid")


def test_ten_thousand_points_and_no_more(ann: Person) -> None:
    points = [point(value=number) for number in range(10_000)]
    write(ann, *points)
    errors = assert_refused(ann.post("/metrics", {"points": [*points, POINT]}), 422, "invalid")
    assert [error["pointer"] for error in errors] == ["/points"]
    today = {"recorded_after": written(MIDNIGHT), "recorded_before": written(MIDNIGHT + 96 * HOUR), "bucket": "P4D"}
    assert sum(item["sum"] for item in items(ann, **today)) == sum(range(10_000))


def test_what_is_no_point_is_pointed_at(ann: Person) -> None:
    answer = ann.post("/metrics", {"points": [POINT, 5, None]})
    assert [error["pointer"] for error in assert_refused(answer, 422, "invalid")] == ["/points/1", "/points/2"]


def test_a_point_is_of_an_integration_of_its_organization(ann: Person, bob: Person) -> None:
    known, elsewhere = ann.integration()["id"], ann.integration(organization_id=ann.organization()["id"])["id"]
    hers = [point(integration_id=known), point(), point(integration_id=known.upper())]
    for stranger in (elsewhere, bob.integration()["id"], ann.user_id):
        answer = ann.post("/metrics", {"points": [*hers, point(integration_id=stranger)]})
        assert [error["pointer"] for error in assert_refused(answer, 422, "invalid")] == ["/points/3/integration_id"]
    assert ann.get("/metrics/points").json["items"] == []
    write(ann.key("metrics:create"), *hers)  # without seeing integrations
    assert len(ann.get(f"/metrics/points?integration_id={known}").json["items"]) == 2


def test_who_may_write_where(ann: Person, bob: Person) -> None:
    team = ann.organization()["id"]
    batches = [{"points": [POINT]}, {"points": [point(integration_id=ann.integration(organization_id=team)["id"])]}]
    for rank, may in (("viewer", False), ("developer", True)):
        member = bob if rank == "viewer" else None
        if member is None:
            assert ann.patch(f"/organizations/{team}/members/{bob.user_id}", {"role": rank}, headers={"If-Match": "*"})
        else:
            ann.add(team, bob, rank)
        for batch in batches:
            answer = bob.post("/metrics", {**batch, "organization_id": team})
            if may:
                assert answer.status == 201, answer.body
            else:
                assert_refused(answer, 403, "permission_denied")
                assert answer.json["permission"] == "metrics:create"
    assert_refused(bob.key("metrics:read").post("/metrics", {"points": [POINT]}), 403, "permission_denied")
    write(ann.key("metrics:create", organization_id=team), POINT)
    written_by = [item["user_id"] for item in ann.get(f"/metrics/points?organization_id={team}").json["items"]]
    assert written_by == [ann.user_id, bob.user_id, bob.user_id]
    elsewhere = {"points": [POINT], "organization_id": ann.personal_organization_id}
    assert_refused(bob.post("/metrics", elsewhere), 404, "not_found")


# --- reading


def test_lists_are_filtered(ann: Person, measured: list[dict[str, Any]]) -> None:
    def count(**filters: Any) -> int:
        return len(ann.get(f"/metrics/points?{urlencode({'limit': 200, **filters})}").json["items"])

    in_us = sum(each["labels"] == {"region": "us", "host": "web-1"} for each in measured)
    assert count(labels='{"region": "us", "host": "web-1"}') == in_us > 0
    assert count(metric_name="others") == count(metric_name="others", metric_type="counter") == 1
    assert count(metric_type="gauge") == count(metric_name="nothing") == 0
    early = sum(each["recorded_at"] < written(MIDNIGHT + HOUR) for each in measured)
    span = {"recorded_after": written(MIDNIGHT), "recorded_before": written(MIDNIGHT + HOUR)}
    assert count(**span) == early + 1
    assert count(metric_name="requests", **span) == early


def test_what_is_measured(ann: Person, bob: Person, measured: list[dict[str, Any]]) -> None:
    team = ann.organization()["id"]
    newest = point(metric_type="gauge", labels={"region": "ap"}, recorded_at=written(MIDNIGHT + 30 * HOUR))
    write(ann, newest, organization_id=team)
    series = ann.get("/metrics/series").json["items"]
    assert [(each["organization_id"], each["metric_name"]) for each in series] == [
        (team, "requests"), (ann.personal_organization_id, "requests"), (ann.personal_organization_id, "others"),
    ]  # fmt: skip
    assert series[0] == {"id": series[0]["id"], "organization_id": team, "metric_name": "requests",
                         "metric_type": "gauge", "labels": {"region": "ap"},
                         "last_recorded_at": newest["recorded_at"]}  # fmt: skip
    assert series[1]["last_recorded_at"] == max(each["recorded_at"] for each in measured)
    assert len(ann.get("/metrics/series?prefix=oth").json["items"]) == 1
    assert len(ann.get(f"/metrics/series?organization_id={team}").json["items"]) == 1
    assert bob.get("/metrics/series").json["items"] == []


def test_buckets_hold_what_the_points_come_to(ann: Person, measured: list[dict[str, Any]]) -> None:
    found = items(ann, percentiles="0,50,95,99.9,100")
    by_hour: dict[str, list[float]] = {}
    for each in measured:
        by_hour.setdefault(each["recorded_at"], []).append(each["value"])
    assert [each["bucket"] for each in found] == sorted(by_hour)
    assert len(found) == 22  # empty ones are left out
    for each, values in zip(found, (by_hour[moment] for moment in sorted(by_hour)), strict=True):
        assert (each["count"], each["min"], each["max"]) == (len(values), min(values), max(values))
        assert each["sum"] == pytest.approx(sum(values))
        assert each["avg"] == pytest.approx(statistics.mean(values))
        shares = statistics.quantiles(values, n=1000, method="inclusive")
        wanted = {"0": min(values), "50": shares[499], "95": shares[949], "99.9": shares[998], "100": max(values)}
        assert each["percentiles"] == pytest.approx(wanted)
        assert each["labels"] == {}


def test_groups(ann: Person, measured: list[dict[str, Any]]) -> None:
    for percentiles in ({}, {"percentiles": "50"}):
        found = items(ann, bucket="P1D", group_by="region,host,nothing", **percentiles)
        assert len(found) == 6
        for each in found:
            values = [other["value"] for other in measured if other["labels"] == each["labels"]]
            assert (each["count"], each["max"]) == (len(values), max(values))
            assert each["percentiles"] == pytest.approx({"50": statistics.median(values)} if percentiles else {})


def test_filters_of_a_query(ann: Person, measured: list[dict[str, Any]]) -> None:
    (eu,) = items(ann, bucket="86400", labels='{"region": "eu"}')
    assert eu["count"] == sum(each["labels"]["region"] == "eu" for each in measured)
    integration = ann.integration()["id"]
    write(ann, point(integration_id=integration, value=7, recorded_at=written(MIDNIGHT)))
    (one,) = items(ann, integration_id=integration, percentiles="50")
    assert (one["count"], one["sum"], one["percentiles"]) == (1, 7, {"50": 7})
    assert items(ann, metric_name="nothing") == []


def test_only_the_points_of_the_span_are_counted(ann: Person, measured: list[dict[str, Any]]) -> None:
    half = {"recorded_after": written(MIDNIGHT + HOUR), "recorded_before": written(MIDNIGHT + 2 * HOUR)}
    (found,) = items(ann, bucket="P1D", **half)
    assert found["bucket"].startswith(MIDNIGHT.strftime("%Y-%m-%dT00:00:00"))
    assert found["count"] == sum(each["recorded_at"] == written(MIDNIGHT + HOUR) for each in measured)


def test_others_see_nothing_of_it(ann: Person, bob: Person, measured: list[dict[str, Any]]) -> None:
    mine = ann.personal_organization_id
    for somebody in (bob, ann.key("metrics:create"), ann.key(organization_id=ann.organization()["id"])):
        assert items(somebody, organization_id=mine) == items(somebody) == []
        assert somebody.get(f"/metrics/points?organization_id={mine}").json["items"] == []
        assert somebody.get("/metrics/points?metric_name=requests").json["items"] == []
        assert somebody.get("/metrics/series").json["items"] == []
    assert items(ann.key("metrics:read"), organization_id=mine) == items(ann)


def test_an_answer_has_bounds(ann: Person) -> None:
    errors = assert_refused(query(ann, bucket="7"), 422, "invalid")
    assert errors == [{"pointer": "?bucket", "detail": "More than 11000 buckets: take one of 8 seconds or longer."}]
    assert query(ann, bucket="8").status == 200
    labelled = [point(labels={"n": str(n)}, recorded_at=written(MIDNIGHT)) for n in range(10_000)]
    write(ann, *labelled)
    write(ann, *labelled[:1001], point(recorded_at=written(MIDNIGHT + HOUR)))
    assert len(items(ann, group_by="n")) == 10_001
    write(ann, *({**each, "recorded_at": written(MIDNIGHT + 2 * HOUR)} for each in labelled[:1000]))
    errors = assert_refused(query(ann, group_by="n"), 422, "invalid")
    assert [error["pointer"] for error in errors] == ["?group_by"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("bucket", value) for value in ("0", "PT0S", "P", "PT", "P1M", "P1Y", "-5", "1.5", "PT1H1D", "P1DT")),
        *(("bucket", value) for value in ("P367D", "9" * 40)),
        *(("labels", value) for value in ("", "eu", "[]", '{"a": 1}', '{"a": {"b": "c"}}', '{"a": "\\u0000"}')),
        ("labels", "[" * 2000),
        *(("percentiles", value) for value in ("", "x", "101", "-1", "50,50", "1,2,3,4,5,6,7,8,9,10,11", "1e1", "nan")),
        *(("group_by", value) for value in ("", "a,", "a,a", "a,b,c,d", "\0")),
        *(("recorded_before", value) for value in ("", "today", "2000-01-01T00:00:00Z", "2999-01-01T00:00:00Z")),
        ("recorded_before", written(MIDNIGHT)),
        ("metric_name", "a b"),
        ("unknown", "x"),
    ],
)  # fmt: skip
def test_what_a_query_refuses(ann: Person, name: str, value: str) -> None:
    errors = assert_refused(query(ann, **{name: value}), 422, "invalid")
    assert {error["pointer"].partition("/")[0] for error in errors} == {f"?{name}"}
