"""Signatures that receivers verify with the libraries of the standard."""

from __future__ import annotations

import base64
import os
import time

import pytest
import standardwebhooks
import svix.webhooks

from security.webhook_signatures import TOLERANCE_SECONDS, is_signed, new_secret, secret_key, signature_header

SECRET = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_standards_vector() -> None:
    header = signature_header([secret_key(SECRET)], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert header == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_receivers_verify_with_either_secret_while_it_is_rotated() -> None:
    secrets = ["whsec_" + base64.b64encode(os.urandom(size)).decode() for size in (24, 64)]
    body, now = '{"text": "größer"}'.encode(), int(time.time())
    header = signature_header(map(secret_key, secrets), "m1", now, body)
    headers = {"webhook-id": "m1", "webhook-timestamp": str(now), "webhook-signature": header}
    for secret in secrets:
        standardwebhooks.Webhook(secret).verify(body, headers)
        svix.webhooks.Webhook(secret).verify(body, headers)
    other = "whsec_" + base64.b64encode(os.urandom(24)).decode()
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(other).verify(body, headers)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_no base64", "whsec_abc"])
def test_what_is_no_secret(secret: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        secret_key(secret)


VECTOR = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
GOOD = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("signatures", "late", "expected"),
    [
        (GOOD, 0, True),
        (f"v1a,x v1,AAAA {GOOD}", 0, True),
        (GOOD, TOLERANCE_SECONDS, True),
        (GOOD, -TOLERANCE_SECONDS, True),
        (GOOD, TOLERANCE_SECONDS + 1, False),
        (GOOD, -TOLERANCE_SECONDS - 1, False),
        (GOOD.replace("v1,", "v2,"), 0, False),
        (GOOD[:-1], 0, False),
        ("", 0, False),
        ("v1,", 0, False),
        ("v1,x " * 16 + GOOD, 0, False),
    ],
)
def test_verifying_the_standards_vector(signatures: str, late: int, expected: bool) -> None:
    keys = [secret_key(new_secret()), secret_key(SECRET)]
    assert is_signed(keys, *VECTOR, signatures, now=VECTOR[1] + late) == expected
    assert not is_signed(keys[:1], *VECTOR, signatures, now=VECTOR[1] + late)
