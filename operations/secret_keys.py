"""The keys that sign cursors and encrypt secrets: given by the environment, or made once for the embedded default."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from config import ConfigurationError, Settings
from database.private_files import write_private

FILE_NAME = "secrets.json"
SHORTEST_SIGNING_KEY = 32


def with_secret_keys(settings: Settings) -> Settings:
    """The settings with both kinds of keys filled in.

    Keys that the environment does not give are made on the first start and kept in DATA_DIR/secrets.json, but only
    for the embedded database: those of a shared one have to be the same wherever the service runs.

    :raises ConfigurationError: a key is missing or unusable; the message names the variable.
    """
    if not settings.database_url and not (settings.signing_keys and settings.encryption_keys):
        kept = _kept(settings.data_dir / FILE_NAME)
        settings = replace(
            settings,
            signing_keys=settings.signing_keys or tuple(kept["signing_keys"]),
            encryption_keys=settings.encryption_keys or tuple(kept["encryption_keys"]),
        )
    for name, keys in (("SIGNING_KEYS", settings.signing_keys), ("ENCRYPTION_KEYS", settings.encryption_keys)):
        if not keys:
            raise ConfigurationError(
                f"{name} is not set. With DATABASE_URL the keys come from the environment; "
                "`openssl rand -base64 32 | tr +/ -_` makes one"
            )
    if any(len(key) < SHORTEST_SIGNING_KEY for key in settings.signing_keys):
        raise ConfigurationError(f"SIGNING_KEYS holds a key of less than {SHORTEST_SIGNING_KEY} characters")
    if not all(_is_fernet_key(key) for key in settings.encryption_keys):
        raise ConfigurationError("ENCRYPTION_KEYS holds something else than 32 bytes in URL-safe base64")
    return settings


def encryption_keys(settings: Settings) -> tuple[str, ...]:
    """The keys that encrypt, for commands that sign nothing.

    :raises ConfigurationError: as for :func:`with_secret_keys`.
    """
    return with_secret_keys(replace(settings, signing_keys=settings.signing_keys or (new_key(),))).encryption_keys


def new_key() -> str:
    """A random key of 32 bytes in URL-safe base64, fit for signing and for encrypting."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _kept(path: Path) -> dict[str, Sequence[str]]:
    if not path.exists():
        write_private(path, json.dumps({"signing_keys": [new_key()], "encryption_keys": [new_key()]}, indent=2))
    try:
        kept = json.loads(path.read_text())
        return {name: [str(key) for key in kept[name]] for name in ("signing_keys", "encryption_keys")}
    except (ValueError, LookupError, TypeError) as error:
        raise ConfigurationError(f"{path} does not hold signing_keys and encryption_keys") from error


def _is_fernet_key(key: str) -> bool:
    try:
        return len(base64.urlsafe_b64decode(key)) == 32
    except (binascii.Error, ValueError):
        return False
