"""What to do about an alert, as docs/operations.md tells it."""

from __future__ import annotations

import functools
import re

from markupsafe import Markup, escape

from config import ROOT

MANUAL = ROOT / "docs" / "operations.md"


@functools.cache
def advice(alert: str) -> Markup:
    """The manual's words on an alert; empty where it has none."""
    return _sections().get(alert, Markup(""))


@functools.cache
def _sections() -> dict[str, Markup]:
    try:
        text = MANUAL.read_text("utf-8")
    except OSError:  # an installation without its documentation
        return {}
    found = re.findall(r"^### (\w+)\n(.*?)(?=^#|\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return {name: _written(" ".join(body.split())) for name, body in found}


def _written(text: str) -> Markup:
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts)
    )
