"""Signing in and staying so: for the API and for the operators' page."""

from __future__ import annotations

from typing import Any

from flask import request

from database import statement
from errors import RateLimited, Unauthenticated
from repositories.sessions import Sessions
from repositories.users import Users
from security.passwords import verify_password
from security.tokens import ACCESS_SECONDS, GRACE_SECONDS, REFRESH_SECONDS, TokenPair, first_pair, next_pair
from web.caller import anybody, digest, settings


def sign_in(email: str, password: str) -> TokenPair:
    """Begin a session.

    :raises errors.Unauthenticated: the address or the password is wrong.
    :raises errors.RateLimited: too many have been tried; `Retry-After` says when to try again.
    """
    account, address = digest(f"account {email.lower()}"), digest(f"address {request.remote_addr}")
    with statement(anybody()) as connection:
        attempt = Users(connection).begin_login(account=account, address=address, email=email)
    if attempt["wait_seconds"]:
        raise RateLimited("Too many failed attempts.", headers={"Retry-After": str(attempt["wait_seconds"])})
    if not verify_password(password, attempt["password_hash"], settings().bcrypt_cost):
        with statement(anybody()) as connection:
            Users(connection).fail_login(user_id=attempt["user_id"], account=account)
        raise Unauthenticated("The address or the password is wrong.")
    pair = first_pair(settings().signing_keys)
    with statement(anybody()) as connection:
        Sessions(connection).begin(
            user_id=attempt["user_id"],
            account=account,
            address=address,
            access_seconds=ACCESS_SECONDS,
            refresh_seconds=REFRESH_SECONDS,
            **_stored(pair),
        )
    return pair


def renew(refresh_token: str) -> TokenPair:
    """Exchange a refresh token for new tokens; using one twice ends the session.

    :raises errors.Unauthenticated: it is none, was used before, or its session has ended.
    """
    pair = next_pair(refresh_token, settings().signing_keys)
    if pair is None:
        raise Unauthenticated("This is not a refresh token.")
    with statement(anybody()) as connection:
        outcome = Sessions(connection).refresh(
            presented=digest(refresh_token),
            access_seconds=ACCESS_SECONDS,
            grace_seconds=GRACE_SECONDS,
            **_stored(pair),
        )
    if outcome == "reused":
        raise Unauthenticated("This refresh token was used before; the session has been ended for safety.")
    if outcome == "ended":
        raise Unauthenticated("This session has ended.")
    return pair


def _stored(pair: TokenPair) -> dict[str, Any]:
    """What is stored of tokens."""
    return {
        "session_id": pair.session_id,
        "session_token": digest(pair.access_token),
        "refresh_token": digest(pair.refresh_token),
    }
