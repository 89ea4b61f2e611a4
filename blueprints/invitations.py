"""Invitations into organizations, by mail."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response

from database import statement, transaction
from repositories.invitations import Invitations
from schemas.invitations import (
    Invitation,
    InvitationAnswer,
    InvitationAnswered,
    InvitationCreate,
    InvitationFilters,
    InvitationMailed,
)
from schemas.lists import Single
from web.answers import created, expected_versions, json, no_content, single
from web.blueprint import Blueprint
from web.caller import caller, digest
from web.history import past
from web.mail import how_mail_goes, mailed_token
from web.paging import page

blueprint = Blueprint("invitations", __name__, description="Invitations into organizations, by mail.")

OF_ORGANIZATION = "/organizations/<uuid:organization_id>/invitations"


@blueprint.get(OF_ORGANIZATION)
@blueprint.arguments(InvitationFilters, location="query")
@blueprint.page(Invitation)
def list_invitations(query: dict[str, Any], organization_id: UUID) -> Response:
    """List an organization's invitations."""
    with transaction(caller()) as connection:
        return page(partial(Invitations(connection).find, organization_id), query)


@blueprint.post(OF_ORGANIZATION)
@blueprint.arguments(InvitationCreate)
@blueprint.response(201, InvitationMailed)
def create_invitation(body: dict[str, Any], organization_id: UUID) -> Response:
    """Invite somebody by mail, with or without an account; the invitation holds for seven days."""
    with transaction(caller()) as connection:
        row = Invitations(connection).create(organization_id, **body, **mailed_token())
    return created({**row, "mail": how_mail_goes()}, f"/api/v1/organizations/{organization_id}/invitations/{row['id']}")


@blueprint.get(f"{OF_ORGANIZATION}/<uuid:invitation_id>")
@blueprint.arguments(Single, location="query")
@blueprint.response(200, Invitation)
def get_invitation(query: dict[str, Any], organization_id: UUID, invitation_id: UUID) -> Response:
    """Get an invitation."""
    with statement(caller()) as connection:
        if query["as_of"] is not None:
            return past(connection, Invitation, "organization_invitation", invitation_id, query["as_of"])
        found = Invitations(connection).get(organization_id, invitation_id, include_deleted=query["include_deleted"])
        return single(found)


@blueprint.delete(f"{OF_ORGANIZATION}/<uuid:invitation_id>")
@blueprint.response(204)
def withdraw_invitation(organization_id: UUID, invitation_id: UUID) -> Response:
    """Withdraw an invitation that has not been accepted."""
    with transaction(caller()) as connection:
        Invitations(connection).withdraw(organization_id, invitation_id, expected_versions())
    return no_content()


@blueprint.post(f"{OF_ORGANIZATION}/<uuid:invitation_id>/resend")
@blueprint.conditional
@blueprint.response(200, InvitationMailed)
def resend_invitation(organization_id: UUID, invitation_id: UUID) -> Response:
    """Mail an invitation again, for another seven days; the token that was mailed before holds no longer."""
    versions = expected_versions(required=False)
    with transaction(caller()) as connection:
        row = Invitations(connection).renew(organization_id, invitation_id, versions, **mailed_token())
    return single({**row, "mail": how_mail_goes()})


@blueprint.post("/invitations/accept")
@blueprint.arguments(InvitationAnswer)
@blueprint.response(200, InvitationAnswered)
def accept_invitation(body: dict[str, Any]) -> Response:
    """Accept an invitation to one's own address and become a member; another account's is refused."""
    with statement(caller()) as connection:
        return json(Invitations(connection).answer(digest(body["token"]), "accepted"))


@blueprint.post("/invitations/decline")
@blueprint.arguments(InvitationAnswer)
@blueprint.response(200, InvitationAnswered)
def decline_invitation(body: dict[str, Any]) -> Response:
    """Decline an invitation to one's own address."""
    with statement(caller()) as connection:
        return json(Invitations(connection).answer(digest(body["token"]), "declined"))
