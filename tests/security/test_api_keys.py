"""API keys."""

from __future__ import annotations

import re

from security.api_keys import is_api_key, new_api_key, shown_prefix


def test_a_key() -> None:
    key = new_api_key()
    assert re.fullmatch(r"ccb_[0-9A-Za-z]{36}", key)
    assert is_api_key(key)
    assert key != new_api_key()
    assert key.startswith(shown_prefix(key))
    assert len(shown_prefix(key)) == 12


def test_every_typo_is_noticed() -> None:
    key = new_api_key()
    for place in range(len(key)):
        typo = key[:place] + ("a" if key[place] != "a" else "b") + key[place + 1 :]
        assert not is_api_key(typo), place
    assert not is_api_key(key[:-1])
    assert not is_api_key(key + "a")
    assert not is_api_key(key + "\n")
    assert not is_api_key("")


def test_the_checksum_is_crc32_in_base62() -> None:
    # zlib.crc32(b"ccb_" + b"0" * 30) == 2908790777, written in base62
    assert is_api_key("ccb_" + "0" * 30 + "3AqzMH")
