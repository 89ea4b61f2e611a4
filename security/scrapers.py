"""Who may read `/metrics`: whoever has METRICS_TOKEN, or this machine alone where there is none."""

from __future__ import annotations

import hmac
import ipaddress

MISSING_TOKEN = "Send METRICS_TOKEN: Authorization: Bearer …"
FROM_ELSEWHERE = "Metrics are for this machine; METRICS_TOKEN opens them to others."


def bears(authorization: str, token: str) -> bool:
    """Whether a header shows the token.

    :param authorization: the `Authorization` header, empty where there is none.
    """
    kind, _, given = authorization.partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(
        given.strip().encode("utf-8", "surrogateescape"), token.encode()
    )


def is_this_machine(address: str | None, *, forwarded: bool) -> bool:
    """Whether a request comes from this machine itself.

    :param address: of the other end of the connection; None where it is not known.
    :param forwarded: whether a proxy says that it asks for somebody else.
    """
    if forwarded:
        return False
    try:
        origin = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    return (getattr(origin, "ipv4_mapped", None) or origin).is_loopback
