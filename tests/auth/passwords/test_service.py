"""The use cases of a new password."""

from dataclasses import replace

import pytest

from services.auth.errors import (
    InvalidCode,
    PersonalPassword,
    TooManyAttempts,
    WrongCredentials,
    WrongPassword,
)
from services.auth.models import Caller, User
from shared.contracts.events import PasswordChanged
from tests.support.desk import MOBILE, USER
from tests.support.fakes import NOW
from tests.support.own_account import NEW_PASSWORD, Account


@pytest.fixture
async def account() -> Account:
    account = Account()
    await account.open()
    return account


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
