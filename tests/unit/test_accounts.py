"""The use cases of registering, signing in and one's own account."""

from dataclasses import replace

import pytest

from services.auth.domain import Client, SignedIn, User
from services.auth.errors import AlreadyRegistered, InvalidCode, WrongCredentials
from services.auth.profile import current_user
from services.auth.registration import Registration, register
from services.auth.sign_in import TokenLifetimes, sign_in
from shared.errors import Unauthorized, Unavailable
from shared.events import UserRegistered
from tests.fakes import NOW, FakeCodes, FakePasswords, FakeRecords, FakeSessions, FakeTokens, FakeUsers, clock

MOBILE = "13800000000"
REGISTRATION = Registration(MOBILE, "123456", "correct horse", None, None)
USER = User(1, MOBILE, "hash:correct horse", None, None, None, NOW)


async def try_registering(
    registration: Registration = REGISTRATION,
    codes: FakeCodes | None = None,
    users: FakeUsers | None = None,
    records: FakeRecords | None = None,
) -> int:
    return await register(
        registration,
        Client("192.0.2.1", "test", "request-1"),
        codes=codes or FakeCodes(),
        passwords=FakePasswords(),
        users=users if users is not None else FakeUsers(),
        journal=(records or FakeRecords()).journal,
        clock=clock,
    )


async def try_signing_in(
    users: FakeUsers, passwords: FakePasswords, password: str = "correct horse", mobile: str = MOBILE
) -> SignedIn:
    return await sign_in(
        mobile,
        password,
        Client("192.0.2.1", "test"),
        users=users,
        passwords=passwords,
        sessions=FakeSessions(),
        tokens=FakeTokens(),
        lifetimes=TokenLifetimes(900, 604800),
        clock=clock,
    )


async def test_a_right_code_makes_an_account_without_the_password() -> None:
    users = FakeUsers()
    assert await try_registering(users=users) == 1
    assert users.rows == [USER]


async def test_an_account_comes_with_its_event_and_its_audit_entry() -> None:
    records = FakeRecords()
    await try_registering(records=records)
    event, entry = records.events[0], records.entries[0]
    assert isinstance(event, UserRegistered)
    assert (event.user_id, event.occurred_at, event.mobile) == (1, NOW, "138****0000")
    assert (entry.action, entry.user_id, entry.mobile, entry.client.request_id) == (
        "user.registered", 1, MOBILE, "request-1",
    )  # fmt: skip


async def test_a_refused_registration_records_nothing() -> None:
    records = FakeRecords()
    with pytest.raises(AlreadyRegistered):
        await try_registering(users=FakeUsers([USER]), records=records)
    assert (records.events, records.entries) == ([], [])


async def test_a_wrong_code_is_told_before_an_existing_account() -> None:
    with pytest.raises(InvalidCode):
        await try_registering(replace(REGISTRATION, code="000000"), users=FakeUsers([USER]))


async def test_a_right_code_for_a_registered_number_is_told_so() -> None:
    with pytest.raises(AlreadyRegistered):
        await try_registering(users=FakeUsers([USER]))


async def test_a_database_that_fails_gives_the_code_back() -> None:
    codes = FakeCodes()
    with pytest.raises(Unavailable):
        await try_registering(codes=codes, users=FakeUsers(down=True))
    assert codes.given_back == [MOBILE]


async def test_the_right_password_opens_a_session() -> None:
    signed_in = await try_signing_in(FakeUsers([USER]), FakePasswords())
    assert (signed_in.user, signed_in.token) == (USER, "token:1")
    assert (signed_in.expires_in, signed_in.refresh_expires_in) == (900, 604800)


async def test_of_the_refresh_token_only_a_hash_is_stored() -> None:
    sessions = FakeSessions()
    signed_in = await sign_in(
        MOBILE, "correct horse", Client("192.0.2.1", "test"),
        users=FakeUsers([USER]), passwords=FakePasswords(), sessions=sessions, tokens=FakeTokens(),
        lifetimes=TokenLifetimes(900, 604800), clock=clock,
    )  # fmt: skip
    assert signed_in.refresh_token not in repr(sessions.rows)
    assert len(sessions.rows[0].refresh_hash) == 64


@pytest.mark.parametrize(
    ("user", "password"),
    [
        (None, "correct horse"),
        (USER, "wrong horse"),
        (replace(USER, disabled_at=NOW), "correct horse"),
        (replace(USER, disabled_at=NOW), "wrong horse"),
    ],
    ids=["unknown", "wrong", "disabled", "disabled-and-wrong"],
)
async def test_every_failed_sign_in_ends_alike_after_one_computation(
    user: User | None, password: str
) -> None:
    passwords = FakePasswords()
    with pytest.raises(WrongCredentials):
        await try_signing_in(FakeUsers([user] if user else []), passwords, password)
    assert passwords.computations == 1


async def test_a_token_shows_its_account() -> None:
    assert await current_user("token:1", tokens=FakeTokens(), users=FakeUsers([USER])) == USER


@pytest.mark.parametrize("rows", [[], [replace(USER, disabled_at=NOW)]], ids=["gone", "disabled"])
async def test_a_token_of_an_account_that_is_gone_or_disabled_is_refused(rows: list[User]) -> None:
    with pytest.raises(Unauthorized):
        await current_user("token:1", tokens=FakeTokens(), users=FakeUsers(rows))


@pytest.mark.parametrize(
    ("token", "challenge"),
    [(None, 'Bearer realm="dialpass"'), ("token:7", 'Bearer realm="dialpass", error="invalid_token"')],
)
async def test_a_refusal_says_whether_a_token_was_presented(token: str | None, challenge: str) -> None:
    with pytest.raises(Unauthorized) as refusal:
        await current_user(token, tokens=FakeTokens(), users=FakeUsers())
    assert refusal.value.headers == {"WWW-Authenticate": challenge}
