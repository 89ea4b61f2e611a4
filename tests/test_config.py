"""Settings and their documentation."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from config import ROOT, ConfigurationError, Settings


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    for each in fields(Settings):
        line = next((line for line in text.splitlines() if line.startswith(f"| `{each.name.upper()}` |")), "")
        assert each.metadata["doc"] in line, each.name


def test_reading_the_environment() -> None:
    settings = Settings.from_environment(
        {
            "PORT": "9000",
            "POOL_TIMEOUT": "0.5",
            "PREPARE_STATEMENTS": "false",
            "SIGNING_KEYS": "new, old",
            "DATA_DIR": "/x",
            "HOST": " ",
        }
    )
    assert (settings.port, settings.pool_timeout, settings.prepare_statements) == (9000, 0.5, False)
    assert settings.signing_keys == ("new", "old")
    assert settings.data_dir == Path("/x")
    assert settings.host == "127.0.0.1"
    assert settings.base_url == "http://127.0.0.1:9000"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PORT", "eighty"),
        ("POOL_TIMEOUT", "soon"),
        ("READ_TIMEOUT", "nan"),
        ("REGISTRATION_OPEN", "perhaps"),
        ("LOG_LEVEL", "loud"),
        ("POOL_MIN_SIZE", "5"),
    ],
)
def test_a_value_that_cannot_be_is_named(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        Settings.from_environment({name: text})


@pytest.mark.parametrize(
    ("name", "least"),
    [(each.name.upper(), each.metadata["least"]) for each in fields(Settings) if each.metadata["least"] is not None],
)
def test_what_is_too_small_is_refused(name: str, least: int) -> None:
    """A limit of retention that is none would keep nothing."""
    assert name.startswith("RETENTION_") <= (least == 1)
    with pytest.raises(ConfigurationError, match=f"{name} should be {least} at least, not {least - 1}"):
        Settings.from_environment({name: str(least - 1)})


@pytest.mark.parametrize(("name", "most"), [("BACKUP_HOUR", 23), ("BCRYPT_COST", 31), ("WORKER_PORT", 65535)])
def test_what_is_too_large_is_refused(name: str, most: int) -> None:
    """An hour that no day has would end all maintenance, not that of backups alone."""
    assert Settings.from_environment({name: str(most)})
    with pytest.raises(ConfigurationError, match=f"{name} should be {most} at most, not {most + 1}"):
        Settings.from_environment({name: str(most + 1)})


def test_only_config_reads_settings() -> None:
    names = "|".join(each.name.upper() for each in fields(Settings))
    read = re.compile(rf"""(environ\.get\(|environ\[|getenv\()["']({names})["']""")
    for path in ROOT.glob("**/*.py"):
        inside = path.relative_to(ROOT)
        if not inside.parts[0].startswith(".") and inside.parts[0] not in ("tests", "benchmarks", "var"):
            assert not read.search(path.read_text("utf-8")), inside
