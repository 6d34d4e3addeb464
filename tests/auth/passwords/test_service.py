"""Changing a password, and resetting one."""

import pytest

from services.auth.errors import (
    InvalidCode,
    PersonalPassword,
    TooManyAttempts,
    WrongCredentials,
    WrongPassword,
)
from services.auth.models import Caller, SignedIn
from shared.contracts.events import PasswordChanged, SessionEnded
from tests.auth.conftest import MakeAuth
from tests.support.auth import CLIENT, NEW_PASSWORD, PASSWORD, WRONG_CODE, AuthHarness


async def ended_sessions(auth: AuthHarness, user_id: int) -> dict[str, str]:
    """Return the reasons of a user's ended sessions, by the events about them."""
    events = await auth.events(user_id)
    return {event.session_id: event.reason for event in events if isinstance(event, SessionEnded)}


async def has_password(auth: AuthHarness, password: str) -> bool:
    user = await auth.users.find_by_mobile(auth.mobile)
    assert user is not None
    return await auth.hasher.verify(password, user.password_hash)


@pytest.fixture
async def other(auth: AuthHarness) -> SignedIn:
    """A session of the harness's own account."""
    await auth.add_user()
    return await auth.sign_in()


@pytest.fixture
async def caller(auth: AuthHarness, other: SignedIn) -> Caller:
    """The same user in another session."""
    return Caller(other.user, (await auth.sign_in()).session_id)


async def reset(auth: AuthHarness, code: str, password: str = NEW_PASSWORD) -> None:
    await auth.services.passwords.reset(auth.mobile, code, password, CLIENT)


async def change(auth: AuthHarness, caller: Caller, old: str = PASSWORD) -> None:
    await auth.services.passwords.change(caller, old, NEW_PASSWORD, CLIENT)


async def test_a_reset_sets_the_password_and_ends_every_session(auth: AuthHarness, caller: Caller) -> None:
    await reset(auth, await auth.code("reset"))
    assert await has_password(auth, NEW_PASSWORD)
    assert set((await ended_sessions(auth, caller.user.id)).values()) == {"password_reset"}
    assert await auth.session_ids(caller.user.id) == set()
    [event] = [one for one in await auth.events(caller.user.id) if isinstance(one, PasswordChanged)]
    assert event.method == "reset"


async def test_an_account_without_a_password_gets_one_by_a_reset(auth: AuthHarness) -> None:
    user = await auth.add_user(password=None)
    await reset(auth, await auth.code("reset"))
    assert (await auth.sign_in(NEW_PASSWORD)).user.id == user.id


@pytest.mark.parametrize(
    ("account", "right"),
    [("known", False), ("unknown", False), ("unknown", True), ("disabled", True)],
    ids=["wrong", "unknown-and-wrong", "unknown", "disabled"],
)
async def test_every_refused_reset_ends_alike_without_hashing(
    auth: AuthHarness, account: str, *, right: bool
) -> None:
    if account != "unknown":
        user = await auth.add_user()
        if account == "disabled":
            await auth.change(user, disabled_at=auth.now)
    code, before = await auth.code("reset"), auth.hashes()
    with pytest.raises(InvalidCode):
        await reset(auth, code if right else WRONG_CODE)
    assert auth.hashes() == before
    assert [entry.action for entry in await auth.audited(mobile=auth.mobile)] == ["proof.refused"]
    if right:  # it has served
        with pytest.raises(InvalidCode):
            await reset(auth, code)


async def test_a_reset_to_the_nickname_is_refused_and_the_code_stays_valid(auth: AuthHarness) -> None:
    user = await auth.add_user(nickname="Battery Staple")
    code = await auth.code("reset")
    with pytest.raises(PersonalPassword):
        await reset(auth, code, NEW_PASSWORD)
    assert await auth.user(user.id) == user
    await reset(auth, code, "another password")


async def test_wrong_codes_for_a_reset_are_throttled_by_address(make_auth: MakeAuth) -> None:
    auth = make_auth(settings={"code_wrong_address": "1/hour"})
    await auth.add_user()
    with pytest.raises(InvalidCode):
        await reset(auth, WRONG_CODE)
    with pytest.raises(TooManyAttempts):
        await reset(auth, WRONG_CODE)
    await reset(auth, await auth.code("reset"))


async def test_a_change_sets_the_password_and_ends_the_other_sessions(
    auth: AuthHarness, caller: Caller, other: SignedIn
) -> None:
    await change(auth, caller)
    assert await has_password(auth, NEW_PASSWORD)
    assert await ended_sessions(auth, caller.user.id) == {other.session_id: "password_changed"}
    assert await auth.session_ids(caller.user.id) == {caller.session_id}


@pytest.mark.parametrize("password", [PASSWORD, None], ids=["wrong", "none"])
async def test_a_wrong_old_password_changes_nothing(auth: AuthHarness, password: str | None) -> None:
    user = await auth.add_user(password=password)
    caller = Caller(user, "0" * 32)
    with pytest.raises(WrongPassword):
        await change(auth, caller, old="wrong horse")
    assert await auth.user(user.id) == user
    assert [entry.action for entry in await auth.audited(mobile=auth.mobile)] == ["proof.refused"]


async def test_guessing_the_old_password_is_throttled_like_signing_in(make_auth: MakeAuth) -> None:
    auth = make_auth(settings={"sign_in_limit_account": "1/hour"})
    caller = Caller(await auth.add_user(), "0" * 32)
    for _ in range(2):
        with pytest.raises(WrongPassword):
            await change(auth, caller, old="wrong horse")
    with pytest.raises(TooManyAttempts):
        await change(auth, caller)
    with pytest.raises(TooManyAttempts):
        await auth.sign_in()


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
async def test_a_wrong_proof_is_audited_whether_or_not_there_is_an_account(
    auth: AuthHarness, *, known: bool
) -> None:
    if known:
        await auth.add_user()
    with pytest.raises(WrongCredentials):
        await auth.sign_in("wrong horse")
    with pytest.raises(InvalidCode):
        await auth.services.sign_in.with_code(auth.mobile, WRONG_CODE, CLIENT)
    for _ in range(2):
        with pytest.raises(InvalidCode):
            await reset(auth, WRONG_CODE)
    entries = await auth.audited(mobile=auth.mobile)
    seen = {entry.details["for"]: (entry.action, entry.user_id, entry.times) for entry in entries}
    assert seen == {
        "login": ("proof.refused", None, 1),
        "login_code": ("proof.refused", None, 1),
        "reset": ("proof.refused", None, 2),
    }


async def test_a_change_does_not_undo_a_reset_that_came_in_between(auth: AuthHarness, caller: Caller) -> None:
    by_reset = await auth.hasher.hash("by reset")
    await auth.change(caller.user, password_hash=by_reset)
    with pytest.raises(WrongPassword):
        await change(auth, caller)
    assert (await auth.user(caller.user.id)).password_hash == by_reset
