"""The loader of named queries."""

from __future__ import annotations

import pytest

from database.queries import PageQuery, Query, QueryFileError, parse

GET = """\
-- name: get :one things:read
-- One thing.
SELECT * FROM things WHERE id = %(id)s AND name LIKE 'a%%' OR id = %(id)s
"""


def test_a_query() -> None:
    (query,) = parse("things", GET)
    assert isinstance(query, Query)
    assert (query.name, query.kind, query.permission, query.why) == ("things.get", "one", "things:read", "One thing.")
    assert query.text == "SELECT * FROM things WHERE id = $1 AND name LIKE 'a%' OR id = $1"
    assert query.parameters == ("id",)


def test_a_page_takes_its_order_from_its_own_list() -> None:
    (query,) = parse(
        "things", "-- name: list :page things:read\n-- sort: name, created_at\n-- Things.\nSELECT * FROM things\n"
    )
    assert isinstance(query, PageQuery)
    first = query.variant("name", descending=True, continued=False, tenant_known=True)
    assert first.text.endswith('ORDER BY page."name" DESC, page."id" DESC LIMIT $2')
    assert first.parameters == ("organization_id", "limit")
    onward = query.variant("name", descending=False, continued=True, tenant_known=True)
    assert '(page."name", page."id") > ($2, $3)' in onward.text
    assert len(list(query.variants())) == 16
    with pytest.raises(KeyError):
        query.variant("secret", descending=False, continued=False, tenant_known=True)


def test_a_page_with_columns_of_any_length_has_a_statement_that_counts() -> None:
    (query,) = parse("things", "-- name: list :page\n-- sort: name\n-- sized: config, note\n-- Things.\nSELECT 1\n")
    assert isinstance(query, PageQuery)
    assert (query.sized, query.why) == (("config", "note"), "Things.")
    quick, bounded = (
        query.variant("name", descending=False, continued=False, tenant_known=False, bounded=bounded)
        for bounded in (False, True)
    )
    assert "refuse_large_page" in quick.text
    assert "refuse_large_page" not in bounded.text
    assert 'octet_length(page."note"::text)' in bounded.text
    assert len(list(query.variants())) == 8


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (GET + GET, "there twice"),
        (GET.replace(":one", ":two"), "malformed header"),
        (GET.replace("get", "Get"), "malformed header"),
        (GET.replace("-- One thing.\n", ""), "lacks a reason"),
        ("-- name: get :one\n-- Nothing.\n", "lacks a statement"),
        ("SELECT 1;\n" + GET, "before the first header"),
        ("-- name: list :page\n-- Things.\nSELECT 1\n", "sort keys"),
        (GET.replace("-- One", "-- sort: name\n-- One"), "sort keys"),
    ],
)
def test_a_malformed_file_fails_at_start(text: str, fault: str) -> None:
    with pytest.raises(QueryFileError, match=fault):
        list(parse("things", text))
