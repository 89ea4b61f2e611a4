"""Passwords."""

from __future__ import annotations

import time

import bcrypt
import pytest

from security.passwords import hash_password, verify_password


def test_hash_and_verify() -> None:
    hashed = hash_password("correct horse", 4)
    assert hashed.startswith("$2b$04$")
    assert bcrypt.checkpw(b"correct horse", hashed.encode())
    assert verify_password("correct horse", hashed, 4)
    assert not verify_password("wrong horse", hashed, 4)


def test_72_bytes_are_the_limit() -> None:
    longest = "é" * 36
    assert verify_password(longest, hash_password(longest, 4), 4)
    with pytest.raises(ValueError, match="72 bytes"):
        hash_password(longest + "x", 4)
    assert not verify_password(longest + "x", hash_password(longest, 4), 4)


def test_nobody_takes_as_long_as_somebody() -> None:
    hashed = hash_password("correct horse", 10)
    verify_password("warm up", None, 10)

    def fastest(password_hash: str | None) -> float:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            assert not verify_password("wrong horse", password_hash, 10)
            times.append(time.perf_counter() - began)
        return min(times)

    assert 0.5 < fastest(None) / fastest(hashed) < 2
