"""Who may see the page: a session kept in a cookie of its own, or a credential as for the API.

The cookie holds both of the session's tokens; it is HttpOnly, only sent to this page, and never from another site.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Response, g, request

from database import Identity, Row, statement
from errors import Forbidden, Unauthenticated
from repositories.users import Users
from security.tokens import TokenPair, next_pair
from web.caller import bearer, caller, settings
from web.signing_in import renew

COOKIE = "ccb_operator"
PATH = "/ops"
KEEP = 12 * 3600  # seconds after which to sign in again


@dataclass(frozen=True)
class Operator:
    """Whoever looks at the page.

    :param form_token: what their forms have to carry; None where no cookie tells who they are.
    """

    identity: Identity
    profile: Row
    form_token: str | None


def operator() -> Identity:
    """The identity of whoever asks for the page; its profile is kept for :func:`present`.

    :raises errors.Unauthenticated: there is no credential, or its session has ended.
    """
    if "Authorization" in request.headers or "X-API-Key" in request.headers:
        identity = caller()
        g.operator = Operator(identity, _profile(identity), None)
        return identity
    access, refresh = _tokens()
    if not access:
        raise Unauthenticated("Sign in to see how the service is.")
    identity = bearer(access)
    try:
        profile = _profile(identity)
    except Unauthenticated:
        g.pop("identity")
        pair = renew(refresh)
        g.operator_cookie = pair
        refresh = pair.refresh_token
        identity = bearer(pair.access_token)
        profile = _profile(identity)
    g.operator = Operator(identity, profile, _form_token(refresh))
    return identity


def found() -> Operator | None:
    """Whom :func:`operator` found, if anybody."""
    who: Operator | None = g.get("operator")
    return who


def present() -> Operator:
    """Whom :func:`operator` found."""
    found: Operator = g.operator
    return found


def is_known() -> bool:
    """Whether the cookie is one that this service gave, be its session over or not: told without the database."""
    return next_pair(_tokens()[1], settings().signing_keys) is not None


def keep(pair: TokenPair) -> None:
    """Have the answer set the cookie."""
    g.operator_cookie = pair


def forget() -> None:
    """Have the answer take the cookie back."""
    g.operator_cookie = None


def set_cookie(answer: Response) -> Response:
    """Set the cookie, or take it back, where the request asked for it."""
    if "operator_cookie" in g:
        pair: TokenPair | None = g.operator_cookie
        answer.set_cookie(
            COOKIE,
            f"{pair.access_token}.{pair.refresh_token}" if pair else "",
            max_age=KEEP if pair else 0,
            path=PATH,
            secure=request.is_secure or settings().base_url.startswith("https:"),
            httponly=True,
            samesite="Strict",
        )
    return answer


def expect_own_form() -> None:
    """Refuse what another site has a browser send, although the cookie stays away then by itself.

    :raises errors.Forbidden: the form is not of this page, or of another session's page.
    """
    found: Operator | None = g.get("operator")
    if found is not None and found.form_token is None:
        return  # no browser shows a credential in a header by itself
    here = {request.host, urlsplit(settings().base_url).netloc}
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin", "")
    if site not in (None, "same-origin") or urlsplit(origin).netloc not in here:
        raise Forbidden("This form was sent from another site.")
    given = request.form.get("token", "")
    if found is not None and not hmac.compare_digest(given.encode(), str(found.form_token).encode()):
        raise Forbidden("This form belongs to a session that has ended; load the page again.")


def _tokens() -> tuple[str, str]:
    access, _, refresh = request.cookies.get(COOKIE, "").partition(".")
    return access, refresh


def _profile(identity: Identity) -> Row:
    with statement(identity) as connection:
        return Users(connection).get()


def _form_token(refresh_token: str) -> str | None:
    """Belongs to the session, so that it outlives the renewing of tokens."""
    key = settings().signing_keys[0].encode()
    pair = next_pair(refresh_token, settings().signing_keys)
    return None if pair is None else hmac.new(key, b"form of " + pair.session_id.bytes, "sha256").hexdigest()
