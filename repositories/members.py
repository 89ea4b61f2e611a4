"""Members of organizations."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from database import Row, load
from database.translation import refusal
from errors import Invalid
from repositories.repository import Order, Page, Repository


class Members(Repository):
    """Members of one organization."""

    queries = load("members")
    parents = load("organizations")

    def get(self, organization_id: object, user_id: object) -> Row:
        """One member."""
        return self.connection.one(self.queries.get, organization_id=organization_id, user_id=user_id)

    def find(self, organization_id: object, *, order: Order, **filters: Any) -> Page:
        """A page of members.

        :raises errors.NotFound: the caller sees no such organization.
        """
        self.expect(self.parents.get, organization_id=organization_id)
        return self.page(self.queries.list, order, organization_id=organization_id, **filters)

    def add(self, organization_id: object, *, email: str, **values: Any) -> Row:
        """Add a person who has an account.

        :raises errors.NotFound: the caller sees no such organization.
        :raises errors.Forbidden: the caller may not add members.
        :raises errors.Invalid: there is no account with this address.
        """
        found = self.connection.maybe(self.queries.find_user, organization_id=organization_id, email=email)
        if found is None:
            self.connection.one(self.queries.organization, organization_id=organization_id)
            raise refusal(self.queries.find_user.permission)
        user_id = found["user_id"]
        if user_id is None:
            sentence = "There is no account with this address."
            raise Invalid(sentence, errors=[{"pointer": "/email", "detail": sentence}])
        self.connection.execute(self.queries.add, organization_id=organization_id, user_id=user_id, **values)
        return self.get(organization_id, user_id)

    def update(self, organization_id: object, user_id: object, versions: list[int] | None, **values: Any) -> Row:
        """Change a member's role or permissions."""
        names = {"organization_id": organization_id, "user_id": user_id}
        self.change(self.queries.update, versions=versions, **names, **values)
        return self.get(**names)

    def lock_many(self, organization_id: object, ids: list[Any], bodies: list[dict[str, Any]]) -> list[Any]:
        """Lock what many items are about, in an order that all keep.

        :param ids: what is changed or deleted.
        :param bodies: what is created.
        :return: whose usage it is.
        """
        self.connection.many(self.queries.lock_many, organization_id=organization_id, ids=ids)
        return [organization_id]

    def transfer(self, organization_id: object, user_id: UUID) -> Row:
        """Make another member the owner, and the caller an admin, in this transaction; gives the new owner.

        :raises errors.NotFound: the caller sees no such organization.
        :raises errors.RankTooLow: the caller is not an owner.
        :raises errors.Invalid: the user is not a member, or is the caller.
        :raises errors.LastOwner: the organization is somebody's personal one.
        """
        self.expect(self.parents.get, organization_id=organization_id)
        found = self.connection.maybe(self.queries.get, organization_id=organization_id, user_id=user_id)
        if found is None or str(user_id) == self.connection.identity.user_id:
            sentence = "This is not another member of the organization."
            raise Invalid(sentence, errors=[{"pointer": "/user_id", "detail": sentence}])
        names: dict[str, Any] = {"organization_id": organization_id, "versions": None}
        self.change(self.queries.update, user_id=user_id, role="owner", **names)
        self.change(self.queries.update, user_id=self.connection.identity.user_id, role="admin", **names)
        return self.get(organization_id, user_id)

    def remove(self, organization_id: object, user_id: object, versions: list[int] | None) -> Row:
        """Remove a member, or leave.

        :raises errors.LastOwner: nobody else owns the organization.
        """
        return self.change(self.queries.remove, versions=versions, organization_id=organization_id, user_id=user_id)
