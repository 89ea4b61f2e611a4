"""Statements for tests, out of SQL files."""

from __future__ import annotations

import re
from pathlib import Path


def named_statements(stem: str) -> dict[str, str]:
    """The statements of a file beside this one, by the names in their headers (`-- name: webhooks`).

    :param stem: of the file.
    """
    text = Path(__file__).with_name(f"{stem}.sql").read_text("utf-8")
    parts = re.split(r"^-- name: (.+)$", text, flags=re.MULTILINE)[1:]
    return {name: statement.strip() for name, statement in zip(parts[::2], parts[1::2])}
