"""The use cases of signing in, and of being known by a token."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from services.auth.errors import InvalidCode, WrongCredentials
from services.auth.models import User
from shared.contracts.events import SessionStarted, UserRegistered
from shared.contracts.messages import Purpose
from shared.errors import Unauthorized, Unavailable
from tests.support.desk import MOBILE, USER, Desk
from tests.support.fakes import NOW, FakeCodes, FakePasswords, FakeUsers

DISABLED = replace(USER, disabled_at=NOW)


async def test_the_right_password_opens_a_session() -> None:
    desk = Desk()
    opened = await desk.sign_in()
    assert (opened.user, opened.token) == (USER, "token:1")
    assert (opened.expires_in, opened.refresh_expires_in) == (900, 604800)
    assert list(desk.sessions.rows) == [opened.session_id]


async def test_of_the_refresh_token_only_a_hash_is_stored() -> None:
    desk = Desk()
    opened = await desk.sign_in()
    assert opened.refresh_token not in repr(desk.sessions.rows)
    assert len(desk.sessions.rows[opened.session_id].refresh_hash) == 64


async def test_a_session_comes_with_its_event_and_its_audit_entry() -> None:
    desk = Desk()
    opened = await desk.sign_in()
    event, entry = desk.records.events[0], desk.records.entries[0]
    assert isinstance(event, SessionStarted)
    assert (event.user_id, event.session_id, event.method) == (1, opened.session_id, "password")
    assert (entry.action, entry.user_id, entry.client.request_id) == ("session.started", 1, "request-1")


@pytest.mark.parametrize(
    ("user", "password"),
    [
        (None, "correct horse"),
        (USER, "wrong horse"),
        (DISABLED, "correct horse"),
        (DISABLED, "wrong horse"),
        (replace(USER, password_hash=None), "correct horse"),
    ],
    ids=["unknown", "wrong", "disabled", "disabled-and-wrong", "without-password"],
)
async def test_every_failed_sign_in_ends_alike_after_one_computation(
    user: User | None, password: str
) -> None:
    desk = Desk(users=FakeUsers([user] if user else []))
    with pytest.raises(WrongCredentials):
        await desk.sign_in(password)
    assert desk.passwords.computations == 1
    assert desk.sessions.rows == {}


class Meanwhile(FakePasswords):
    """Changes the account while a password is checked."""

    def __init__(self, users: FakeUsers, *changes: User) -> None:
        super().__init__()
        self.users = users
        self.changes = list(changes)

    async def verify(self, password: str, hashed: str | None) -> bool:
        if self.changes:
            self.users.rows[:] = [self.changes.pop(0)]
        return await super().verify(password, hashed)


@pytest.mark.parametrize(
    "changed",
    [DISABLED, replace(USER, password_hash="hash:other"), replace(USER, mobile="13800000001")],
    ids=["disabled", "password", "mobile"],
)
async def test_what_changes_while_the_password_is_checked_is_noticed(changed: User) -> None:
    users = FakeUsers([USER])
    desk = Desk(users=users, passwords=Meanwhile(users, changed))
    with pytest.raises(WrongCredentials):
        await desk.sign_in()
    assert desk.sessions.rows == {}


async def test_a_hash_that_is_renewed_meanwhile_does_not_hurt() -> None:
    users = FakeUsers([USER])
    # As another sign-in leaves it, which found the parameters outdated.
    renewed = replace(USER, password_hash="renewed:correct horse")
    passwords = Meanwhile(users, renewed)
    passwords.parameters = "renewed"
    desk = Desk(users=users, passwords=passwords)
    assert (await desk.sign_in()).user == renewed
    assert desk.passwords.computations == 2


async def test_a_code_opens_a_session_of_an_account() -> None:
    desk = Desk()
    opened = await desk.sign_in_with_code()
    assert (opened.user, opened.created) == (USER, False)
    assert desk.acts == ["session.started"]


async def test_a_code_makes_an_account_without_a_password_where_there_is_none() -> None:
    desk = Desk(users=FakeUsers())
    opened = await desk.sign_in_with_code()
    assert (opened.created, opened.user.mobile, opened.user.password_hash) == (True, MOBILE, None)
    assert [type(event) for event in desk.records.events] == [UserRegistered, SessionStarted]
    assert desk.acts == ["user.registered", "session.started"]


@pytest.mark.parametrize("rows", [[], [USER], [DISABLED]], ids=["unknown", "known", "disabled"])
async def test_a_wrong_code_tells_nothing(rows: list[User]) -> None:
    desk = Desk(users=FakeUsers(rows))
    with pytest.raises(InvalidCode):
        await desk.sign_in_with_code("000000")
    assert (desk.sessions.rows, desk.records.events) == ({}, [])


@pytest.mark.parametrize("rows", [[], [DISABLED]], ids=["unknown", "disabled"])
async def test_where_no_account_may_be_made_a_right_code_is_refused_as_a_wrong_one(rows: list[User]) -> None:
    desk = Desk(users=FakeUsers(rows))
    with pytest.raises(InvalidCode):
        await desk.sign_in_with_code(creates_accounts=False)
    assert (desk.users.rows, desk.sessions.rows) == (rows, {})


class LateUsers(FakeUsers):
    """Another request makes the account after it was looked for."""

    async def find_by_mobile(self, mobile: str) -> User | None:
        found = await super().find_by_mobile(mobile)
        self.rows = self.rows or [USER]
        return found


async def test_an_account_that_another_request_makes_meanwhile_is_signed_in_to() -> None:
    desk = Desk(users=LateUsers())
    opened = await desk.sign_in_with_code()
    assert (opened.user, opened.created) == (USER, False)
    assert desk.codes.given_back == []


async def test_a_database_that_fails_gives_the_code_back() -> None:
    desk = Desk(users=FakeUsers(down=True))
    with pytest.raises(Unavailable):
        await desk.sign_in_with_code()
    assert desk.codes.given_back == [MOBILE]


async def test_a_token_shows_its_account_and_session() -> None:
    caller = await Desk().identify("token:1")
    assert (caller.user, caller.session_id) == (USER, "session")


@pytest.mark.parametrize("rows", [[], [DISABLED]], ids=["gone", "disabled"])
async def test_a_token_of_an_account_that_is_gone_or_disabled_is_refused(rows: list[User]) -> None:
    with pytest.raises(Unauthorized):
        await Desk(users=FakeUsers(rows)).identify("token:1")


async def test_a_token_of_an_ended_session_is_refused() -> None:
    with pytest.raises(Unauthorized):
        await Desk(users=FakeUsers([USER], ended_sessions={"session"})).identify("token:1")


@pytest.mark.parametrize(
    ("token", "challenge"),
    [(None, 'Bearer realm="dialpass"'), ("token:7", 'Bearer realm="dialpass", error="invalid_token"')],
)
async def test_a_refusal_says_whether_a_token_was_presented(token: str | None, challenge: str) -> None:
    with pytest.raises(Unauthorized) as refusal:
        await Desk().identify(token)
    assert refusal.value.headers == {"WWW-Authenticate": challenge}


@dataclass
class NotingUsers(FakeUsers):
    """Notes that an account was looked for."""

    steps: list[str] = field(default_factory=list)

    async def find_by_mobile(self, mobile: str) -> User | None:
        self.steps.append("account")
        return await super().find_by_mobile(mobile)


@dataclass
class NotingCodes(FakeCodes):
    """Notes that a code was looked at."""

    steps: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def consuming(self, mobile: str, purpose: Purpose, code: str, address: str) -> AsyncIterator[None]:
        self.steps.append("code")
        async with super().consuming(mobile, purpose, code, address):
            yield


@pytest.mark.parametrize(
    ("rows", "code"),
    [([USER], "000000"), ([], "000000"), ([], "123456"), ([DISABLED], "000000")],
    ids=["known", "unknown", "unknown-with-the-right-code", "disabled"],
)
async def test_refusing_a_code_takes_the_same_steps_whether_or_not_there_is_an_account(
    rows: list[User], code: str
) -> None:
    steps: list[str] = []
    desk = Desk(users=NotingUsers(rows, steps=steps), codes=NotingCodes(steps=steps))
    with pytest.raises(InvalidCode):
        await desk.sign_in_with_code(code, creates_accounts=False)
    assert steps == ["account", "code"]
