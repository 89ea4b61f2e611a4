"""Rulings 13 and 15 to 18: roles, ranks, the last owner, addresses, credentials at rest."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet

from config import Settings
from security.encryption import Cipher
from security.passwords import MAX_BYTES, hash_password, verify_password
from tests.sql.people import People, digest
from tests.waiting import eventually

LEAVE = "DELETE FROM organization_members WHERE organization_id = %s AND user_id = %s"
PROMOTE = "UPDATE organization_members SET role = %s WHERE organization_id = %s AND user_id = %s"
GRANT = "UPDATE organization_members SET permissions = %s::jsonb WHERE organization_id = %s AND user_id = %s"


def _refusal(people: People, actor: str, statement: str, values: list[Any]) -> str | None:
    """The SQLSTATE of a refusal; None where the statement is let through, which is undone."""
    try:
        with people.acting(actor) as connection:
            assert connection.execute(statement, values).rowcount == 1
    except psycopg.Error as error:
        return error.sqlstate
    return None


def test_ruling_13_roles_and_their_default(people: People, admin: psycopg.Connection[Any]) -> None:
    owner, member = people.register(), people.register()
    team = people.team(owner)
    insert = "INSERT INTO organization_members (organization_id, user_id) VALUES (%s, %s) RETURNING role"
    assert admin.execute(insert, [team, member]).fetchone() == {"role": "viewer"}
    for role in ("member", "Owner", ""):
        with pytest.raises(psycopg.errors.CheckViolation):
            admin.execute(PROMOTE, [role, team, member])


def test_ruling_13_permissions_are_seeded(admin: psycopg.Connection[Any]) -> None:
    rows = admin.execute(
        "SELECT role, array_agg(name::text) AS names FROM role_permissions JOIN permissions ON permissions.id ="
        " permission_id GROUP BY role"
    )
    given = {row["role"]: set(row["names"]) for row in rows}
    assert given["viewer"] < given["developer"] < given["admin"] < given["owner"]
    assert given["owner"] - given["admin"] == {"organizations:delete"}
    assert all(name.endswith(":read") for name in given["viewer"])
    assert not {name for names in given.values() for name in names if name.startswith("operations:")}


def test_ruling_13_the_last_owner_neither_leaves_nor_is_demoted(people: People) -> None:
    owner, second, admin = people.register(), people.register(), people.register()
    team = people.team(owner, **{second: "owner", admin: "admin"})
    assert _refusal(people, owner, LEAVE, [team, owner]) is None
    with people.acting(second, keep=True) as connection:
        connection.execute(PROMOTE, ["admin", team, second])
    assert _refusal(people, owner, LEAVE, [team, owner]) == "CB002"
    assert _refusal(people, owner, PROMOTE, ["viewer", team, owner]) == "CB002"
    assert _refusal(people, admin, LEAVE, [team, admin]) is None


@pytest.mark.parametrize("how", ["leave", "demotion", "both"])
def test_ruling_13_two_owners_who_leave_at_once_do_not_both_succeed(
    people: People, admin: psycopg.Connection[Any], how: str
) -> None:
    first, second = people.register(), people.register()
    team = people.team(first, **{second: "owner"})
    outcomes: list[str | None] = []

    def go(person: str, way: str) -> None:
        try:
            with people.connect() as connection, people.acting(person, keep=True, connection=connection):
                if way == "leave":
                    connection.execute(LEAVE, [team, person])
                else:
                    connection.execute(PROMOTE, ["viewer", team, person])
            outcomes.append(None)
        except psycopg.Error as error:
            outcomes.append(error.sqlstate)

    with people.connect() as connection:
        with people.acting(first, keep=True, connection=connection):
            if how == "demotion":
                connection.execute(PROMOTE, ["viewer", team, first])
            else:
                connection.execute(LEAVE, [team, first])
            follower = threading.Thread(target=go, args=[second, "leave" if how == "leave" else "demotion"])
            follower.start()
            waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            eventually(lambda: admin.execute(waiting).rowcount, "the second owner waits for the first")
        follower.join()
    assert outcomes == ["CB002"]
    owners = admin.execute(
        "SELECT user_id FROM organization_members WHERE organization_id = %s AND role = 'owner'", [team]
    ).fetchall()
    assert [str(row["user_id"]) for row in owners] == [second]


def test_nobody_hands_out_a_rank_above_their_own(people: People) -> None:
    owner, admin, other, viewer, newcomer = (people.register() for _ in range(5))
    team = people.team(owner, **{admin: "admin", other: "admin", viewer: "viewer"})
    add = "INSERT INTO organization_members (organization_id, user_id, role) VALUES (%s, %s, %s)"
    assert _refusal(people, admin, add, [team, newcomer, "owner"]) == "CB006"
    assert _refusal(people, admin, add, [team, newcomer, "admin"]) is None
    assert _refusal(people, owner, add, [team, newcomer, "owner"]) is None
    assert _refusal(people, admin, PROMOTE, ["owner", team, admin]) == "CB006"
    assert _refusal(people, admin, PROMOTE, ["owner", team, viewer]) == "CB006"
    assert _refusal(people, admin, PROMOTE, ["developer", team, owner]) == "CB006"
    assert _refusal(people, admin, LEAVE, [team, owner]) == "CB006"
    assert _refusal(people, admin, PROMOTE, ["viewer", team, other]) is None
    assert _refusal(people, owner, PROMOTE, ["owner", team, admin]) is None


def test_nobody_gives_a_permission_they_lack(people: People) -> None:
    owner, admin, viewer = people.register(), people.register(), people.register()
    team = people.team(owner, **{admin: "admin", viewer: "viewer"})
    assert _refusal(people, admin, GRANT, ['["organizations:delete"]', team, viewer]) == "CB006"
    assert _refusal(people, admin, GRANT, ['["webhooks:delete"]', team, viewer]) is None
    assert _refusal(people, admin, GRANT, ['["organizations:delete"]', team, admin]) == "CB006"
    assert _refusal(people, owner, GRANT, ['["organizations:delete"]', team, viewer]) is None
    assert _refusal(people, owner, GRANT, ['["operations:run"]', team, viewer]) == "CB006"
    assert _refusal(people, owner, GRANT, ['["webhooks:fly"]', team, viewer]) == "CB007"


def test_ruling_8_a_members_own_permissions_count(people: People) -> None:
    owner, viewer = people.register(), people.register()
    team = people.team(owner, **{viewer: "viewer"})
    integration = people.integration(owner, team)
    change = "UPDATE integrations SET name = 'x' WHERE id = %s"
    with people.acting(viewer) as connection:
        assert connection.execute(change, [integration]).rowcount == 0
    with people.acting(owner, keep=True) as connection:
        connection.execute(GRANT, ['["integrations:update"]', team, viewer])
    with people.acting(viewer) as connection:
        assert connection.execute(change, [integration]).rowcount == 1
    with people.acting(viewer, permissions=["integrations:read"]) as connection:
        assert connection.execute(change, [integration]).rowcount == 0


def test_ruling_15_a_deleted_address_is_free_again(people: People, admin: psycopg.Connection[Any]) -> None:
    email = f"{uuid.uuid4()}@example.org"
    register = "SELECT register_user(%s, %s, 'Ann', 'hash')"
    first = uuid.uuid4()
    people.connection.execute(register, [first, email])
    for taken in (email, email.upper(), email.title()):
        with pytest.raises(psycopg.errors.UniqueViolation) as refusal:
            people.connection.execute(register, [uuid.uuid4(), taken])
        assert refusal.value.diag.constraint_name == "uq_users_email"
    admin.execute("UPDATE users SET deleted_at = now() WHERE id = %s", [first])
    people.connection.execute(register, [uuid.uuid4(), email.upper()])
    with pytest.raises(psycopg.errors.UniqueViolation):
        admin.execute("UPDATE users SET deleted_at = NULL WHERE id = %s", [first])


def test_ruling_15_a_deleted_slug_is_free_again(people: People) -> None:
    owner = people.register()
    slug = f"slug-{uuid.uuid4()}"
    create = "SELECT id FROM create_organization('Team', %s, NULL, NULL)"
    with people.acting(owner, keep=True) as connection:
        first = connection.execute(create, [slug]).fetchone()
    for taken in (slug, slug.upper()):
        assert _refusal(people, owner, create, [taken]) == "23505"
    with people.acting(owner, keep=True) as connection:
        connection.execute("UPDATE organizations SET deleted_at = now() WHERE id = %s", [first["id"]])  # type: ignore[index]
    assert _refusal(people, owner, create, [slug.upper()]) is None


def test_ruling_16_only_hashes_of_tokens_are_stored(people: People, admin: psycopg.Connection[Any]) -> None:
    person = people.register()
    begin = "SELECT begin_session(%s, gen_random_uuid(), %s, %s, 60, 60, 'account', 'address')"
    for session_token, refresh_token in (
        ("a token", digest("x")),
        (digest("y"), "a token"),
        (digest("z").upper(), digest("w")),
    ):
        with pytest.raises(psycopg.errors.CheckViolation):
            people.connection.execute(begin, [person, session_token, refresh_token])
    with pytest.raises(psycopg.errors.CheckViolation):
        admin.execute(
            "INSERT INTO api_keys (user_id, name, key_hash, key_prefix) VALUES (%s, 'x', 'ccb_abc', 'ccb_abc')",
            [person],
        )


def test_ruling_16_refresh_rotates_and_reuse_ends_the_session(people: People, admin: psycopg.Connection[Any]) -> None:
    person, session = people.register(), uuid.uuid4()
    tokens = [digest(f"{session} {number}") for number in range(8)]
    people.connection.execute(
        "SELECT begin_session(%s, %s, %s, %s, 60, 3600, 'account', 'address')", [person, session, tokens[0], tokens[1]]
    )

    def refresh(presented: str, access: str, following: str, grace: int = 10) -> str:
        values = [session, presented, access, following, grace]
        row = people.connection.execute("SELECT refresh_session(%s, %s, %s, %s, 60, %s) AS outcome", values).fetchone()
        assert row is not None
        return str(row["outcome"])

    assert refresh(tokens[1], tokens[2], tokens[3]) == "rotated"
    assert refresh(tokens[1], tokens[2], tokens[3]) == "repeated"
    assert refresh(tokens[3], tokens[4], tokens[5]) == "rotated"
    assert refresh(tokens[3], tokens[6], tokens[7], grace=0) == "reused"
    assert refresh(tokens[5], tokens[6], tokens[7]) == "ended"
    with pytest.raises(psycopg.DatabaseError) as refusal:
        people.connection.execute("SELECT authenticate_session(%s, NULL, NULL, NULL)", [tokens[4]])
    assert refusal.value.sqlstate == "CB401"
    audited = admin.execute(
        "SELECT action FROM audit_logs WHERE user_id = %s AND action LIKE 'session.%%'", [person]
    ).fetchall()
    assert {row["action"] for row in audited} == {"session.began", "session.reuse_detected", "session.ended"}


def test_ruling_17_webhook_secrets_are_encrypted(people: People) -> None:
    owner = people.register()
    team = people.team(owner)
    integration = people.integration(owner, team)
    insert = (
        "INSERT INTO webhooks (organization_id, integration_id, url, events, secret) VALUES (%s, %s,"
        " 'https://x', '{}', %s)"
    )
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    token = Cipher([old]).encrypt(b"whsec_secret")
    assert _refusal(people, owner, insert, [team, integration, "whsec_secret"]) == "23514"
    assert _refusal(people, owner, insert, [team, integration, token.decode()]) is None
    assert Cipher([new, old]).decrypt(token) == b"whsec_secret"
    assert Cipher([new]).decrypt(Cipher([new, old]).rotate(token)) == b"whsec_secret"
    with pytest.raises(ValueError):
        Cipher([new]).decrypt(token)


def test_ruling_18_passwords() -> None:
    assert Settings().bcrypt_cost == 12
    hashed = hash_password("correct horse", 4)
    assert hashed.startswith("$2b$04$")
    assert verify_password("correct horse", hashed, 4)
    assert not verify_password("correct horsf", hashed, 4)
    assert not verify_password("correct horse", None, 4)
    with pytest.raises(ValueError, match="72 bytes"):
        hash_password("ü" * (MAX_BYTES // 2 + 1), 4)
    longest = "p" * MAX_BYTES
    assert not verify_password(longest + "x", hash_password(longest, 4), 4)
