"""Domain errors: what can go wrong in the product's own words, with the code and HTTP status of each.

The database's errors become these in `database/translation.py`; these become answers in `web/problems.py`.
"""

from __future__ import annotations

from typing import Any, ClassVar


class DomainError(Exception):
    """Something the caller did or met that has a name.

    :param detail: one sentence for the person who reads the answer.
    :param headers: HTTP headers that the answer carries.
    :param members: further members of the problem answer, such as `errors` or `allowed`.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str = "", *, headers: dict[str, str] | None = None, **members: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.headers = headers or {}
        self.members = members


class MalformedRequest(DomainError):
    """The request cannot be read: broken JSON, a bad cursor."""

    status, code, title = 400, "malformed_request", "Malformed request"


class BadCursor(MalformedRequest):
    """The cursor is not ours, or belongs to other filters."""

    code, title = "bad_cursor", "Bad cursor"


class Unauthenticated(DomainError):
    """No credential, or one that is not valid (any more)."""

    status, code, title = 401, "unauthenticated", "Authentication needed"

    def __init__(self, detail: str = "", *, headers: dict[str, str] | None = None, **members: Any) -> None:
        challenge = {"WWW-Authenticate": 'Bearer realm="claude-code-bot"'}
        super().__init__(detail, headers={**challenge, **(headers or {})}, **members)


class Forbidden(DomainError):
    """Seen, but not allowed. `permission` names what is missing."""

    status, code, title = 403, "permission_denied", "Permission denied"


class RankTooLow(Forbidden):
    """Somebody handed out, changed or removed a rank above their own, or a permission they lack."""

    code, title = "rank_too_low", "Role too low"


class AddressMismatch(Forbidden):
    """An invitation was mailed to an address that is not the caller's."""

    code, title = "address_mismatch", "Sent to another address"


class LimitExceeded(Forbidden):
    """The organization's quota is used up."""

    code, title = "limit_exceeded", "Limit exceeded"


class NotFound(DomainError):
    """Not there, or not for the caller's eyes."""

    status, code, title = 404, "not_found", "Not found"


class Conflict(DomainError):
    """The request contradicts the state of things."""

    status, code, title = 409, "conflict", "Conflict"


class Duplicate(Conflict):
    """A value that must be unique is taken."""

    code, title = "duplicate", "Already taken"


class ForbiddenTransition(Conflict):
    """A status cannot move there from here; `allowed` lists where it can."""

    code, title = "forbidden_transition", "Forbidden transition"


class WorkflowInactive(Conflict):
    """The workflow is not active, so nothing starts it."""

    code, title = "workflow_inactive", "Workflow inactive"


class LastOwner(Conflict):
    """An organization keeps at least one owner."""

    code, title = "last_owner", "Last owner"


class InvitationClosed(Conflict):
    """An invitation that was answered, has expired, or whose inviter may no longer invite."""

    code, title = "invitation_closed", "Invitation closed"


class RequestInProgress(Conflict):
    """The first request with this idempotency key has not been answered yet."""

    code, title = "request_in_progress", "Request in progress"


class StaleVersion(DomainError):
    """The row has changed since the caller read it."""

    status, code, title = 412, "stale_version", "Changed meanwhile"


class TooLarge(DomainError):
    """The body is larger than accepted."""

    status, code, title = 413, "too_large", "Too large"


class UnsupportedMediaType(DomainError):
    """The body is not said to be JSON, or is compressed."""

    status, code, title = 415, "unsupported_media_type", "Unsupported Media Type"


class Invalid(DomainError):
    """Understood, but wrong; `errors` points at each fault."""

    status, code, title = 422, "invalid", "Invalid input"


class IdempotencyKeyReused(Invalid):
    """The idempotency key was used for another body."""

    code, title = "idempotency_key_reused", "Idempotency key reused"


class PreconditionRequired(DomainError):
    """Changing needs If-Match with the ETag that was read."""

    status, code, title = 428, "precondition_required", "If-Match needed"


class RateLimited(DomainError):
    """Too many requests or attempts; `Retry-After` says when to come back."""

    status, code, title = 429, "rate_limited", "Too many requests"


class Unavailable(DomainError):
    """The database cannot be reached, or no connection was free in time."""

    status, code, title = 503, "unavailable", "Unavailable for the moment"

    def __init__(self, detail: str = "", *, headers: dict[str, str] | None = None, **members: Any) -> None:
        super().__init__(detail, headers={"Retry-After": "1", **(headers or {})}, **members)


class LargePage(DomainError):
    """A page may be too large, which takes another statement to tell: see `database.connection.Connection.page`."""


class PlansOutdated(Unavailable):
    """A migration has changed what a prepared statement returns. Nothing was done; repeated, it is prepared anew."""
