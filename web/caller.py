"""Who calls: the credential of the request, made into an identity for the database."""

from __future__ import annotations

import functools
import hashlib
import ipaddress
from collections.abc import Callable
from typing import Any, cast

from flask import Request, Response, current_app, g, request
from flask.globals import app_ctx, request_ctx
from werkzeug.exceptions import HTTPException

from config import Settings
from database import Address, ApiKey, Identity, Nobody, Pool, Session, statement
from errors import DomainError, Forbidden, LimitExceeded, RateLimited, Unauthenticated, Unavailable
from repositories.requests import Requests
from security.api_keys import is_api_key
from security.encryption import Cipher
from security.tokens import is_access_token
from web.answers import READING
from web.refusals import record_refusal

View = Callable[..., Response]


def pool() -> Pool:
    """The process's connections."""
    return cast(Pool, current_app.extensions["pool"])


def settings() -> Settings:
    """The settings the application was made with."""
    return cast(Settings, current_app.extensions["settings"])


def cipher() -> Cipher:
    """What encrypts secrets at rest."""
    return cast(Cipher, current_app.extensions["cipher"])


def caller() -> Identity:
    """The identity of whoever sent the request; the database has the last word on it.

    :raises errors.Unauthenticated: there is no credential, or it is mistyped: neither costs a query.
    """
    kept = app_ctx.g
    if "identity" not in kept:
        kept.identity = _identify(request_ctx.request)
    return cast(Identity, kept.identity)


def anybody() -> Identity:
    """The identity of a request that needs no credential; it is counted by the address that it comes from."""
    return _of_address("address", settings().address_rate_limit)


def sender() -> Identity:
    """The identity of an inbound call, whose signature is yet to be checked.

    Counted by address too, but apart from other requests: one system calls the webhooks of many.
    """
    return _of_address("sender", settings().inbound_address_rate_limit)


def _of_address(kind: str, requests_an_hour: int) -> Identity:
    if "identity" not in g:
        g.identity = _identity(Address, f"{kind} {address()}", request_ctx.request, requests_an_hour)
    return cast(Identity, g.identity)


def bearer(access_token: str) -> Identity:
    """The identity of a person whose access token did not come in the header that :func:`caller` reads."""
    g.identity = _identity(Session, access_token, request_ctx.request)
    return cast(Identity, g.identity)


def nobody() -> Identity:
    """The identity of a request that is nobody's and is not counted either: a probe of the service's health."""
    return _identity(Nobody, None, request_ctx.request)


def known(view: View, who: Callable[[], Identity] = caller) -> View:
    """Have the caller known before `view` looks at the request.

    A request that is refused before the database was asked is authenticated and counted all the same. What a
    caller who is somebody may not do is recorded.

    :param who: what tells the caller.
    """

    @functools.wraps(view)
    def knowing(*arguments: Any, **names: Any) -> Response:
        identity = who()
        try:
            return view(*arguments, **names)
        except (DomainError, HTTPException) as error:
            counted = identity.user_id is not None or identity.budget is not None
            asked = counted or isinstance(error, Unauthenticated | RateLimited | Unavailable)
            if not asked:
                with statement(identity) as connection:
                    Requests(connection).count()
            if identity.user_id is not None and isinstance(error, Forbidden) and not isinstance(error, LimitExceeded):
                answer = record_refusal(identity, error)
                if answer is not error:
                    raise answer from error
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


def _identify(asked: Request) -> Identity:
    key = asked.environ.get("HTTP_X_API_KEY")
    if key is None:
        kind, _, key = asked.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if not kind:
            raise Unauthenticated("Send an API key or an access token: Authorization: Bearer …")
        if kind.lower() != "bearer":
            raise Unauthenticated("The only scheme is Bearer.")
        key = key.strip()
        if is_access_token(key):
            return _identity(Session, key, asked)
    if not is_api_key(key):
        raise Unauthenticated("This is neither an API key nor an access token: a character may be missing or wrong.")
    return _identity(ApiKey, key, asked)


def _identity(
    kind: type[Identity], secret: str | None, asked: Request, requests_an_hour: int | None = None
) -> Identity:
    application = current_app.extensions
    return kind(
        application["pool"],
        credential=None if secret is None else digest(secret),
        request_id=g.request_id,
        ip_address=_network_address(asked.remote_addr or ""),
        user_agent=asked.environ.get("HTTP_USER_AGENT", "")[:1000],
        requests_an_hour=requests_an_hour or application["settings"].session_rate_limit,
        reads_only=asked.environ["REQUEST_METHOD"] in READING,
    )
