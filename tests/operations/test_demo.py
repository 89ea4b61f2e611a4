"""The demo tenant's note: whole, its owner's only, and true of where the service is."""

from __future__ import annotations

import json
from pathlib import Path

from operations.demo import load_demo
from tests.conftest import Database


def test_the_note_says_where_the_service_is_and_is_made_anew_when_it_is_torn(
    database: Database, tmp_path: Path
) -> None:
    note, login = tmp_path / "demo.json", database.logins.service
    assert load_demo(login, database.settings(data_dir=tmp_path, bcrypt_cost=4, port=8000))
    made = json.loads(note.read_text())
    assert (made["base_url"], note.stat().st_mode & 0o777) == ("http://127.0.0.1:8000", 0o600)
    assert not load_demo(login, database.settings(data_dir=tmp_path, port=9000))
    assert json.loads(note.read_text()) == {**made, "base_url": "http://127.0.0.1:9000"}
    note.write_text("")  # a full disk
    assert load_demo(login, database.settings(data_dir=tmp_path, bcrypt_cost=4))
    assert json.loads(note.read_text())["api_key"] != made["api_key"]
