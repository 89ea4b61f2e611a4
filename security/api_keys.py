"""API keys: `ccb_`, 30 characters of randomness in base62, and 6 characters of CRC32 over what comes before.

The checksum lets a typo be refused without a query, and lets secret scanners recognise a leaked key.
"""

from __future__ import annotations

import re
import secrets
import zlib

PREFIX = "ccb_"
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RANDOM_LENGTH = 30  # 62 ** 30: 178 bits
CHECKSUM_LENGTH = 6

_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]  # three of them are a checksum
_SHAPE = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{RANDOM_LENGTH + CHECKSUM_LENGTH}}}")


def new_api_key() -> str:
    """A new key, to be shown once."""
    body = PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    return body + _checksum(body)


def is_api_key(text: str) -> bool:
    """Whether a text can be a key: its shape and its checksum are right."""
    return bool(_SHAPE.fullmatch(text)) and text[-CHECKSUM_LENGTH:] == _checksum(text[:-CHECKSUM_LENGTH])


def shown_prefix(key: str) -> str:
    """What lists show of a key."""
    return key[:12]


def _checksum(body: str) -> str:
    rest, last = divmod(zlib.crc32(body.encode()), len(_PAIRS))
    first, middle = divmod(rest, len(_PAIRS))
    return _PAIRS[first] + _PAIRS[middle] + _PAIRS[last]
