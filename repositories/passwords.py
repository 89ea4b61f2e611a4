"""Passwords."""

from __future__ import annotations

from database import load
from repositories.repository import Repository, expect_open


class Passwords(Repository):
    """The caller's own password, and those of people who forgot theirs.

    Attempts are counted by the statement itself: each method wants a transaction of its own, which a refusal after
    it does not undo.
    """

    queries = load("passwords")

    def request_reset(self, *, email: str, token_hash: str, secret: bytes, account: str, address: str) -> None:
        """Queue a mail with a token, for whoever has the address.

        :param secret: the token, encrypted.
        :param account: what requests for this e-mail address are counted under.
        :param address: what requests from this network address are counted under.
        :raises errors.RateLimited: after too many of them.
        """
        values = {"email": email, "token_hash": token_hash, "secret": secret, "account": account, "address": address}
        expect_open(self.connection.one(self.queries.request_reset, **values)["wait_seconds"])

    def begin_reset(self, token_hash: str, address: str) -> bool:
        """Whether a token can be used.

        :raises errors.RateLimited: after too many that could not.
        """
        row = self.connection.one(self.queries.begin_reset, token_hash=token_hash, address=address)
        expect_open(row["wait_seconds"])
        return bool(row["is_valid"])

    def reset(self, token_hash: str, password_hash: str, address: str) -> bool:
        """Give the token's person another password, and end all their sessions; False for a token that is none."""
        values = {"token_hash": token_hash, "password_hash": password_hash, "address": address}
        return bool(self.connection.one(self.queries.reset, **values)["is_done"])

    def begin_check(self) -> str:
        """What the caller's password is compared with.

        :raises errors.Forbidden: the caller is an API key.
        :raises errors.RateLimited: after too many wrong passwords.
        """
        row = self.connection.one(self.queries.begin_check)
        expect_open(row["wait_seconds"])
        return str(row["password_hash"])

    def fail_check(self) -> None:
        """Keep a wrong password for the record."""
        self.connection.execute(self.queries.fail_check)

    def replace(self, known_hash: str, new_hash: str) -> bool:
        """Give the caller another password, and end all their other sessions.

        :return: False where the known one has been replaced meanwhile.
        """
        row = self.connection.one(self.queries.replace, known_hash=known_hash, new_hash=new_hash)
        return bool(row["is_done"])
