"""Encryption at rest."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet

from security.encryption import Cipher

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def test_keys_rotate() -> None:
    token = Cipher([OLD]).encrypt(b"whsec_secret")
    assert b"whsec" not in token
    both = Cipher([NEW, OLD])
    assert both.decrypt(token) == b"whsec_secret"
    renewed = both.rotate(token)
    assert Cipher([NEW]).decrypt(renewed) == b"whsec_secret"
    assert both.rotate(renewed) == renewed, "it is under the newest key"
    with pytest.raises(ValueError, match="no encryption key fits"):
        Cipher([NEW]).rotate(token)
    with pytest.raises(ValueError, match="no encryption key fits"):
        Cipher([NEW]).decrypt(token)


def test_a_changed_token_is_refused() -> None:
    token = bytearray(Cipher([NEW]).encrypt(b"secret"))
    token[-1] ^= 1
    with pytest.raises(ValueError, match="no encryption key fits"):
        Cipher([NEW]).decrypt(bytes(token))


def test_without_a_key() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Cipher([])
