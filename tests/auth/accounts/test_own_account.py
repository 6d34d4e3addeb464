"""The use cases of changing and deleting one's own account."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from services.auth.errors import (
    AlreadyRegistered,
    InvalidCode,
    PersonalPassword,
    WrongPassword,
)
from services.auth.models import Caller, User
from shared.contracts.events import MobileChanged, ProfileChanged
from shared.errors import AppError, Unauthorized
from tests.support.desk import CLIENT, MOBILE, USER
from tests.support.fakes import NOW
from tests.support.own_account import NEW_MOBILE, Account

OTHER = User(2, NEW_MOBILE, "hash:other", None, None, None, NOW)

Act = Callable[["Account"], Awaitable[object]]


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
