"""Invitations into organizations."""

from __future__ import annotations

from typing import Any, Literal

from database import Row, load
from errors import AddressMismatch, Conflict, DomainError, InvitationClosed, NotFound
from repositories.repository import Order, Page, Repository, expect_open

# why an invitation cannot be accepted or declined (any more)
_REFUSALS: dict[str, tuple[type[DomainError], str]] = {
    "unknown": (NotFound, "There is no such invitation; it may have been withdrawn or sent anew."),
    "of another": (
        AddressMismatch,
        "This invitation was mailed to an address that is not this account's. Sign in with the account that has it, "
        "register one, or change this account's address.",
    ),
    "answered": (InvitationClosed, "This invitation has been answered already."),
    "expired": (InvitationClosed, "This invitation has expired; ask for it to be sent again."),
    "void": (InvitationClosed, "Whoever invited you may no longer do so; ask for another invitation."),
}


class Invitations(Repository):
    """Invitations of organizations, and those to the caller."""

    queries = load("invitations")
    parents = load("organizations")

    def get(self, organization_id: object, invitation_id: object, *, include_deleted: bool = False) -> Row:
        """One invitation."""
        values = {"organization_id": organization_id, "invitation_id": invitation_id}
        return self.connection.one(self.queries.get, include_deleted=include_deleted, **values)

    def find(self, organization_id: object, *, order: Order, **filters: Any) -> Page:
        """A page of invitations.

        :raises errors.NotFound: the caller sees no such organization.
        """
        self.expect(self.parents.get, organization_id=organization_id)
        return self.page(self.queries.list, order, organization_id=organization_id, **filters)

    def create(self, organization_id: object, *, secret: bytes, **values: Any) -> Row:
        """A new invitation, and the mail that brings it.

        :param secret: the token, encrypted; its hash is among `values`.
        :raises errors.Duplicate: the address has an open invitation, or is a member's.
        :raises errors.RateLimited: after too many mails to this address.
        """
        self.expect(self.parents.get, organization_id=organization_id)
        row = self.connection.one(self.queries.create, organization_id=organization_id, **values)
        return self._queue(organization_id, row["id"], secret)

    def renew(
        self,
        organization_id: object,
        invitation_id: object,
        versions: list[int] | None,
        *,
        token_hash: str,
        secret: bytes,
    ) -> Row:
        """Another token and another seven days, mailed again.

        :param versions: what If-Match named; None for any.
        :raises errors.InvitationClosed: it has been answered.
        :raises errors.RateLimited: after too many mails to this address.
        """
        names: dict[str, Any] = {"organization_id": organization_id, "invitation_id": invitation_id}
        if self.get(**names)["status"] != "pending":
            raise _refusal("answered")
        self.change(self.queries.renew, versions=versions, token_hash=token_hash, **names)
        return self._queue(organization_id, invitation_id, secret)

    def withdraw(self, organization_id: object, invitation_id: object, versions: list[int] | None) -> None:
        """Withdraw an invitation.

        :raises errors.Conflict: it has been accepted.
        """
        names: dict[str, Any] = {"organization_id": organization_id, "invitation_id": invitation_id}
        if self.get(**names)["status"] == "accepted":
            raise Conflict("This invitation has been accepted; remove the member instead.")
        self.change(self.queries.withdraw, versions=versions, **names)

    def answer(self, token_hash: str, answer: Literal["accepted", "declined"]) -> Row:
        """Accept or decline an invitation to the caller.

        :raises errors.NotFound: no invitation has this token.
        :raises errors.AddressMismatch: it was mailed to somebody else.
        :raises errors.InvitationClosed: it was answered, has expired, or its inviter may no longer invite.
        """
        row = self.connection.one(self.queries.answer, token_hash=token_hash, answer=answer)
        if row["outcome"] in _REFUSALS:
            raise _refusal(row["outcome"])
        return {"id": row["invitation_id"], "organization_id": row["organization_id"], "status": row["outcome"]}

    def _queue(self, organization_id: object, invitation_id: object, secret: bytes) -> Row:
        queued = self.connection.one(self.queries.queue, invitation_id=invitation_id, secret=secret)
        expect_open(queued["wait_seconds"])
        return self.get(organization_id, invitation_id)


def _refusal(outcome: str) -> DomainError:
    kind, sentence = _REFUSALS[outcome]
    return kind(sentence)
