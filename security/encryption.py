"""Encryption at rest with keys that rotate: the first encrypts, each of them decrypts."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class Cipher:
    """Encrypts what must be read again: webhook secrets, kept answers that show a secret.

    :param keys: Fernet keys, newest first.
    :raises ValueError: there is none, or one is malformed.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise ValueError("at least one encryption key is needed")
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self._newest = Fernet(keys[0])

    def encrypt(self, plain: bytes) -> bytes:
        """Encrypt with the newest key."""
        return self._fernet.encrypt(plain)

    def decrypt(self, token: bytes) -> bytes:
        """Decrypt with whichever key fits.

        :raises ValueError: no key does, or the token was changed.
        """
        try:
            return self._fernet.decrypt(token)
        except InvalidToken as error:
            raise ValueError("no encryption key fits") from error

    def rotate(self, token: bytes) -> bytes:
        """Encrypt anew what is under an older key; what is under the newest stays as it is.

        :raises ValueError: no key fits, or the token was changed.
        """
        try:
            self._newest.decrypt(token)
        except InvalidToken:
            return self.encrypt(self.decrypt(token))
        return token
