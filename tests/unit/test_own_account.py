"""The use cases of changing and deleting one's own account."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from services.auth.deletion import delete_account
from services.auth.domain import Caller, ProfileMember, User
from services.auth.errors import (
    AlreadyRegistered,
    InvalidCode,
    PersonalPassword,
    TooManyAttempts,
    WrongCredentials,
    WrongPassword,
)
from services.auth.mobile_change import change_mobile
from services.auth.password_change import change_password
from services.auth.password_reset import reset_password
from services.auth.profile import change_profile
from shared.errors import AppError, Unauthorized
from shared.events import MobileChanged, PasswordChanged, ProfileChanged
from tests.fakes import NOW
from tests.unit.desk import CLIENT, MOBILE, PASSWORD, USER, Desk

NEW_MOBILE = "13900000001"
NEW_PASSWORD = "battery staple"
OTHER = User(2, NEW_MOBILE, "hash:other", None, None, None, NOW)

Act = Callable[["Account"], Awaitable[object]]


class Account(Desk):
    """A desk where one user is signed in, twice."""

    async def open(self) -> None:
        self.current, self.other = await self.sign_in(), await self.sign_in()
        self.caller = Caller(self.users.rows[0], self.current.session_id)
        self.records.events.clear()
        self.records.entries.clear()

    async def change_profile(self, **changes: str | None) -> User:
        named: dict[ProfileMember, str | None] = {**changes}  # type: ignore[dict-item]
        return await change_profile(
            self.caller, named, CLIENT,
            users=self.users, journal=self.records.journal, clock=lambda: self.now,
        )  # fmt: skip

    async def change_mobile(self, mobile: str = NEW_MOBILE, code: str = "123456") -> None:
        await change_mobile(
            self.caller, mobile, code, CLIENT,
            codes=self.codes, users=self.users, journal=self.records.journal, clock=lambda: self.now,
        )  # fmt: skip

    async def reset(self, password: str = NEW_PASSWORD, code: str = "123456", mobile: str = MOBILE) -> None:
        await reset_password(
            mobile, code, password, CLIENT, codes=self.codes, passwords=self.passwords, users=self.users,
            sessions=self.sessions, journal=self.records.journal, clock=lambda: self.now,
        )  # fmt: skip

    async def change_password(self, old: str = PASSWORD, password: str = NEW_PASSWORD) -> None:
        await change_password(
            self.caller, old, password, CLIENT, guard=self.guard, passwords=self.passwords, users=self.users,
            sessions=self.sessions, journal=self.records.journal, clock=lambda: self.now,
        )  # fmt: skip

    async def delete(self, code: str = "123456") -> None:
        await delete_account(
            self.caller, code, CLIENT, codes=self.codes, users=self.users,
            sessions=self.sessions, journal=self.records.journal, clock=lambda: self.now,
        )  # fmt: skip


@pytest.fixture
async def account() -> Account:
    account = Account()
    await account.open()
    return account


async def test_a_profile_changes_where_it_is_told_to(account: Account) -> None:
    await account.change_profile(nickname="小明", avatar="https://example.com/a.png")
    user = await account.change_profile(avatar=None)
    assert (user.nickname, user.avatar) == ("小明", None)
    assert account.users.rows == [user]
    assert [event.members for event in account.records.events if isinstance(event, ProfileChanged)] == [
        ["nickname", "avatar"], ["avatar"],
    ]  # fmt: skip


async def test_what_stays_the_same_is_no_change(account: Account) -> None:
    await account.change_profile(nickname=None)
    assert (account.records.events, account.acts) == ([], [])


async def test_an_account_moves_to_a_new_number(account: Account) -> None:
    await account.change_mobile()
    assert account.users.rows[0].mobile == NEW_MOBILE
    [event] = account.records.events
    assert isinstance(event, MobileChanged)
    assert event.mobile == "139****0001"
    assert account.acts == ["mobile.changed"]


@pytest.mark.parametrize("mobile", [MOBILE, NEW_MOBILE], ids=["own", "another's"])
async def test_a_taken_number_is_refused(account: Account, mobile: str) -> None:
    account.users.rows.append(OTHER)
    with pytest.raises(AlreadyRegistered):
        await account.change_mobile(mobile)
    assert [user.mobile for user in account.users.rows] == [MOBILE, NEW_MOBILE]


async def test_a_reset_ends_every_session(account: Account) -> None:
    await account.reset()
    assert account.users.rows[0].password_hash == f"hash:{NEW_PASSWORD}"
    assert set(account.sessions.ended.values()) == {"password_reset"}
    assert account.sessions.rows == {}
    [event] = account.records.events
    assert isinstance(event, PasswordChanged)
    assert event.method == "reset"


async def test_an_account_without_a_password_gets_one_by_a_reset(account: Account) -> None:
    account.users.rows[0] = replace(USER, password_hash=None)
    await account.reset()
    assert (await account.sign_in(NEW_PASSWORD)).user.id == USER.id


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([USER], "000000"),
        ([], "000000"),
        ([], "123456"),
        ([replace(USER, disabled_at=NOW)], "123456"),
    ],
    ids=["wrong", "unknown-and-wrong", "unknown", "disabled"],
)
async def test_every_refused_reset_ends_alike_without_hashing(
    account: Account, rows: list[User], code: str
) -> None:
    account.users.rows, account.passwords.computations = rows, 0
    with pytest.raises(InvalidCode):
        await account.reset(code=code)
    assert account.passwords.computations == 0
    assert account.codes.given_back == []
    assert account.acts == ["proof.refused"]


async def test_a_reset_to_the_nickname_is_refused_and_the_code_still_works(account: Account) -> None:
    account.users.rows[0] = replace(USER, nickname="Battery Staple")
    with pytest.raises(PersonalPassword):
        await account.reset(NEW_PASSWORD)
    assert account.codes.given_back == [MOBILE]
    assert account.users.rows[0].password_hash == USER.password_hash


async def test_a_change_of_password_ends_the_other_sessions(account: Account) -> None:
    await account.change_password()
    assert account.users.rows[0].password_hash == f"hash:{NEW_PASSWORD}"
    assert account.sessions.ended == {account.other.session_id: "password_changed"}
    assert list(account.sessions.rows) == [account.current.session_id]


@pytest.mark.parametrize("password_hash", [USER.password_hash, None], ids=["wrong", "none"])
async def test_a_wrong_old_password_changes_nothing(account: Account, password_hash: str | None) -> None:
    account.caller = Caller(replace(USER, password_hash=password_hash), account.current.session_id)
    with pytest.raises(WrongPassword):
        await account.change_password(old="wrong horse")
    assert (account.sessions.ended, account.acts) == ({}, ["proof.refused"])


async def test_guessing_the_old_password_is_throttled_as_signing_in_is(account: Account) -> None:
    account.guard.outcomes.clear()
    with pytest.raises(WrongPassword):
        await account.change_password(old="wrong horse")
    assert account.guard.outcomes == ["WrongPassword"]
    account.guard.shut = True
    with pytest.raises(TooManyAttempts):
        await account.change_password()


@pytest.mark.parametrize("mobile", [MOBILE, "13700000000"], ids=["known", "unknown"])
async def test_a_wrong_proof_is_audited_whether_or_not_there_is_an_account(
    account: Account, mobile: str
) -> None:
    with pytest.raises(WrongCredentials):
        await account.sign_in("wrong horse", mobile)
    with pytest.raises(InvalidCode):
        await account.sign_in_with_code("000000", mobile)
    with pytest.raises(InvalidCode):
        await account.reset(code="000000", mobile=mobile)
    entries = account.records.entries
    assert [(entry.action, entry.details["for"]) for entry in entries] == [
        ("proof.refused", "login"), ("proof.refused", "login_code"), ("proof.refused", "reset"),
    ]  # fmt: skip
    assert {(entry.mobile, entry.user_id, entry.repeats) for entry in entries} == {(mobile, None, True)}


async def test_a_change_does_not_undo_a_reset_that_came_in_between(account: Account) -> None:
    account.users.rows[0] = replace(USER, password_hash="hash:by reset")
    with pytest.raises(WrongPassword):
        await account.change_password()
    assert account.users.rows[0].password_hash == "hash:by reset"


async def test_a_deletion_leaves_neither_account_nor_sessions_nor_number(account: Account) -> None:
    await account.delete()
    assert (account.users.rows, account.sessions.rows) == ([], {})
    assert set(account.sessions.ended.values()) == {"deleted"}
    assert [event.TYPE for event in account.records.events] == ["user.deleted.v1"]
    assert [(entry.action, entry.user_id, entry.mobile) for entry in account.records.entries] == [
        ("user.deleted", USER.id, "")
    ]


async def test_a_wrong_code_deletes_nothing(account: Account) -> None:
    with pytest.raises(InvalidCode):
        await account.delete("000000")
    assert account.users.rows == [USER]
    assert len(account.sessions.rows) == 2


ACTS: list[Act] = [
    lambda account: account.change_profile(nickname="小明"),
    lambda account: account.change_mobile(),
    lambda account: account.change_password(),
    lambda account: account.delete(),
]


@pytest.mark.parametrize("act", ACTS, ids=["profile", "mobile", "password", "deletion"])
@pytest.mark.parametrize("gone", ["session", "account", "disabled"])
async def test_what_ended_while_a_request_was_under_way_changes_nothing(
    account: Account, act: Act, gone: str
) -> None:
    if gone == "session":
        account.users.ended_sessions.add(account.current.session_id)
    else:
        account.users.rows[:] = [replace(USER, disabled_at=NOW)] if gone == "disabled" else []
    before = list(account.users.rows)
    with pytest.raises(Unauthorized):
        await act(account)
    assert account.users.rows == before
    assert account.records.events == []


async def test_every_act_of_the_account_is_audited_with_its_request(account: Account) -> None:
    for act in ACTS:
        await act(account)
        account.caller = (
            Caller(account.users.rows[0], account.current.session_id)
            if account.users.rows
            else account.caller
        )
    assert account.acts == ["profile.changed", "mobile.changed", "password.changed", "user.deleted"]
    assert {entry.client for entry in account.records.entries} == {CLIENT}


def test_no_error_of_an_account_tells_more_than_it_should() -> None:
    errors: list[AppError] = [InvalidCode(), WrongPassword(), PersonalPassword(), AlreadyRegistered()]
    assert [list(error.fields) for error in errors] == [["code"], ["old_password"], ["password"], ["mobile"]]
