"""E-mail addresses of accounts."""

from __future__ import annotations

from database import load
from repositories.repository import Repository, expect_open


class EmailAddresses(Repository):
    """Which address is an account's, and whether that was shown.

    Attempts are counted by the statement itself, as in :class:`repositories.passwords.Passwords`.
    """

    queries = load("email_addresses")

    def queue_verification(self, *, email: str, token_hash: str, secret: bytes) -> None:
        """Queue the mail that follows a registration, in its transaction."""
        self.connection.execute(self.queries.queue_verification, email=email, token_hash=token_hash, secret=secret)

    def request_verification(self, *, email: str, token_hash: str, secret: bytes, account: str, address: str) -> None:
        """Queue a mail with a token, for whoever has the address and has not shown it yet.

        :raises errors.RateLimited: after too many requests, by e-mail address or by network address.
        """
        values = {"email": email, "token_hash": token_hash, "secret": secret, "account": account, "address": address}
        expect_open(self.connection.one(self.queries.request_verification, **values)["wait_seconds"])

    def request_change(self, *, known_hash: str, email: str, token_hash: str, secret: bytes, account: str) -> None:
        """Queue a mail with a token to the caller's new address.

        :param known_hash: what the caller's password was compared with.
        :raises errors.RateLimited: after too many requests for this address.
        """
        values = {"email": email, "token_hash": token_hash, "secret": secret, "account": account}
        expect_open(self.connection.one(self.queries.request_change, known_hash=known_hash, **values)["wait_seconds"])

    def confirm(self, token_hash: str, address: str) -> bool:
        """Use a token up: its address is its person's from now on; False for a token that is none.

        :raises errors.Duplicate: somebody else has registered the address meanwhile.
        :raises errors.RateLimited: after too many wrong tokens.
        """
        row = self.connection.one(self.queries.confirm, token_hash=token_hash, address=address)
        expect_open(row["wait_seconds"])
        return bool(row["is_confirmed"])
