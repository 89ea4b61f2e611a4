"""Access and refresh tokens of sessions: opaque to the client.

A refresh token names its session and is signed, so that a token which was replaced long ago is still
recognised as that session's: presenting it ends the session. The tokens that follow are derived from the one
presented, so that repeating a refresh gives the same answer.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

ACCESS_PREFIX = "cca_"
REFRESH_PREFIX = "ccr_"
MAILED_PREFIX = "ccm_"
ACCESS_SECONDS = 15 * 60
REFRESH_SECONDS = 30 * 24 * 3600
GRACE_SECONDS = 10

_NONCE = 16
_SEAL = 16


@dataclass(frozen=True)
class TokenPair:
    """What a person signs in with for the next while."""

    session_id: uuid.UUID
    access_token: str
    refresh_token: str


def is_access_token(text: str) -> bool:
    """Whether a text can be an access token."""
    return text.startswith(ACCESS_PREFIX) and len(text) == len(ACCESS_PREFIX) + 43 and text.isascii()


def new_mailed_token() -> str:
    """A single-use token that only a mail shows."""
    return _written(MAILED_PREFIX, secrets.token_bytes(32))


def first_pair(keys: Sequence[str]) -> TokenPair:
    """The tokens of a new session.

    :param keys: signing keys, newest first.
    """
    return _pair(uuid.uuid4(), secrets.token_bytes(_NONCE), secrets.token_bytes(32), keys)


def next_pair(refresh_token: str, keys: Sequence[str]) -> TokenPair | None:
    """The tokens that follow a refresh token; None where the token is not one of ours.

    :param keys: signing keys, newest first; each of them may have signed the token.
    """
    try:
        raw = base64.urlsafe_b64decode(refresh_token.removeprefix(REFRESH_PREFIX))
    except ValueError:
        return None
    body, seal = raw[:-_SEAL], raw[-_SEAL:]
    # decoding forgives what surrounds a token, hashing does not: a token with junk around it is none, not a used one
    if refresh_token != _written(REFRESH_PREFIX, raw):
        return None
    if len(raw) != 16 + _NONCE + _SEAL or not any(hmac.compare_digest(seal, _seal(body, key)) for key in keys):
        return None
    derive = [hmac.digest(keys[0].encode(), label + raw, "sha256") for label in (b"nonce", b"access")]
    return _pair(uuid.UUID(bytes=body[:16]), derive[0][:_NONCE], derive[1], keys)


def _pair(session_id: uuid.UUID, nonce: bytes, access: bytes, keys: Sequence[str]) -> TokenPair:
    body = session_id.bytes + nonce
    return TokenPair(
        session_id,
        _written(ACCESS_PREFIX, access),
        _written(REFRESH_PREFIX, body + _seal(body, keys[0])),
    )


def _written(prefix: str, raw: bytes) -> str:
    return prefix + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _seal(body: bytes, key: str) -> bytes:
    return hmac.new(key.encode(), b"refresh" + body, hashlib.sha256).digest()[:_SEAL]
