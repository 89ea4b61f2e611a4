"""What asks a signed-in person for the password once more: a stolen token is not enough for it."""

from __future__ import annotations

from database import statement
from errors import Invalid
from repositories.passwords import Passwords
from security.passwords import verify_password
from web.caller import caller, settings


def checked_password(password: str, pointer: str) -> str:
    """The hash that the caller's password fits, for whatever replaces or needs it.

    :param pointer: where the password stands in the body.
    :raises errors.Invalid: it is another.
    :raises errors.Forbidden: the caller is an API key.
    :raises errors.RateLimited: after too many wrong ones.
    """
    with statement(caller()) as connection:
        known_hash = Passwords(connection).begin_check()
    if not verify_password(password, known_hash, settings().bcrypt_cost):
        with statement(caller()) as connection:
            Passwords(connection).fail_check()
        raise Invalid("The password is wrong.", errors=[{"pointer": pointer, "detail": "Not this account's password."}])
    return known_hash
