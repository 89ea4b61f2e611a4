"""The outbox: which webhooks get a delivery of which event, in the transaction that made it."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from tests.sql.people import Connection, People

_ADD = (
    "INSERT INTO webhooks (organization_id, integration_id, url, events, filter)"
    " VALUES (%s, %s, 'https://example.org/' || gen_random_uuid(), %s, %s) RETURNING id"
)
_RENAME = "UPDATE integrations SET name = %s WHERE id = %s"


class Team:
    """An owner with an organization of one integration."""

    def __init__(self, people: People) -> None:
        self.people = people
        self.owner = people.register("Ann")
        self.id = people.team(self.owner)
        self.integration = people.integration(self.owner, self.id)

    def webhook(self, *events: str, integration: str | None = None, filter: str | None = None) -> str:
        """A new webhook that hears of these events, or of all; gives the id."""
        row = self.run(_ADD, self.id, integration or self.integration, list(events or ["*"]), filter).fetchone()
        assert row is not None
        return str(row["id"])

    def run(self, text: str, *values: Any) -> psycopg.Cursor[dict[str, Any]]:
        """Run a statement as the owner."""
        with self.people.acting(self.owner, keep=True) as connection:
            return connection.execute(text, values)


@pytest.fixture
def team(people: People) -> Team:
    return Team(people)


def _queued(admin: psycopg.Connection[Any], webhook: str) -> list[dict[str, Any]]:
    return admin.execute(
        "SELECT * FROM webhook_deliveries WHERE webhook_id = %s ORDER BY event_position", [webhook]
    ).fetchall()


def _types(admin: psycopg.Connection[Any], webhook: str) -> list[str]:
    return [row["event_type"] for row in _queued(admin, webhook)]


def test_a_change_and_its_delivery_are_one_transaction(team: Team, admin: psycopg.Connection[Any]) -> None:
    webhook = team.webhook("integration.updated")
    with team.people.acting(team.owner) as connection:  # undone in the end
        connection.execute(_RENAME, ["Square", team.integration])
    assert _types(admin, webhook) == []
    team.run(_RENAME, "Adyen", team.integration)
    [delivery] = _queued(admin, webhook)
    [event] = admin.execute(
        "SELECT * FROM events WHERE aggregate_id = %s AND event_type = 'integration.updated'", [team.integration]
    ).fetchall()
    assert delivery["event_id"] == event["id"]
    assert delivery["event_position"] == event["position"]
    assert (delivery["status"], delivery["delivery_attempts"], delivery["attempts"]) == ("pending", 0, [])
    assert delivery["run_after"] == delivery["created_at"]
    payload = delivery["payload"]
    assert sorted(payload) == ["data", "timestamp", "type"]
    assert payload["type"] == "integration.updated"
    assert payload["timestamp"] == event["created_at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert payload["data"]["old"]["name"] == "Stripe"
    assert payload["data"]["new"]["name"] == "Adyen"
    assert payload["data"] | {
        "event_id": str(event["id"]), "aggregate_type": "integration", "aggregate_id": team.integration,
        "integration_id": team.integration, "organization_id": team.id, "version": 2, "created_by": team.owner,
    } == payload["data"]  # fmt: skip


ALL = ["integration.updated", "integration.deleted", "integration.restored"]


@pytest.mark.parametrize(
    ("patterns", "heard"),
    [
        (["*"], ALL),
        (["integration.*"], ALL),
        (["integration.deleted"], ["integration.deleted"]),
        (["integration.deleted", "integration.*"], ALL),
        (["integration_version.*"], []),
        (["workflow.*", "webhook.ping"], []),
    ],
)
def test_patterns(team: Team, admin: psycopg.Connection[Any], patterns: list[str], heard: list[str]) -> None:
    webhook = team.webhook(*patterns)
    admin.execute("DELETE FROM webhook_deliveries WHERE webhook_id = %s", [webhook])  # of its own creation
    team.run(_RENAME, "Adyen", team.integration)
    team.run("UPDATE integrations SET deleted_at = now() WHERE id = %s", team.integration)
    team.run("UPDATE integrations SET deleted_at = NULL WHERE id = %s", team.integration)
    assert _types(admin, webhook) == heard


@pytest.mark.parametrize("pattern", ["integration.sold", "integration", "integratio.*", "*.*", "integration.c*", ""])
def test_a_pattern_that_hears_nothing_is_refused(team: Team, pattern: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation) as refusal:
        team.webhook("integration.*", pattern)
    assert refusal.value.diag.constraint_name == "ck_webhooks_events"


def test_a_webhook_hears_of_its_own_integration_and_of_what_concerns_none(
    team: Team, admin: psycopg.Connection[Any]
) -> None:
    other = team.people.integration(team.owner, team.id)
    here, there = team.webhook(), team.webhook(integration=other)
    admin.execute("DELETE FROM webhook_deliveries WHERE organization_id = %s", [team.id])
    team.run(
        "INSERT INTO integration_versions (organization_id, integration_id, version, created_by)"
        " VALUES (%s, %s, '1', %s)",
        team.id, team.integration, team.owner,
    )  # fmt: skip
    team.run("UPDATE integration_versions SET is_active = true WHERE integration_id = %s", team.integration)
    team.run(
        "INSERT INTO workflow_executions (organization_id, integration_id, workflow_type) VALUES (%s, %s, 'x')",
        team.id, team.integration,
    )  # fmt: skip
    team.run("UPDATE workflow_executions SET status = 'cancelled' WHERE integration_id = %s", team.integration)
    team.run("UPDATE organizations SET description = 'x' WHERE id = %s", team.id)
    own = ["integration_version.created", "integration_version.activated", "workflow_execution.created",
           "workflow_execution.cancelled"]  # fmt: skip
    assert _types(admin, here) == [*own, "organization.updated"]
    assert _types(admin, there) == ["organization.updated"]


def test_others_hear_nothing(team: Team, people: People, admin: psycopg.Connection[Any]) -> None:
    stranger = Team(people)
    webhook = stranger.webhook()
    before = _types(admin, webhook)
    team.run(_RENAME, "Adyen", team.integration)
    assert _types(admin, webhook) == before


def test_a_webhook_of_a_deleted_integration_hears_no_more_of_the_organization(
    team: Team, admin: psycopg.Connection[Any]
) -> None:
    webhook = team.webhook("organization.updated", "integration.deleted")
    team.run("UPDATE integrations SET deleted_at = now() WHERE id = %s", team.integration)
    team.run("UPDATE organizations SET description = 'x' WHERE id = %s", team.id)
    assert _types(admin, webhook) == ["integration.deleted"]


FILTERS = {
    '$.data.new.name == "Adyen"': True,
    '$.data.new.name == "Square"': False,
    '$.type == "integration.updated" && $.data.version > 1': True,
    '!($.data.new.name starts with "Ad")': False,
    "exists($.data.old.name)": True,
    '$.data.new.nothing == "Adyen"': False,
    # two moments with and without a time zone: PostgreSQL raises in spite of silence
    '$.timestamp.datetime() > "2020-01-01".datetime()': False,
    '$.data.new."na\\u006de" == "Adyen"': True,
    '$.data.new[*].name == "Adyen"': True,
    "$.data.version / 0 == 1": False,
}


@pytest.mark.parametrize("predicate", FILTERS)
def test_filters(team: Team, admin: psycopg.Connection[Any], predicate: str) -> None:
    webhook = team.webhook("integration.updated", filter=predicate)
    team.run(_RENAME, "Adyen", team.integration)
    assert bool(_queued(admin, webhook)) == FILTERS[predicate]


@pytest.mark.parametrize(
    "predicate",
    [
        "",
        "nonsense",
        "$.data.new.name",  # finds something rather than answering
        "$.a == 1 and $.b == 2",
        '$.a ? (@ == "x") == 1',
        "exists($[*] ? (exists($[*] ? (exists($[*])))))",
        "$.**.a == 1",
        "$[0,0][0,0][0,0] == 1",
        "$.a == $.b",
        "$.a[*] + $.b[*] == 2",
        '$.a like_regex "(a*)*b"',
        f"$.{'a' * 1000} == 1",
        "$.a == 1" + " && $.a == 1" * 90,
        "$.a == 1" + " || $.a == 1" * 20,  # each goes over the payload once
        "$" + ".keyvalue()" * 20 + " == 1",  # three to the power of twenty
        "$ . keyvalue ( ) == 1",
    ],
)
def test_filters_that_are_not_let_in(team: Team, predicate: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation) as refusal:
        team.webhook(filter=predicate)
    assert refusal.value.diag.constraint_name == "ck_webhooks_filter"


def test_a_filter_that_was_let_in_before_costs_no_change_its_time(team: Team, admin: psycopg.Connection[Any]) -> None:
    webhook = team.webhook("integration.updated")
    admin.execute("ALTER TABLE webhooks DROP CONSTRAINT ck_webhooks_filter")
    admin.execute("UPDATE webhooks SET filter = %s WHERE id = %s", ["$" + ".keyvalue()" * 40 + " == 1", webhook])
    admin.execute("ALTER TABLE webhooks ADD CONSTRAINT ck_webhooks_filter"
                  " CHECK (filter IS NULL OR is_webhook_filter(filter)) NOT VALID")  # fmt: skip
    team.run(_RENAME, "Adyen", team.integration)
    assert _queued(admin, webhook) == []


def test_twenty_comparisons_of_a_large_payload_take_no_long(team: Team, admin: psycopg.Connection[Any]) -> None:
    large = json.dumps({"data": [{f"k{n}": [1, 2, {"a": "x" * 20}]} for n in range(20_000)]})
    predicate = " || ".join(["$.*.*.*.*.*.* == 1"] * 20)
    admin.execute("SET statement_timeout = '5s'")
    [row] = admin.execute("SELECT webhook_filter_matches(%s, %s) AS is_match", [predicate, large]).fetchall()
    admin.execute("RESET statement_timeout")
    assert row["is_match"] is False


def test_a_huge_change_is_told_without_its_columns(team: Team, admin: psycopg.Connection[Any]) -> None:
    large = json.dumps({"run": ["x" * 1000] * 300})
    webhook = team.webhook("integration.updated", filter='$.data.new.config.run[0] starts with "x"')
    team.run("UPDATE integrations SET config = %s WHERE id = %s", large, team.integration)
    [payload] = [row["payload"] for row in _queued(admin, webhook)]
    assert payload["data"]["is_abridged"] is True
    assert payload["data"]["aggregate_id"] == team.integration
    assert not {"old", "new"} & payload["data"].keys()


def test_names_and_strings_in_filters_are_free(team: Team) -> None:
    for predicate in (
        '$."keyvalue()" == "keyvalue"',
        '$."a?b,c**d" == 1',
        '$.a == "x $ y @ ? , ** like_regex \\" z"',
        '$.a == "x" && $.b == "&& $"',
    ):
        team.webhook(filter=predicate)


def test_switched_off_it_keeps_what_it_would_have_heard(team: Team, admin: psycopg.Connection[Any]) -> None:
    webhook = team.webhook("integration.updated")
    team.run(_RENAME, "Adyen", team.integration)
    team.run("UPDATE webhooks SET is_active = false WHERE id = %s", webhook)
    team.run(_RENAME, "Square", team.integration)
    assert [row["status"] for row in _queued(admin, webhook)] == ["held", "held"]
    [row] = admin.execute("SELECT * FROM webhooks WHERE id = %s", [webhook]).fetchall()
    assert row["disabled_at"] is not None
    assert row["disabled_reason"] == "user"
    team.run("UPDATE webhooks SET is_active = true WHERE id = %s", webhook)
    [row] = admin.execute("SELECT * FROM webhooks WHERE id = %s", [webhook]).fetchall()
    assert (row["disabled_at"], row["disabled_reason"], row["failure_count"]) == (None, None, 0)
    team.run(_RENAME, "Klarna", team.integration)
    assert [row["status"] for row in _queued(admin, webhook)] == ["held", "held", "pending"]


def test_deleted_it_hears_nothing_and_what_waited_is_cancelled(team: Team, admin: psycopg.Connection[Any]) -> None:
    webhook = team.webhook("integration.updated", "webhook.deleted")
    for name in ("Adyen", "Square", "Klarna"):
        team.run(_RENAME, name, team.integration)
    first, second, _ = (row["id"] for row in _queued(admin, webhook))
    admin.execute("UPDATE webhook_deliveries SET status = 'delivered' WHERE id = %s", [first])
    admin.execute("UPDATE webhook_deliveries SET status = 'held' WHERE id = %s", [second])
    team.run("UPDATE webhooks SET deleted_at = now() WHERE id = %s", webhook)
    team.run(_RENAME, "Mollie", team.integration)
    rows = _queued(admin, webhook)
    assert [row["status"] for row in rows] == ["delivered", "cancelled", "cancelled"]


def test_the_books_of_a_webhook_are_no_events(team: Team, admin: psycopg.Connection[Any]) -> None:
    webhook = team.webhook()
    before = _types(admin, webhook)
    admin.execute(
        "UPDATE webhooks SET last_success_at = now(), last_failure_at = now(), failure_count = 3,"
        " failing_since = now() WHERE id = %s", [webhook]
    )  # fmt: skip
    admin.execute(
        "UPDATE webhook_deliveries SET status = 'delivered', delivery_attempts = 1 WHERE webhook_id = %s", [webhook]
    )
    assert _types(admin, webhook) == before


def test_a_change_raises_the_version_once(team: Team, admin: psycopg.Connection[Any]) -> None:
    webhook = team.webhook("integration.updated")
    team.run(_RENAME, "Adyen", team.integration)
    for change, version in (
        ("run_after = now() + interval '1 minute'", 2),
        ("status = 'delivered', delivery_attempts = 1, version = version + 1", 3),
    ):
        row = admin.execute(
            f"UPDATE webhook_deliveries SET {change} WHERE webhook_id = %s RETURNING version", [webhook]
        ).fetchone()
        assert row == {"version": version}


def test_the_organizations_schedule_delays_the_first_attempt(team: Team, admin: psycopg.Connection[Any]) -> None:
    webhook = team.webhook("integration.updated")
    admin.execute("UPDATE organizations SET settings = %s WHERE id = %s",
                  [json.dumps({"webhooks": {"retry_seconds": [60, 5]}}), team.id])  # fmt: skip
    team.run(_RENAME, "Adyen", team.integration)
    [delivery] = _queued(admin, webhook)
    assert (delivery["run_after"] - delivery["created_at"]).total_seconds() == 60


@pytest.mark.parametrize(
    "schedule",
    ["[]", "{}", '"5"', '["5"]', "[0, null]", "[-1]", "[1e300]", "[0, [5]]", '[{"a": 1}]', "[true]", "[604801]", "5"],
)
def test_a_schedule_that_makes_no_sense_is_the_default(
    team: Team, admin: psycopg.Connection[Any], schedule: str
) -> None:
    webhook = team.webhook("integration.updated")
    settings = f'{{"webhooks": {{"retry_seconds": {schedule}}}}}'
    admin.execute("UPDATE organizations SET settings = %s WHERE id = %s", [settings, team.id])
    team.run(_RENAME, "Adyen", team.integration)
    assert len(_queued(admin, webhook)) == 1
    [row] = admin.execute("SELECT webhook_retry_seconds(%s) AS delays", [settings]).fetchall()
    assert row["delays"] == [0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]


def test_delays_are_whole_seconds(admin: psycopg.Connection[Any]) -> None:
    settings = '{"webhooks": {"retry_seconds": [0, 0.4, 2.5, 3e2]}}'
    [row] = admin.execute("SELECT webhook_retry_seconds(%s) AS delays", [settings]).fetchall()
    assert row["delays"] == [0, 0, 3, 300]


def test_workers_are_told_once_a_transaction(team: Team, people: People, admin: psycopg.Connection[Any]) -> None:
    webhook = team.webhook("integration.updated")
    with people.connect() as listener:
        listener.execute("LISTEN webhook_deliveries")
        with people.acting(team.owner, keep=True) as connection:
            connection.execute(_RENAME, ["Adyen", team.integration])
            connection.execute(_RENAME, ["Square", team.integration])
        told = [json.loads(note.payload) for note in listener.notifies(timeout=5, stop_after=1)]
        told += [json.loads(note.payload) for note in listener.notifies(timeout=0.05)]
    assert told == [{"organization": team.id, "webhook": webhook}]


SECRETS = ("secret", "previous_secret")


@pytest.mark.parametrize("column", SECRETS)
def test_no_request_reads_a_secret(team: Team, column: str) -> None:
    def read(connection: Connection) -> None:
        connection.execute(f"SELECT {column} FROM webhooks")

    with pytest.raises(psycopg.errors.InsufficientPrivilege), team.people.acting(team.owner) as connection:
        read(connection)


def test_rotation_keeps_the_secret_before_for_a_day(team: Team, admin: psycopg.Connection[Any]) -> None:
    webhook = team.webhook()
    team.run("UPDATE webhooks SET secret = 'gAAAAfirst' WHERE id = %s", webhook)
    team.run("UPDATE webhooks SET secret = 'gAAAAsecond' WHERE id = %s", webhook)
    [row] = admin.execute(
        "SELECT secret, previous_secret, previous_secret_expires_at - now() AS remaining FROM webhooks WHERE id = %s",
        [webhook],
    ).fetchall()
    assert (row["secret"], row["previous_secret"]) == ("gAAAAsecond", "gAAAAfirst")
    assert 86_000 < row["remaining"].total_seconds() <= 86_400
    admin.execute("UPDATE webhooks SET secret = 'gAAAAsame' WHERE id = %s", [webhook])  # under a newer key
    [row] = admin.execute("SELECT secret, previous_secret FROM webhooks WHERE id = %s", [webhook]).fetchall()
    assert (row["secret"], row["previous_secret"]) == ("gAAAAsame", "gAAAAfirst")
    for table in ("events", "audit_logs", "webhook_deliveries"):
        assert not admin.execute(f"SELECT FROM {table} WHERE {table}::text LIKE '%gAAAA%'").rowcount
