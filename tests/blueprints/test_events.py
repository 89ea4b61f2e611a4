"""Events over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.service import PASSWORD, Person, Service
from tests.sql.people import People
from tests.waiting import eventually


def of(person: Person, aggregate: str) -> list[dict[str, Any]]:
    """The events of one aggregate, the first one first."""
    return list(person.get(f"/events?aggregate_id={aggregate}&sort=created_at").json["items"])


def test_every_change_leaves_an_event(ann: Person) -> None:
    made = ann.integration(name="First", config={"a": 1})
    path, any_version = f"/integrations/{made['id']}", {"If-Match": "*"}
    ann.call("PATCH", path, {"name": "Second"}, headers={**any_version, "X-Request-Id": "renaming"})
    ann.post(f"{path}/status", {"status": "validating"})
    ann.delete(path, headers=any_version)
    ann.post(f"{path}/restore")
    events = of(ann, made["id"])
    assert [each["event_type"] for each in events] == [
        "integration.created", "integration.updated", "integration.status_changed", "integration.deleted",
        "integration.restored",
    ]  # fmt: skip
    assert [each["version"] for each in events] == [1, 2, 3, 4, 5]
    assert {each["created_by"] for each in events} == {ann.user_id}
    renamed = events[1]
    assert renamed["metadata"] == {"request_id": "renaming", "integration_id": made["id"]}
    assert {name: renamed["event_data"][side]["name"] for side, name in (("old", "First"), ("new", "Second"))} == {
        "First": "First",
        "Second": "Second",
    }
    moved = events[2]["event_data"]
    assert (moved["old_status"], moved["new_status"], moved["changed_by"]) == ("draft", "validating", ann.user_id)
    assert ann.get(f"/events/{renamed['id']}").json == renamed


def test_events_name_the_key_that_was_used(ann: Person) -> None:
    key = ann.key()
    made = key.post("/integrations", {"name": "x", "service_type": "rest"}).json
    (event,) = of(ann, made["id"])
    assert event["metadata"]["api_key_id"] == key.get("/api-keys/self").json["id"]


def test_what_one_changes_about_oneself_is_not_for_members_of_the_personal_organization(
    ann: Person, bob: Person
) -> None:
    ann.add(ann.personal_organization_id, bob, "admin")
    ann.patch("/me", {"preferences": {"theme": "dark"}}, headers={"If-Match": "*"})
    own = f"/events?organization_id={ann.personal_organization_id}&aggregate_type=user"
    changed = ann.get(own).json["items"][0]
    assert changed["event_data"]["new"]["preferences"] == {"theme": "dark"}
    assert bob.get(own).json["items"] == []
    assert bob.get(f"/events/{changed['id']}").code == "not_found"
    theirs = bob.get(f"/events?organization_id={ann.personal_organization_id}").json["items"]
    assert "organization_member" in {each["aggregate_type"] for each in theirs}


def test_events_of_other_tenants_are_not_there(ann: Person, bob: Person) -> None:
    made = ann.integration()
    (event,) = of(ann, made["id"])
    assert bob.get(f"/events/{event['id']}").code == "not_found"
    assert of(bob, made["id"]) == []
    assert bob.get(f"/events?organization_id={ann.personal_organization_id}").json["items"] == []


def test_filters(ann: Person) -> None:
    team = ann.organization()
    made = ann.integration(organization_id=team["id"])
    ann.post(f"/integrations/{made['id']}/status", {"status": "validating"})
    inside = f"organization_id={team['id']}"
    for query, expected in {
        "aggregate_type=integration": {"integration.created", "integration.status_changed"},
        "event_type=integration.created": {"integration.created"},
        "event_type=integration.*": {"integration.created", "integration.status_changed"},
        "event_type=integration*": set(),
        "event_type=*.created": set(),
        f"created_by={ann.user_id}&event_type=organization.*": {"organization.created"},
        f"created_by={made['id']}": set(),
        "aggregate_type=organization": {"organization.created"},
        "aggregate_type=nonsense": set(),
        f"created_before={quote(team['created_at'])}": set(),
        f"created_after={quote(made['updated_at'])}&aggregate_type=integration": {
            "integration.created",
            "integration.status_changed",
        },
    }.items():
        found = ann.get(f"/events?{inside}&{query}").json["items"]
        assert {each["event_type"] for each in found} == expected, query


def test_no_secret_is_in_any_event(ann: Person) -> None:
    answer = ann.post("/api-keys", {"name": "key", "permissions": ["integrations:read"]}).json
    ann.client.post("/auth/refresh", {"refresh_token": ann.tokens["refresh_token"]})
    fresh = ann.client.post("/auth/login", {"email": ann.email, "password": PASSWORD}).json
    ann.client.headers = {"Authorization": f"Bearer {fresh['access_token']}"}
    text = json.dumps(ann.get("/events?limit=200").json["items"])
    for secret in (answer["key"], PASSWORD, ann.tokens["access_token"], ann.tokens["refresh_token"], "password_hash",
                   "key_hash", "session_token", "refresh_token"):  # fmt: skip
        assert secret not in text


def test_events_cannot_be_written(ann: Person) -> None:
    event = ann.get("/events?limit=1").json["items"][0]["id"]
    for method, path in (("POST", "/events"), ("DELETE", f"/events/{event}"), ("PATCH", f"/events/{event}")):
        assert ann.call(method, path, {}, headers={"If-Match": "*"}).status == 405


# --- the order in which nothing is missed


@pytest.fixture
def people(service: Service) -> Iterator[People]:
    """Acts in the service's database, in transactions that stay open for as long as a test wants."""
    made = People(service.database)
    yield made
    made.close()


def test_a_transaction_that_commits_late_is_not_missed(ann: Person, people: People) -> None:
    late, soon = ann.integration(name="Late"), ann.integration(name="Soon")
    feed = "/events?sort=position&event_type=integration.updated"
    start = ann.get(feed).json
    assert (start["items"], start["next_cursor"]) == ([], None)
    with people.acting(ann.user_id, keep=True) as connection:
        connection.execute("UPDATE integrations SET description = 'x' WHERE id = %s", [late["id"]])
        ann.patch(f"/integrations/{soon['id']}", {"description": "x"}, headers={"If-Match": "*"})
        # it was committed, but the one before it was not: in this order neither is there yet
        meanwhile = ann.get(f"{feed}&cursor={start['resume_cursor']}").json
        assert meanwhile["items"] == []
        assert [each["aggregate_id"] for each in of(ann, soon["id"])] == [soon["id"]] * 2  # newest first is at once
    found = ann.get(f"{feed}&cursor={meanwhile['resume_cursor']}").json
    assert [each["aggregate_id"] for each in found["items"]] == [late["id"], soon["id"]]
    assert found["next_cursor"] is None
    assert ann.get(f"/events?cursor={found['resume_cursor']}").json["items"] == []
    ann.patch(f"/integrations/{late['id']}", {"description": "y"}, headers={"If-Match": "*"})
    again = ann.get(f"/events?cursor={found['resume_cursor']}").json
    assert [(each["aggregate_id"], each["version"]) for each in again["items"]] == [(late["id"], 3)]


def test_events_of_one_transaction_come_in_the_order_of_writing(ann: Person, people: People) -> None:
    made = [ann.integration()["id"] for _ in range(3)]
    order = [made[number] for number in (2, 0, 1, 0, 2)]
    start = ann.get("/events?sort=position&limit=200").json["resume_cursor"]
    with people.acting(ann.user_id, keep=True) as connection:
        for number, each in enumerate(order):
            connection.execute("UPDATE integrations SET description = %s WHERE id = %s", [str(number), each])
    assert [each["aggregate_id"] for each in ann.get(f"/events?cursor={start}").json["items"]] == order


def test_readers_miss_nothing_of_many_writers(ann: Person, people: People) -> None:
    """Transactions of every length side by side, and a reader that goes on from its cursor all the time."""
    made = [ann.integration()["id"] for _ in range(4)]
    cursor = ann.get("/events?sort=position&limit=200").json["resume_cursor"]
    writers = [threading.Thread(target=_write, args=[people, ann, each, number]) for number, each in enumerate(made)]
    for each in writers:
        each.start()
    seen: list[dict[str, Any]] = []
    while any(each.is_alive() for each in writers):
        answer = ann.get(f"/events?limit=7&cursor={cursor}").json
        seen, cursor = seen + answer["items"], answer["resume_cursor"]
    rest = eventually(lambda: _is_whole(ann, cursor, seen, 4 * 30), "everything is settled")
    versions = [[each["version"] for each in rest if each["aggregate_id"] == aggregate] for aggregate in made]
    assert versions == [list(range(2, 32))] * 4


def _write(people: People, ann: Person, integration: str, number: int) -> None:
    with people.connect() as connection:
        for change in range(15):
            with people.acting(ann.user_id, keep=True, connection=connection):
                for part in range(2):
                    connection.execute(
                        "UPDATE integrations SET description = %s WHERE id = %s", [f"{change} {part}", integration]
                    )
                    connection.execute("SELECT pg_sleep(%s)", [(change * 7 + number * 3) % 5 / 500])


def _is_whole(ann: Person, cursor: str, seen: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    rest = ann.get(f"/events?cursor={cursor}&limit=200").json["items"]
    return seen + rest if len(seen + rest) >= count else []


def test_a_cursor_alone_keeps_filters_and_order_page_after_page(ann: Person) -> None:
    path = f"/integrations/{ann.integration()['id']}"
    for number in range(6):
        ann.patch(path, {"name": str(number)}, headers={"If-Match": "*"})
    whole = ann.get("/events?event_type=integration.updated&sort=created_at").json["items"]
    answer, found = ann.get("/events?event_type=integration.updated&sort=created_at&limit=2").json, []
    while answer["next_cursor"]:
        found += answer["items"]
        answer = ann.get(f"/events?limit=2&cursor={answer['next_cursor']}").json
    assert found + answer["items"] == whole
    assert len(whole) == 6


def test_events_of_an_integration(ann: Person, bob: Person) -> None:
    made, other = ann.integration(), ann.integration()
    path = f"/integrations/{made['id']}"
    ann.patch(path, {"name": "Renamed"}, headers={"If-Match": "*"})
    ann.patch(f"/integrations/{other['id']}", {"name": "Renamed"}, headers={"If-Match": "*"})
    for query in ("", "?sort=position", "?sort=created_at&event_type=integration.*"):
        items = ann.get(f"{path}/events{query}").json["items"]
        assert sorted(each["version"] for each in items) == [1, 2], query
        assert {each["aggregate_id"] for each in items} == {made["id"]}
    assert bob.get(f"{path}/events").code == "not_found"
