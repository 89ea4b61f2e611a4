"""Why a request did not get an answer."""

from __future__ import annotations

from typing import Literal

Code = Literal[
    "invalid_url",  # not http(s), user information in it, not a URL
    "invalid_request",  # a header or a method that cannot be sent
    "address_refused",  # leads to an address that is not public
    "name_not_resolved",
    "connection_failed",  # refused, reset, closed before the answer was complete
    "tls_failed",
    "timed_out",
    "invalid_answer",  # what came back is not HTTP
    "redirect_refused",  # to another host, or one too many
]


class OutboundFailure(Exception):
    """No answer came back.

    :param code: what kind of failure it was.
    :param detail: one sentence for the person who owns the address; names no address that it resolved to.
    """

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
