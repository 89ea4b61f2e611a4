"""Fields that many resources share, with the descriptions and examples that the documentation shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address
from typing import Any

import orjson
from marshmallow import ValidationError, fields
from marshmallow.validate import Email, Length, OneOf, Regexp

EXAMPLE_ID = "0b0f3f1e-6c58-4d3e-9a0e-5a1f6d1f0c11"
EXAMPLE_TIME = "2026-11-22T09:30:00.000000Z"

RESERVED_IDS = ("bulk",)  # what paths have in the place of an id that its author chose

_DURATION = re.compile(r"P(?:(\d{1,4})W)?(?:(\d{1,4})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})S)?)?", re.ASCII)
_SECONDS = re.compile(r"\d{1,9}", re.ASCII)


class Pattern(Regexp):
    """A regular expression that all of the text fits, a final newline too, which `$` would let through."""

    def __call__(self, value: Any) -> Any:
        """Check a text.

        :raises marshmallow.ValidationError: it does not fit.
        """
        if self.regex.fullmatch(value) is None:
            raise ValidationError(self._format_error(value))
        return value


# RFC 3986, section 3: what stands in a path, a query or a fragment without a percent sign, or with it
_URL_TEXT = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*"
URL = Pattern(
    rf"^https?://(?:\[[0-9A-Fa-f:.]{{2,45}}\]|[A-Za-z0-9._-]+)(?::[0-9]{{1,5}})?(?:[/?]{_URL_TEXT})?(?:#{_URL_TEXT})?$",
    error="Not an http or https URL.",
)


# spelled out, for Python, ECMAScript and others count different characters as `\s`
_SPACE = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_VISIBLE = Pattern(rf"^[{_SPACE}]*[^{_SPACE}][\s\S]*$", error="Nothing but white space.")


def _host_exists(url: str) -> None:
    """Refuse brackets around what is not an IPv6 address; their content is more than a pattern can say."""
    host = url.partition("://")[2]
    if host.startswith("["):
        try:
            IPv6Address(host[1 : host.index("]")])
        except ValueError as fault:
            raise ValidationError("Not an IPv6 address between the brackets.") from fault


def described(description: str, example: Any = None, **more: Any) -> dict[str, Any]:
    """The metadata of a field."""
    return {"description": description, **({} if example is None else {"example": example}), **more}


def text(description: str, example: str, *, most: int = 255, least: int = 1, **options: Any) -> fields.String:
    """Text of a bounded length, without NUL, which PostgreSQL does not store."""
    return fields.String(validate=[Length(least, most), no_nul], metadata=described(description, example), **options)


def label(description: str, example: str, *, most: int = 255, **options: Any) -> fields.String:
    """What something is called, or a label of it: text that is not blank, kept as it was sent."""
    return fields.String(
        validate=[Length(1, most), no_nul, _VISIBLE], metadata=described(description, example), **options
    )


def url(
    description: str, example: str = "https://example.org/", *, allow_none: bool = True, **options: Any
) -> fields.String:
    """An http or https address of 500 characters at most."""
    metadata = described(description, example, format="uri")
    return fields.String(
        validate=[Length(1, 500), URL, _host_exists], allow_none=allow_none, metadata=metadata, **options
    )


def email_address(description: str = "The address.") -> fields.String:
    """An e-mail address."""
    return fields.String(
        required=True,
        validate=[Length(3, 255), Email(), no_nul],
        metadata=described(description, "ann@example.org"),
    )


def _fits_bcrypt(password: str) -> None:
    if len(password.encode("utf-8", "replace")) > 72:
        raise ValidationError("Longer than 72 bytes, which is as much as bcrypt reads.")


def new_password() -> fields.String:
    """A password that somebody chooses."""
    return fields.String(
        required=True,
        validate=[Length(8, 72), _fits_bcrypt, no_nul],
        metadata=described("8 characters at least, 72 bytes at most.", "correct horse battery", format="password"),
    )


def known_password(description: str = "The password.") -> fields.String:
    """A password that is compared."""
    return fields.String(
        required=True,
        validate=[Length(1, 1000), no_nul],
        metadata=described(description, "correct horse battery", format="password"),
    )


def choice(description: str, choices: tuple[str, ...], **options: Any) -> fields.String:
    """One of a few words."""
    return fields.String(validate=OneOf(choices), metadata=described(description, choices[0]), **options)


def identifier(description: str, **options: Any) -> fields.UUID:
    """A UUID."""
    return fields.UUID(metadata=described(description, EXAMPLE_ID), **options)


class Moment(fields.AwareDateTime):
    """A point in time, in UTC from here on."""

    default_error_messages = dict.fromkeys(
        ("invalid", "invalid_awareness"),
        "Not a date and time with its offset, such as 2026-11-22T09:30:00Z; in a query + is written %2B.",
    )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> datetime:
        # RFC 3339 has z as well
        given = value.upper() if isinstance(value, str) else value
        read: datetime = super()._deserialize(given, attr, data, **options)
        try:
            return read.astimezone(UTC)
        except OverflowError as error:  # the first and the last hours of the calendar, in some offsets
            raise self.make_error("invalid", input=value, obj_type="datetime") from error


def moment(description: str, *, example: str = EXAMPLE_TIME, **options: Any) -> Moment:
    """A point in time in ISO 8601 with its offset."""
    return Moment(format="iso", metadata=described(description, example), **options)


class _Address(fields.IP):
    """An IPv4 or IPv6 address; PostgreSQL's `inet` knows no zones (RFC 4007)."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Any:
        read = super()._deserialize(value, attr, data, **options)
        if getattr(read, "scope_id", None) is not None:
            raise self.make_error("invalid_ip")
        return read


def ip_address(description: str, example: str = "203.0.113.7", **options: Any) -> fields.IP:
    """An IPv4 or IPv6 address."""
    metadata = described(description, example, anyOf=[{"format": "ipv4"}, {"format": "ipv6"}])
    return _Address(metadata=metadata, **options)


def version(description: str = "Version of the row: the number in its ETag.") -> fields.Integer:
    """A row version."""
    return fields.Integer(dump_only=True, metadata=described(description, 3))


class JsonObject(fields.Field[dict[str, Any]]):
    """A JSON object of any content.

    :param storable: whether what cannot be stored is refused here, rather than by whoever reads the object.
    """

    def __init__(self, *, storable: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self._storable = storable

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValidationError("Not a JSON object.")
        if self._storable and (faults := unstorable(value)):
            raise ValidationError(faults)
        return value


def json_object(description: str, example: Any, **options: Any) -> JsonObject:
    """An object whose content is the caller's own."""
    metadata = described(description, example, type="object", additionalProperties=True)
    return JsonObject(metadata=metadata, **options)


def capabilities() -> fields.List[str]:
    """What an integration can do."""
    return fields.List(
        fields.String(validate=[Length(1, 100), no_nul]),
        validate=Length(max=100),
        metadata=described("What it can do.", ["payments.read"]),
    )


_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def no_nul(value: str) -> None:
    """Refuse NUL and lone surrogates.

    :raises marshmallow.ValidationError: there is one.
    """
    if _UNSTORABLE.search(value):
        raise ValidationError("Holds a character that cannot be stored.")


def unstorable(value: Any) -> Any:
    """Where JSON holds what PostgreSQL does not store, which is NUL: messages by place, nothing where there is none.

    :param value: as orjson parsed it, which lets no lone surrogate through.
    """
    return _places_of_nul(value) if b"\\u0000" in orjson.dumps(value) else None


def _places_of_nul(value: Any) -> Any:
    if isinstance(value, str):
        return ["Holds a character that cannot be stored."] if "\0" in value else None
    if not isinstance(value, dict | list):
        return None
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = {name: places for name, each in items if (places := _places_of_nul(each))}
    if isinstance(value, dict) and any("\0" in name for name in value):
        found = {"_schema": ["A name holds a character that cannot be stored."], **found}
    return found


class Duration(fields.String):
    """A length of time: seconds, or ISO 8601 from weeks down to seconds.

    :param most: the longest; the shortest is a second.
    """

    def __init__(self, *, most: timedelta, **options: Any) -> None:
        super().__init__(**options)
        self._most = most

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Any:
        if _SECONDS.fullmatch(value):
            length = timedelta(seconds=int(value))
        elif (read := _DURATION.fullmatch(value)) and value[-1] not in "PT":
            weeks, days, hours, minutes, seconds = (int(part or 0) for part in read.groups())
            length = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
        else:
            raise ValidationError("Neither seconds nor an ISO 8601 duration such as PT5M.")
        if not timedelta(seconds=1) <= length <= self._most:
            raise ValidationError(f"Not between a second and {self._most.days} days.")
        return length


class Words(fields.String):
    """A few different words, separated by commas.

    :param check: raises ValidationError on a word that is none.
    """

    def __init__(self, check: Callable[[str], object], *, most: int, **options: Any) -> None:
        super().__init__(**options)
        self._check = check
        self._most = most

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Any:
        words = [word.strip() for word in value.split(",")]
        if not all(words) or len(set(words)) < len(words) or len(words) > self._most:
            raise ValidationError(f"1 to {self._most} different ones, separated by commas.")
        for word in words:
            self._check(word)
        return words
