"""Members of organizations."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response

from database import Row, transaction
from repositories.events import Events
from repositories.members import Members
from schemas.lists import Historic
from schemas.members import Member, MemberAdd, MemberChange, MemberFilters
from web.answers import created, expected_versions, no_content, single
from web.blueprint import Blueprint
from web.bulk import Item, bulk, each
from web.caller import caller
from web.history import past
from web.paging import page

blueprint = Blueprint(
    "members",
    __name__,
    url_prefix="/organizations/<uuid:organization_id>/members",
    description="Who belongs to an organization, and in what role.",
)


@blueprint.get("")
@blueprint.arguments(MemberFilters, location="query")
@blueprint.page(Member)
def list_members(query: dict[str, Any], organization_id: UUID) -> Response:
    """List an organization's members."""
    with transaction(caller()) as connection:
        return page(partial(Members(connection).find, organization_id), query)


@blueprint.post("")
@blueprint.arguments(MemberAdd)
@blueprint.response(201, Member)
def add_member(body: dict[str, Any], organization_id: UUID) -> Response:
    """Add a person who has an account."""
    with transaction(caller()) as connection:
        row = Members(connection).add(organization_id, **body)
    return created(row, f"/api/v1/organizations/{organization_id}/members/{row['user_id']}")


@blueprint.post("/bulk")
@bulk(blueprint, Member, change=MemberChange, delete=True)
def bulk_members(items: list[Item], organization_id: UUID) -> Response:
    """Change and remove up to 1,000 members, each by itself; an item's `id` is the user's."""
    with transaction(caller()) as connection:
        members = Members(connection)
        members.expect(members.parents.get, organization_id=organization_id)

        def change(user_id: UUID, versions: list[int] | None, body: dict[str, Any]) -> Row:
            return members.update(organization_id, user_id, versions, **body)

        # nobody is added here: who has an account could be asked a thousand addresses at a time
        delete, lock = partial(members.remove, organization_id), partial(members.lock_many, organization_id)
        return each(connection, items, lock=lock, key="user_id", change=change, delete=delete)


@blueprint.get("/<uuid:user_id>")
@blueprint.arguments(Historic, location="query")
@blueprint.response(200, Member)
def get_member(query: dict[str, Any], organization_id: UUID, user_id: UUID) -> Response:
    """Get a member."""
    with transaction(caller()) as connection:
        if query["as_of"] is not None:
            membership_id = Events(connection).membership_as_of(organization_id, user_id, query["as_of"])
            return past(connection, Member, "organization_member", membership_id, query["as_of"])
        return single(Members(connection).get(organization_id, user_id))


@blueprint.patch("/<uuid:user_id>")
@blueprint.arguments(MemberChange)
@blueprint.response(200, Member)
def change_member(body: dict[str, Any], organization_id: UUID, user_id: UUID) -> Response:
    """Change a member's role or permissions."""
    with transaction(caller()) as connection:
        return single(Members(connection).update(organization_id, user_id, expected_versions(), **body))


@blueprint.delete("/<uuid:user_id>")
@blueprint.response(204)
def remove_member(organization_id: UUID, user_id: UUID) -> Response:
    """Remove a member, or leave the organization oneself."""
    with transaction(caller()) as connection:
        Members(connection).remove(organization_id, user_id, expected_versions())
    return no_content()
