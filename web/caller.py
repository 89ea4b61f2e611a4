"""Who calls: the credential of the request, made into an identity for the database."""

from __future__ import annotations

import functools
import hashlib
import ipaddress
from collections.abc import Callable
from typing import Any, cast

from flask import Response, current_app, g, request
from werkzeug.exceptions import HTTPException

from config import Settings
from database import ApiKey, Identity, Nobody, Pool, Session, statement
from errors import DomainError, RateLimited, Unauthenticated, Unavailable
from repositories.requests import Requests
from security.api_keys import is_api_key
from security.tokens import is_access_token

View = Callable[..., Response]


def pool() -> Pool:
    """The process's connections."""
    return cast(Pool, current_app.extensions["pool"])


def settings() -> Settings:
    """The settings the application was made with."""
    return cast(Settings, current_app.extensions["settings"])


def caller() -> Identity:
    """The identity of whoever sent the request; the database has the last word on it.

    :raises errors.Unauthenticated: there is no credential, or it is mistyped: neither costs a query.
    """
    if "identity" not in g:
        g.identity = _identify()
    return cast(Identity, g.identity)


def anybody() -> Identity:
    """The identity of a request that needs no credential."""
    if "identity" not in g:
        g.identity = _identity(Nobody, None)
    return cast(Identity, g.identity)


def known(view: View) -> View:
    """Have the caller known before `view` looks at the request.

    A request that is refused before the database was asked is authenticated and counted all the same.
    """

    @functools.wraps(view)
    def knowing(*arguments: Any, **names: Any) -> Response:
        identity = caller()
        try:
            return view(*arguments, **names)
        except (DomainError, HTTPException) as error:
            asked = identity.user_id is not None or isinstance(error, Unauthenticated | RateLimited | Unavailable)
            if not asked:
                with statement(identity) as connection:
                    Requests(connection).count()
            raise

    return knowing


def address() -> str | None:
    """The caller's network address; None where a proxy handed on something else, such as `unknown`."""
    return _network_address(request.remote_addr or "")


@functools.lru_cache(maxsize=4096)
def _network_address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def digest(secret: str) -> str:
    """SHA-256 in hexadecimal: what is stored of keys and tokens."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _identify() -> Identity:
    key = request.headers.get("X-API-Key")
    if key is None:
        kind, _, key = request.headers.get("Authorization", "").partition(" ")
        if not kind:
            raise Unauthenticated("Send an API key or an access token: Authorization: Bearer …")
        if kind.lower() != "bearer":
            raise Unauthenticated("The only scheme is Bearer.")
        key = key.strip()
        if is_access_token(key):
            return _identity(Session, key)
    if not is_api_key(key):
        raise Unauthenticated("This is neither an API key nor an access token: a character may be missing or wrong.")
    return _identity(ApiKey, key)


def _identity(kind: type[Identity], secret: str | None) -> Identity:
    return kind(
        pool(),
        credential=None if secret is None else digest(secret),
        request_id=g.request_id,
        ip_address=address(),
        user_agent=request.headers.get("User-Agent", "")[:1000],
        requests_an_hour=settings().session_rate_limit,
    )
