"""Signing in behind its throttle, and the renewal of hashes."""

import asyncio
from dataclasses import replace

import pytest

from services.auth.errors import TooManyAttempts, WrongCredentials
from services.auth.sign_in import service as sign_in
from tests.support.desk import PASSWORD, USER, Desk
from tests.support.fakes import FakePasswords, FakeSignInGuard, FakeUsers

OLD = replace(USER, password_hash=f"old:{PASSWORD}")


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_what_is_throttled_computes_no_hash() -> None:
    desk = Desk(guard=FakeSignInGuard(shut=True))
    with pytest.raises(TooManyAttempts):
        await desk.sign_in()
    assert desk.passwords.computations == 0


@pytest.mark.parametrize("mobile", [USER.mobile, "13800000001"], ids=["known", "unknown"])
async def test_a_wrong_password_is_noted_as_such_for_every_number(desk: Desk, mobile: str) -> None:
    with pytest.raises(WrongCredentials):
        await desk.sign_in("wrong horse", mobile)
    assert (desk.guard.outcomes, desk.passwords.computations) == (["WrongCredentials"], 1)


async def test_a_right_password_is_noted_as_such(desk: Desk) -> None:
    await desk.sign_in()
    assert desk.guard.outcomes == ["right"]


async def test_a_hash_with_other_parameters_is_renewed() -> None:
    desk = Desk(users=FakeUsers([OLD]))
    await desk.sign_in()
    assert desk.users.rows == [USER]
    await desk.sign_in()
    assert desk.passwords.computations == 3


async def test_a_wrong_password_renews_nothing() -> None:
    desk = Desk(users=FakeUsers([OLD]))
    with pytest.raises(WrongCredentials):
        await desk.sign_in("wrong horse")
    assert desk.users.rows == [OLD]


class HangingPasswords(FakePasswords):
    """Hashes for an hour."""

    async def hash(self, password: str) -> str:
        await asyncio.sleep(3600)
        return await super().hash(password)


@pytest.mark.parametrize(
    "desk",
    [
        Desk(users=FakeUsers([OLD]), passwords=FakePasswords(full=True)),
        Desk(users=FakeUsers([OLD]), passwords=HangingPasswords()),
        Desk(users=FakeUsers([OLD], down=True)),
    ],
    ids=["overloaded", "slow", "down"],
)
async def test_a_sign_in_stands_where_its_hash_cannot_be_renewed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in, "_RENEWAL_SECONDS", 0.05)
    assert (await desk.sign_in()).user == OLD
    assert (desk.users.rows, desk.guard.outcomes) == ([OLD], ["right"])
