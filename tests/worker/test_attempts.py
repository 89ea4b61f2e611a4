"""What an attempt means: signatures, outcomes, delays, and what is kept of the answer."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import standardwebhooks
import svix.webhooks
from cryptography.fernet import Fernet

from outbound import Answer, OutboundClient
from repositories.delivery_queue import Delivery, Report
from security.encryption import Cipher
from tests.outbound.receiver import Behaviour, Receiver, answering, raw
from tests.worker.hooks import new_secret
from worker.attempts import BODY_LIMIT, JITTER, LONGEST_WAIT, Attempts, asked_for, judged

OLD_KEY, KEY = Fernet.generate_key().decode(), Fernet.generate_key().decode()
PAYLOAD = '{"type": "integration.updated", "data": {"name": "größer"}}'


def claimed(url: str = "http://127.0.0.1/", attempt: int = 0, **values: Any) -> Delivery:
    """A delivery as a claim gives it."""
    given = {"secret": None, "previous_secret": None, "retry_seconds": [0, 5, 300], **values}
    return Delivery(
        "d1", datetime.now(UTC), "token", "o1", "w1", url, payload=PAYLOAD, attempt=attempt, waited=0.1, **given
    )


def attempt(behaviour: Behaviour, **values: Any) -> tuple[Report, Receiver]:
    """Make one attempt at a server that behaves so."""

    async def make() -> tuple[Report, Receiver]:
        async with Receiver(behaviour) as receiver, OutboundClient(["127.0.0.0/8"]) as outbound:
            attempts = Attempts(outbound, Cipher([KEY, OLD_KEY]), timeout=1.0)
            return await attempts.make(claimed(receiver.url("/hook"), **values)), receiver

    return asyncio.run(make())


def test_receivers_verify_what_they_get_with_both_secrets() -> None:
    new, old = new_secret(), new_secret()
    report, receiver = attempt(
        answering(204, b""),
        secret=Cipher([KEY]).encrypt(new.encode()).decode(),
        previous_secret=Cipher([OLD_KEY]).encrypt(old.encode()).decode(),
    )
    assert report.outcome == "delivered"
    [sent] = receiver.requests
    assert (sent.method, sent.target, sent.body.decode()) == ("POST", "/hook", PAYLOAD)
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["webhook-id"] == "d1"
    for secret in (new, old):
        standardwebhooks.Webhook(secret).verify(sent.body, sent.headers)
        svix.webhooks.Webhook(secret).verify(sent.body, sent.headers)
    assert len(sent.headers["webhook-signature"].split(" ")) == 2


def test_everything_of_an_attempt_is_recorded() -> None:
    report, _ = attempt(answering(500, b"sorry\0\xff", X_Reason="over\xff"))
    record = json.loads(report.attempt)
    assert record.keys() == {
        "started_at", "duration_ms", "response_status", "response_headers", "response_body", "error"
    }  # fmt: skip
    assert (record["response_status"], record["response_body"]) == (500, "sorry��")
    assert record["response_headers"]["x-reason"].startswith("over")
    assert record["error"].startswith("refused")
    assert 0 <= record["duration_ms"] < 1000
    began = datetime.fromisoformat(record["started_at"])
    assert abs((datetime.now(UTC) - began).total_seconds()) < 10


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (raw(b"", close=True), "connection_failed"),
        (raw(b"nonsense\r\n\r\n"), "invalid_answer"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), "timed_out"),
        (answering(302, Location="http://127.0.0.1/"), "redirected"),
        (answering(200, b"x" * 100_000), None),
    ],
)
def test_what_goes_wrong(behaviour: Behaviour, error: str | None) -> None:
    report, receiver = attempt(behaviour)
    record = json.loads(report.attempt)
    assert report.outcome == ("pending" if error else "delivered")
    assert (record["error"] or "").partition(":")[0] == (error or "")
    assert len(record["response_body"] or "") <= BODY_LIMIT
    assert len(receiver.requests) == 1


def test_a_secret_that_no_key_fits_is_not_sent_unsigned() -> None:
    secret = Cipher([Fernet.generate_key().decode()]).encrypt(new_secret().encode()).decode()
    report, receiver = attempt(answering(), secret=secret)
    assert receiver.requests == []
    assert report.outcome == "pending"
    assert json.loads(report.attempt)["error"].startswith("secret_unreadable")


def answered(status: int, attempt: int = 0, **headers: str) -> Report:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return judged(claimed(attempt=attempt), Answer(status, given, b"", False, ""), None, 0.0, 0.1)


@pytest.mark.parametrize("status", [301, 307, 400, 404, 410, 500])
def test_the_schedule_with_jitter(status: int) -> None:
    delays = [answered(status, retry_after="1000000").delay for _ in range(200)]
    assert 5 * (1 - JITTER) <= min(delays) < max(delays) <= 5 * (1 + JITTER)
    assert answered(status, attempt=1).delay >= 300 * (1 - JITTER)
    assert answered(status, attempt=2).outcome == "exhausted"
    assert answered(status, attempt=50).outcome == "exhausted"


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_an_endpoint_may_ask_for_time(status: int) -> None:
    assert answered(status, retry_after="120").delay == 120
    assert answered(status, retry_after="0").delay >= 5 * (1 - JITTER), "not sooner than scheduled"
    assert answered(status, retry_after="99999999").delay == LONGEST_WAIT
    assert answered(status, attempt=2, retry_after="120").outcome == "exhausted"


def test_retry_after() -> None:
    soon = datetime.now(UTC) + timedelta(seconds=90)
    assert asked_for("17") == 17
    assert 85 < asked_for(format_datetime(soon, usegmt=True)) <= 90
    assert asked_for("Sun, 06 Nov 1994 08:49:37 GMT") == 0
    for text in ("", "-5", "soon", "1.5", "٣", "9" * 500, "Mon, 99 Nov 2026 99:99:99 GMT"):
        assert asked_for(text) in (0, 999_999_999_999)
