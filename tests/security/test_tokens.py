"""Tokens of sessions."""

from __future__ import annotations

import uuid

import pytest

from security.tokens import REFRESH_PREFIX, first_pair, is_access_token, next_pair

KEYS = ("the newest signing key, 32 characters", "an older signing key of 32 characters")


def test_the_next_tokens_follow_from_the_last() -> None:
    first = first_pair(KEYS)
    second = next_pair(first.refresh_token, KEYS)
    assert second is not None
    assert second == next_pair(first.refresh_token, KEYS), "a repeated refresh gets the same answer"
    assert second.session_id == first.session_id
    assert len({first.access_token, second.access_token, first.refresh_token, second.refresh_token}) == 4
    assert is_access_token(first.access_token)
    assert not is_access_token(first.refresh_token)


def test_sessions_differ() -> None:
    assert first_pair(KEYS).session_id != first_pair(KEYS).session_id


def test_a_token_that_an_older_key_signed_goes_on() -> None:
    first = first_pair(KEYS[1:])
    second = next_pair(first.refresh_token, KEYS)
    assert second is not None
    assert next_pair(second.refresh_token, KEYS[:1]) is not None
    assert next_pair(first.refresh_token, KEYS[:1]) is None


@pytest.mark.parametrize(
    "token", ["", "x", REFRESH_PREFIX, REFRESH_PREFIX + "A" * 64, "é" * 64, "\0", REFRESH_PREFIX + "A" * 65]
)
def test_what_is_not_ours(token: str) -> None:
    assert next_pair(token, KEYS) is None


def test_a_changed_token() -> None:
    token = first_pair(KEYS).refresh_token
    other = "A" if token[10] != "A" else "B"
    assert next_pair(token[:10] + other + token[11:], KEYS) is None


def test_junk_around_a_token_is_not_a_used_token() -> None:
    token = first_pair(KEYS).refresh_token
    for junk in (token + "\n", token + "=", token.removeprefix(REFRESH_PREFIX), " " + token, token + "!"):
        assert next_pair(junk, KEYS) is None


def test_the_session_is_in_the_token() -> None:
    assert isinstance(first_pair(KEYS).session_id, uuid.UUID)
