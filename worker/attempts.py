"""One attempt at a delivery: signed, sent, and judged."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

import orjson

from outbound import Answer, OutboundClient, OutboundFailure
from repositories.delivery_queue import Delivery, Outcome, Report
from security.encryption import Cipher
from security.webhook_signatures import secret_key, signature_header

JITTER = 0.1  # of the delay, either way
LONGEST_WAIT = 24 * 3600.0  # seconds: what Retry-After may ask for at most
BODY_LIMIT = 16 * 1024  # bytes of the answer's body that are kept, and of its headers
MAY_ASK_FOR_TIME = (429, 502, 503, 504)


class Attempts:
    """Makes attempts.

    :param timeout: seconds for all of one.
    """

    def __init__(self, outbound: OutboundClient, cipher: Cipher, timeout: float) -> None:
        self._outbound = outbound
        self._timeout = timeout
        self._key = lru_cache(4096)(lambda secret: secret_key(cipher.decrypt(secret.encode()).decode()))

    async def make(self, delivery: Delivery) -> Report:
        """Attempt a delivery once, whatever comes of it."""
        began, now = time.perf_counter(), time.time()
        answer: Answer | None = None
        error: str | None = None
        try:
            body = delivery.payload.encode()
            headers = self._headers(delivery, body, int(now))
            answer = await self._outbound.request(
                "POST", delivery.url, headers=headers, body=body, timeout=self._timeout, body_limit=BODY_LIMIT
            )
        except OutboundFailure as failure:
            error = str(failure)
        except ValueError:
            error = "secret_unreadable: The secret cannot be decrypted with any key of this service."
        duration = time.perf_counter() - began
        return judged(delivery, answer, error, now, duration)

    def _headers(self, delivery: Delivery, body: bytes, timestamp: int) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "webhook-id": delivery.id,
            "webhook-timestamp": str(timestamp),
        }
        keys = [self._key(secret) for secret in (delivery.secret, delivery.previous_secret) if secret]
        if keys:
            headers["webhook-signature"] = signature_header(keys, delivery.id, timestamp, body)
        return headers


def judged(delivery: Delivery, answer: Answer | None, error: str | None, began: float, duration: float) -> Report:
    """What an attempt means for its delivery.

    :param error: why there is no answer.
    :param began: seconds since 1970.
    """
    delivered = answer is not None and 200 <= answer.status < 300
    if answer is not None and not delivered:
        is_redirect = 300 <= answer.status < 400
        error = "redirected: Redirects are not followed." if is_redirect else "refused: The endpoint did not accept it."
    outcome: Outcome = "delivered"
    delay = 0.0
    if not delivered:
        outcome, delay = next_try(delivery, answer)
    record: dict[str, Any] = {
        "started_at": datetime.fromtimestamp(began, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "duration_ms": round(duration * 1000),
        "response_status": answer.status if answer else None,
        "response_headers": kept_headers(answer.headers) if answer else None,
        "response_body": kept_text(answer.body) if answer else None,
        "error": error,
    }
    return Report(delivery, outcome, delay, orjson.dumps(record).decode(), duration)


def plain(report: Report) -> Report:
    """A report without what came from outside."""
    record = {**orjson.loads(report.attempt), "response_headers": None, "response_body": None, "error": None}
    return replace(report, attempt=orjson.dumps(record).decode())


def next_try(delivery: Delivery, answer: Answer | None) -> tuple[Outcome, float]:
    """What to do after a failure, and after how many seconds.

    An endpoint that asks for time is given it, but it does not get the next attempt sooner than the schedule says.
    """
    done = delivery.attempt + 1
    if done >= len(delivery.retry_seconds):
        return "exhausted", 0.0
    delay = delivery.retry_seconds[done] * random.uniform(1 - JITTER, 1 + JITTER)
    if answer is not None and answer.status in MAY_ASK_FOR_TIME:
        delay = max(delay, min(asked_for(answer.headers.get("retry-after", "")), LONGEST_WAIT))
    return "pending", delay


def asked_for(retry_after: str) -> float:
    """The seconds that `Retry-After` asks for (RFC 9110, 10.2.3): a number or a date. 0 where it makes no sense."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        date = parsedate_to_datetime(text)
        return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0


def kept_text(content: bytes) -> str:
    """Bytes as text that PostgreSQL stores, 16 kB of it."""
    text = content.decode("utf-8", "replace").replace("\0", "�")
    return text.encode()[:BODY_LIMIT].decode("utf-8", "ignore")


def kept_headers(headers: dict[str, str]) -> dict[str, str]:
    """The first headers, up to 16 kB of them."""
    kept, room = {}, BODY_LIMIT
    for name, value in headers.items():
        room -= len(name) + len(value)
        if room < 0:
            break
        kept[name] = value
    return kept
