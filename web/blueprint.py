"""Blueprints that read input through marshmallow, document output with it, and make every POST idempotent."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, cast

import flask_smorest
import orjson
from flask import Response, current_app, request
from marshmallow import Schema, ValidationError
from werkzeug.datastructures import MultiDict

from errors import Invalid, MalformedRequest, TooLarge, UnsupportedMediaType
from schemas.fields import unstorable
from schemas.lists import item_of, page_of
from web.answers import check_sparse
from web.caller import anybody, caller, known
from web.idempotency import idempotent
from web.json_numbers import inexact_number
from web.paging import resume

Handler = Callable[..., Response]

MAX_DEPTH = 64  # of nested JSON: deep enough for any configuration, far from any recursion limit


class Blueprint(flask_smorest.Blueprint):
    """A resource's routes.

    `arguments` of the body and of the query reach the handler as one dictionary each, checked. `response` and
    `page` only document: handlers give finished answers, see `web/answers.py`.
    """

    def arguments(
        self, schema: type[Schema], *, location: str = "json", **options: Any
    ) -> Callable[[Handler], Handler]:
        """Check the body (`json`) or the query string (`query`) and hand it to the handler.

        A body that is not `required` may be left out, which is as good as an empty object. Where `resumes_stream` is
        true, Last-Event-ID is the cursor: a client that comes back repeats its old query.
        """
        resumes, required = options.pop("resumes_stream", False), options.get("required", True)
        document = super().arguments(schema, location=location, **options)
        if location == "json":
            read = _body_reader(schema(), required=required)
        else:
            read = _query_reader(schema(), resumes=resumes)

        def decorate(handler: Handler) -> Handler:
            @functools.wraps(handler)
            def reading(*arguments: Any, **names: Any) -> Response:
                return handler(read(), *arguments, **names)

            reading._apidoc = document(handler)._apidoc  # type: ignore[attr-defined]
            return reading

        return decorate

    def response(self, status: int, schema: Any = None, **options: Any) -> Callable[[Handler], Handler]:
        """Document an answer; `?fields=` can only name fields of `schema`, or of a page's items."""
        document = super().response(status, schema, **options)
        names = frozenset(() if schema is None else item_of(schema)._declared_fields)

        def decorate(handler: Handler) -> Handler:
            @functools.wraps(handler)
            def answering(*arguments: Any, **named: Any) -> Response:
                check_sparse(names)
                return handler(*arguments, **named)

            answering._apidoc = document(handler)._apidoc  # type: ignore[attr-defined]
            return answering

        return decorate

    def page(self, schema: type[Schema]) -> Callable[[Handler], Handler]:
        """Document a list of `schema`."""
        return self.response(200, page_of(schema))

    def export(self, schema: type[Schema]) -> Callable[[Handler], Handler]:
        """Document a whole list of `schema` as a file; :func:`web.export.export` gives it."""
        document = self.response(200, schema)
        return lambda handler: cast(Handler, self.doc(**{"x-export": True})(document(handler)))

    def conditional(self, handler: Handler) -> Handler:
        """Document that If-Match may be sent where it is not asked for."""
        return cast(Handler, self.doc(**{"x-conditional": True})(handler))

    def add_url_rule(
        self, rule: str, endpoint: str | None = None, view_func: Handler | None = None, *arguments: Any, **options: Any
    ) -> None:
        """Register a route.

        A `public` one needs no credential and is counted by the address that it comes from, or as `who` says. What is
        POSTed with an Idempotency-Key is done once, except where `idempotent` is false.
        """
        public, once = options.pop("public", False), options.pop("idempotent", True)
        who = options.pop("who", anybody if public else caller)
        if view_func is not None:
            operation: dict[str, Any] = {"operationId": view_func.__name__}
            if "GET" in options.get("methods", ()) and not _takes_query(view_func):
                view_func = _without_query(view_func)
            if "POST" in options.get("methods", ()) and once:
                view_func, operation["x-idempotent"] = idempotent(view_func), True
            if public:
                operation["security"] = []
            view_func = known(view_func, who)
            view_func._apidoc = self.doc(**operation)(view_func)._apidoc  # type: ignore[attr-defined]
        super().add_url_rule(rule, endpoint, view_func, *arguments, **options)


def _takes_query(handler: Handler) -> bool:
    arguments = getattr(handler, "_apidoc", {}).get("arguments", {})
    return any(each["in"] == "query" for each in arguments.get("parameters", []))


def _without_query(handler: Handler) -> Handler:
    """Refuse query parameters where there are none: who asks for a part is not to take the whole for it."""

    @functools.wraps(handler)
    def refusing(*arguments: Any, **names: Any) -> Response:
        if request.query_string:
            check(Schema(), request.args.to_dict(), query=True)
        return handler(*arguments, **names)

    return refusing


def _body_reader(schema: Schema, *, required: bool) -> Callable[[], dict[str, Any]]:
    def read() -> dict[str, Any]:
        body = request.get_data()
        return check(schema, parse_json(body) if body or required else {})

    return read


def _query_reader(schema: Schema, *, resumes: bool) -> Callable[[], dict[str, Any]]:
    # the same query strings come again and again, and reading a plain one depends on nothing else
    @functools.lru_cache(maxsize=1024)
    def parse(query_string: bytes) -> dict[str, Any]:
        values: MultiDict[str, str] = request.args
        repeated = [name for name in values if len(values.getlist(name)) > 1]
        if repeated:
            raise Invalid(errors=[{"pointer": f"?{name}", "detail": "Given more than once."} for name in repeated])
        cursor = values.get("cursor") if "cursor" in schema.fields else None
        if resumes:
            cursor = request.headers.get("Last-Event-ID") or cursor
        if not cursor:
            return check(schema, values.to_dict(), query=True)
        completed, place = resume({**values.to_dict(), "cursor": cursor})
        return {**check(schema, completed, query=True), "after": place}

    def read() -> dict[str, Any]:
        query_string = request.query_string
        # a cursor depends on the path too, and a percent sign may spell one
        if resumes or b"cursor" in query_string or b"%" in query_string:
            return parse.__wrapped__(query_string)
        return dict(parse(query_string))

    return read


def parse_json(body: bytes, *, kept: bool = False) -> Any:
    """Parse a request's body.

    :param kept: whether it is kept as it is, so that it may hold nothing that cannot be stored.
    :raises errors.Invalid: it does.
    :raises errors.MalformedRequest: it is not JSON, nested too deep, or holds a number that would be changed.
    :raises errors.TooLarge: it is larger than MAX_BODY_BYTES.
    :raises errors.UnsupportedMediaType: it is something else, or compressed.
    """
    # a body in chunks, whose length nobody announced, is cut off at the limit without a word
    if len(body) >= current_app.config["MAX_CONTENT_LENGTH"] and request.content_length is None:
        raise TooLarge
    environ = request.environ
    if environ.get("CONTENT_TYPE") != "application/json" and body and not _is_json():
        raise UnsupportedMediaType("Send JSON with Content-Type: application/json.")
    if (coding := environ.get("HTTP_CONTENT_ENCODING", "identity")).lower() != "identity":
        # RFC 9110, section 15.5.16, has the header tell this from a wrong type
        raise UnsupportedMediaType(
            f"Send the body as it is, without {coding}.", headers={"Accept-Encoding": "identity"}
        )
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedRequest(f"The body is not JSON: {error}.") from error
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
        raise MalformedRequest(f"The body is nested deeper than {MAX_DEPTH} levels.")
    if (number := inexact_number(body)) is not None:
        raise MalformedRequest(f"{number} would not be kept as it is: send it as text, or as a number of 64 bits.")
    if kept and (messages := unstorable(value)):
        raise Invalid("The input is not valid.", errors=_faults(messages, "/"))
    return value


def _is_json() -> bool:
    return request.is_json or request.mimetype == "application/merge-patch+json"


def check(schema: Schema, value: Any, *, query: bool = False) -> dict[str, Any]:
    """Check values against a schema.

    :raises errors.Invalid: with a JSON pointer (RFC 6901) to each fault, or the parameter's name behind `?`.
    """
    try:
        return dict(schema.load(value))
    except ValidationError as error:
        messages = error.normalized_messages()  # type: ignore[no-untyped-call]
        faults = list(_faults(messages, "?" if query else "/"))
        raise Invalid("The input is not valid.", errors=faults) from error


def _faults(messages: Any, pointer: str) -> list[dict[str, str]]:
    if isinstance(messages, Mapping):
        found = []
        for name, inner in messages.items():
            if name == "_schema":  # of the whole
                found += _faults(inner, pointer)
                continue
            step = str(name).replace("~", "~0").replace("/", "~1")
            found += _faults(inner, pointer + step if pointer in ("?", "/") else f"{pointer}/{step}")
        return found
    return [{"pointer": pointer if pointer != "/" else "", "detail": str(message)} for message in messages]


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(each, levels - 1) for each in inner)
