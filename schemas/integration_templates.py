"""Templates that integrations are made from."""

from __future__ import annotations

from typing import Any

from marshmallow import INCLUDE, Schema, ValidationError, fields
from marshmallow.validate import Length, NoneOf

from schemas.fields import (
    RESERVED_IDS,
    JsonObject,
    Pattern,
    capabilities,
    described,
    identifier,
    json_object,
    label,
    moment,
    text,
    version,
)
from schemas.lists import filters, include_deleted


class TemplateData(Schema):
    """What an integration takes from its template; the rest is its author's own business."""

    class Meta:
        unknown = INCLUDE

    description = text("What the integration is for.", "Takes payments", most=10_000, least=0)
    version = label("Label of its version.", "0.1.0", most=50)
    config = json_object("Its configuration.", {"timeout_seconds": 30})
    capabilities = capabilities()
    metadata = json_object("Whatever its owners want to note.", {"team": "billing"})


class _TemplateData(JsonObject):
    """Template data, of which the known parts are checked: where one is wrong no integration can be made from it."""

    def __init__(self, *, removes: bool, **options: Any) -> None:
        super().__init__(**options)
        self._removes = removes  # null takes a part away, as in any merge patch

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> dict[str, Any]:
        parts = super()._deserialize(value, attr, data, **options)
        stay = {name: part for name, part in parts.items() if not (self._removes and part is None)}
        if faults := TemplateData().validate(stay):
            raise ValidationError(faults)
        return parts


def _template_data(*, removes: bool, **options: Any) -> _TemplateData:
    return _TemplateData(
        removes=removes,
        metadata=described(
            "What integrations made from it start with: `config`, `capabilities`, `metadata`, `version` and "
            "`description`, as an integration has them.",
            {"config": {"timeout_seconds": 30}, "capabilities": ["read"]},
            type="object",
            additionalProperties=True,
        ),
        **options,
    )


class IntegrationTemplateChange(Schema):
    """What may change in a template; a JSON merge patch."""

    name = label("Name.", "REST API")
    description = text("What it is for.", "Connects any REST API", most=10_000, least=0, allow_none=True)
    service_type = label("Kind of service that it connects.", "rest", most=100, allow_none=True)
    template_data = _template_data(removes=True)
    schema_version = label("Version of the shape of `template_data`.", "1.0", most=20)
    is_public = fields.Boolean(metadata=described("Whether everybody may use it.", False))


class IntegrationTemplateCreate(IntegrationTemplateChange):
    """A new template."""

    id = fields.String(
        required=True,
        validate=[
            Length(1, 100),
            Pattern(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", error="Lower-case letters, digits, inner hyphens."),
            NoneOf(RESERVED_IDS, error="Reserved: choose another one."),
        ],
        metadata=described("Its id, chosen by its author and unique among all; `bulk` is taken.", "rest-api"),
    )
    name = label("Name.", "REST API", required=True)
    template_data = _template_data(removes=False, required=True)
    organization_id = identifier("Organization; the key's or the caller's personal one when left out.")


class IntegrationTemplate(IntegrationTemplateCreate):
    """A template."""

    organization_id = identifier("Whose it is; null for built-in ones.", allow_none=True)
    author_id = identifier("Who made it; null for built-in ones.", allow_none=True)
    usage_count = fields.Integer(metadata=described("How many integrations were made from it; left out of `as_of`.", 7))
    created_at = moment("When it was made.", required=True)
    updated_at = moment("When it last changed.", required=True)
    deleted_at = moment("When it was deleted.", allow_none=True)
    version = version()


IntegrationTemplateFilters = filters(
    "IntegrationTemplateFilters",
    "created_at",
    "name",
    "usage_count",
    organization_id=identifier("Only those of this organization."),
    service_type=text("Only those of this kind.", "rest", most=100),
    is_public=fields.Boolean(metadata=described("Only public ones, or only private ones.", True)),
    include_deleted=include_deleted(),
)
