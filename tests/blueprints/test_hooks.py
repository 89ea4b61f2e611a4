"""Inbound calls: signed by the standard's own libraries, checked over a socket."""

from __future__ import annotations

import json
import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import standardwebhooks
import svix.webhooks

from tests.conftest import Databases
from tests.service import Answer, Client, Person, Service
from tests.web.asking import assert_refused
from tests.web.specimens import webhook

BODY = {"type": "invoice.paid", "data": {"invoice": "in_42"}}


def signed(secret: str, body: bytes, *, message: str | None = None, moment: datetime | None = None) -> dict[str, str]:
    """The headers of a message, made by the package `standardwebhooks`."""
    message, moment = message or str(uuid.uuid4()), moment or datetime.now(UTC)
    return {
        "webhook-id": message,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": standardwebhooks.Webhook(secret).sign(message, moment, body.decode()),
    }


def call(person: Person, made: dict[str, Any], body: Any = BODY, **how: Any) -> Answer:
    """A call of a webhook with a signed message."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = signed(how.pop("secret", made["secret"]), content, **how)
    return Client(person.client.port).post(f"/hooks/{made['id']}", content, headers=headers)


def executions(person: Person, made: dict[str, Any]) -> list[dict[str, Any]]:
    """The executions of a webhook's integration."""
    return list(person.get(f"/integrations/{made['integration_id']}/executions").json["items"])


def test_a_signed_call_starts_an_execution(ann: Person) -> None:
    made = webhook(ann)
    body = json.dumps({**BODY, "text": "größer", "number": 0.1}).encode()
    headers = {**signed(made["secret"], body, message="m1"), "User-Agent": "biller/1", "Cookie": "private"}
    answer = Client(ann.client.port).post(f"/hooks/{made['id']}", body, headers=headers)
    assert answer.status == 202, answer.body
    [execution] = executions(ann, made)
    assert answer.json == {"execution_id": execution["id"]}
    assert answer.headers["Location"] == f"/api/v1/integration-executions/{execution['id']}"
    assert ann.get(f"/integration-executions/{execution['id']}").status == 200
    assert (execution["trigger_type"], execution["status"]) == ("webhook", "pending")
    told = execution["trigger_data"]
    assert told["body"] == json.loads(body)
    assert told["headers"] == {"Content-Type": "application/json", "User-Agent": "biller/1"}
    assert (told["webhook_id"], told["message_id"]) == (made["id"], "m1")
    events = ann.get(f"/events?aggregate_id={execution['id']}").json["items"]
    assert [(each["event_type"], each["created_by"]) for each in events] == [("integration_execution.created", None)]
    assert events[0]["metadata"]["request_id"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize("body", [b"[1, 2]", b'"text"', b"null", b"{}"])
def test_any_json_will_do(ann: Person, body: bytes) -> None:
    made = webhook(ann)
    assert call(ann, made, body).status == 202
    assert executions(ann, made)[0]["trigger_data"]["body"] == json.loads(body)


def test_svix_signs_as_well(ann: Person) -> None:
    made, body, now = webhook(ann), b'{"a": 1}', datetime.now(UTC)
    signature = "v1a,x v2,y " + svix.webhooks.Webhook(made["secret"]).sign("m", now, body.decode())
    headers = {"webhook-id": "m", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    assert Client(ann.client.port).post(f"/hooks/{made['id']}", body, headers=headers).status == 202


def test_after_a_rotation_both_secrets_work_until_the_old_one_expires(ann: Person, service: Service) -> None:
    made = webhook(ann)
    new = ann.post(f"/webhooks/{made['id']}/rotate-secret").json["secret"]
    assert call(ann, made, secret=new).status == 202
    assert call(ann, made).status == 202
    with service.database.admin() as admin:
        admin.execute("UPDATE webhooks SET previous_secret_expires_at = now() WHERE id = %s", [made["id"]])
    assert call(ann, made).status == 401
    assert call(ann, made, secret=new).status == 202


def test_nobody_learns_which_webhooks_there_are(ann: Person, service: Service) -> None:
    """Whatever is wrong, the answer is the same."""
    made, now = webhook(ann), datetime.now(UTC)
    content = json.dumps(BODY).encode()
    port, path = ann.client.port, f"/hooks/{made['id']}"
    other = webhook(ann)["secret"]
    good = signed(made["secret"], content)
    earlier = str(int(good["webhook-timestamp"]) - 1)
    answers = [
        call(ann, {**made, "id": str(uuid.uuid4())}),
        call(ann, made, secret=other),
        call(ann, made, moment=now - timedelta(minutes=6)),
        call(ann, made, moment=now + timedelta(minutes=6)),
        Client(port).post(path, content),
        Client(port).post(path, content + b" ", headers=good),
        Client(port).post(path, content, headers={**good, "webhook-id": "another"}),
        Client(port).post(path, content, headers={**good, "webhook-id": ""}),
        Client(port).post(path, content, headers={**good, "webhook-id": "x" * 256}),
        Client(port).post(path, content, headers={**good, "webhook-timestamp": earlier}),
        Client(port).post(path, content, headers={**good, "webhook-timestamp": "now"}),
        Client(port).post(path, content, headers={**good, "webhook-timestamp": "9" * 40}),
        Client(port).post(path, content, headers={**good, "webhook-timestamp": "\xb2"}),
        Client(port).post(path, content, headers={**good, "webhook-signature": "v1,"}),
        Client(port).post(path, content, headers={**good, "webhook-signature": "v1,\xe4"}),
        Client(port).post(path, b"{", headers=good),
    ]
    ann.post(f"/webhooks/{made['id']}/disable")
    answers.append(call(ann, made))
    ann.post(f"/webhooks/{made['id']}/enable")
    ann.delete(f"/webhooks/{made['id']}", headers={"If-Match": "*"})
    answers.append(call(ann, made))
    ann.post(f"/webhooks/{made['id']}/restore")
    ann.delete(f"/integrations/{made['integration_id']}", headers={"If-Match": "*"})
    answers.append(call(ann, made))
    for number, answer in enumerate(answers):
        assert (answer.status, answer.code) == (401, "unauthenticated"), number
        problem = {**answer.json, "request_id": "", "instance": ""}
        assert problem == {**answers[0].json, "request_id": "", "instance": ""}, number
    with service.database.admin() as admin:
        assert not admin.execute("SELECT FROM webhook_messages WHERE webhook_id = %s", [made["id"]]).rowcount
        assert not admin.execute(
            "SELECT FROM integration_executions WHERE integration_id = %s", [made["integration_id"]]
        ).rowcount


def test_a_replay_is_refused_and_a_repetition_answered_again(ann: Person) -> None:
    made, now = webhook(ann), datetime.now(UTC) - timedelta(minutes=2)
    first = call(ann, made, message="m1", moment=now)
    assert first.status == 202
    assert_refused(call(ann, made, message="m1", moment=now), 409, "conflict")
    # the sender missed the answer and sends the message again, signed anew
    again = call(ann, made, message="m1", moment=now + timedelta(seconds=5))
    assert (again.status, again.json) == (202, first.json)
    for seconds in (5, 0, -5):
        assert call(ann, made, message="m1", moment=now + timedelta(seconds=seconds)).code == "conflict"
    assert len(executions(ann, made)) == 1
    other = webhook(ann)
    assert call(ann, other, message="m1", moment=now).status == 202


def test_of_the_same_message_at_the_same_time_one_is_taken(ann: Person) -> None:
    made, now, start = webhook(ann), datetime.now(UTC), threading.Barrier(8)
    answers: list[int] = []

    def send() -> None:
        start.wait()
        answers.append(call(ann, made, message="m1", moment=now).status)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [202] + [409] * 7
    assert len(executions(ann, made)) == 1


def test_bodies_that_are_refused(ann: Person) -> None:
    made = webhook(ann)
    for body, status in ((b"{", 400), (b"", 400), (b"[" * 100 + b"]" * 100, 400), (b'{"a": NaN}', 400),
                         (b'"\\u0000"', 422), (b'"' + b"x" * 1024 * 1024 + b'"', 413)):  # fmt: skip
        assert call(ann, made, body).status == status, body[:20]
    assert call(ann, made, b'{"a": ["\\u0000"]}').json["errors"][0]["pointer"] == "/a/0"
    content = b"{}"
    headers = {**signed(made["secret"], content), "Content-Type": "text/plain"}
    assert Client(ann.client.port).post(f"/hooks/{made['id']}", content, headers=headers).status == 415
    assert executions(ann, made) == []


def test_calls_are_limited_for_each_webhook(databases: Databases) -> None:
    clone = databases.clone()
    with Service(clone.settings(inbound_hook_rate_limit=2)) as service:
        ann = service.person()
        made, other = webhook(ann), webhook(ann)
        for _ in range(3):  # what is not signed right uses nothing up
            assert call(ann, made, secret=other["secret"]).status == 401
        assert [call(ann, made).status for _ in range(3)] == [202, 202, 429]
        refused = call(ann, made)
        assert 0 < int(refused.headers["Retry-After"]) <= 1800
        assert call(ann, other).status == 202
        assert len(executions(ann, made)) == 2
    databases.drop(clone.name)


def test_messages_are_forgotten_after_a_week(ann: Person, service: Service) -> None:
    made = webhook(ann)
    for message in ("old", "newer"):
        assert call(ann, made, message=message).status == 202
    with service.database.admin() as admin:
        admin.execute(
            "UPDATE webhook_messages SET created_at = now() - interval '8 days'"
            " WHERE webhook_id = %s AND message_id = 'old'",
            [made["id"]],
        )
        assert call(ann, made, message="new").status == 202
        rows = admin.execute("SELECT message_id FROM webhook_messages WHERE webhook_id = %s", [made["id"]]).fetchall()
    assert {row["message_id"] for row in rows} == {"newer", "new"}
