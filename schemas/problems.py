"""Problem answers (RFC 9457)."""

from __future__ import annotations

from marshmallow import INCLUDE, Schema, fields

from schemas.fields import described


class Fault(Schema):
    """One fault of the input."""

    pointer = fields.String(metadata=described("JSON pointer into the body, or ? and the query parameter.", "/name"))
    detail = fields.String(metadata=described("What is wrong there.", "Missing data for required field."))


class Problem(Schema):
    """What went wrong."""

    class Meta:
        """Problems may say more: RFC 9457 lets them have members of their own."""

        unknown = INCLUDE

    type = fields.String(
        required=True, metadata=described("URN of the problem.", "urn:claude-code-bot:problem:not_found")
    )
    title = fields.String(required=True, metadata=described("The problem in a word.", "Not found"))
    status = fields.Integer(required=True, metadata=described("The HTTP status.", 404))
    detail = fields.String(
        required=True, metadata=described("The problem in a sentence.", "There is no such integration.")
    )
    instance = fields.String(required=True, metadata=described("The path that was called.", "/api/v1/integrations/1"))
    code = fields.String(required=True, metadata=described("Stable name of the problem.", "not_found"))
    request_id = fields.String(
        required=True, allow_none=True, metadata=described("Finds the request in the log.", "5f3c1e…")
    )
    errors = fields.List(fields.Nested(Fault), metadata=described("Each fault of the input."))
    permission = fields.String(metadata=described("The permission that is missing.", "integrations:update"))
    allowed = fields.List(fields.String(), metadata=described("What would be possible instead.", ["validating"]))
    current = fields.String(metadata=described("The status that it has.", "draft"))
