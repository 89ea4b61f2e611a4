"""Fields that many resources share take what they say, and nothing else."""

from __future__ import annotations

import time

import pytest
from marshmallow import ValidationError

from schemas.fields import url


@pytest.mark.parametrize(
    "text",
    [
        "http://a",
        "https://example.org",
        "https://example.org:8443/hooks/a-b?x=1&y=%C3%A4#part",
        "https://example.org?x",
        "https://example.org#part",
        "http://127.0.0.1:8000/",
        "http://[2001:db8::1]:8080/in",
        "http://[::ffff:10.0.0.1]/",
    ],
)
def test_an_address_is_taken(text: str) -> None:
    assert url("An address.").deserialize(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.org",
        "ftp://example.org/",
        "https://",
        "https:///path",
        "https://ex ample.org/",
        "https://example.org/\n",
        "https://example.org/a\x00b",
        "https://ā/",
        "https://example.org/\x0f",
        "https://example.org/ä",
        "https://example.org/%zz",
        "https://example.org:port/",
        "https://name:secret@example.org/",
        "https://[::1/",
        "https://[1.2]/",
        "https://[:::]/",
        "https://example.org/" + "a" * 500,
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        url("An address.").deserialize(text)


def test_a_hostile_text_is_refused_at_once() -> None:
    started = time.perf_counter()
    for text in (
        "https://" + "a" * 480 + " ",
        "https://a/" + "%41" * 160 + "%",
        "https://a/" + "?#" * 200,
        "https://[" + ":" * 400,
    ):
        with pytest.raises(ValidationError):
            url("An address.").deserialize(text)
    assert time.perf_counter() - started < 0.5
