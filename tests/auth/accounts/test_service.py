"""Registration, and what owners do to their accounts."""

from collections.abc import Awaitable, Callable

import pytest

from services.auth.errors import (
    AlreadyRegistered,
    InvalidCode,
    PersonalPassword,
    TooManyAttempts,
    WrongPassword,
)
from services.auth.models import Caller, ProfileMember, SignedIn, User
from shared.contracts.events import MobileChanged, ProfileChanged, UserRegistered
from shared.errors import AppError, Unauthorized, Unavailable
from tests.auth.conftest import MakeAuth
from tests.support.auth import CLIENT, NEW_PASSWORD, PASSWORD, WRONG_CODE, AuthHarness
from tests.support.client import new_mobile
from tests.support.database import failing


async def register(auth: AuthHarness, code: str) -> int:
    return await auth.services.accounts.register(auth.mobile, code, PASSWORD, CLIENT)


async def test_a_right_code_creates_an_account_that_does_not_hold_the_password(auth: AuthHarness) -> None:
    user = await auth.user(await register(auth, await auth.code("register")))
    assert (user.mobile, user.nickname, user.avatar, user.created_at) == (auth.mobile, None, None, auth.now)
    assert user.password_hash
    assert PASSWORD not in user.password_hash
    assert await auth.hasher.verify(PASSWORD, user.password_hash)


async def test_an_account_comes_with_its_event_and_its_audit_entry(auth: AuthHarness) -> None:
    user_id = await register(auth, await auth.code("register"))
    [event], [entry] = await auth.events(user_id), await auth.audited(user_id)
    assert isinstance(event, UserRegistered)
    masked = f"{auth.mobile[:3]}****{auth.mobile[-4:]}"
    assert (event.user_id, event.occurred_at, event.mobile) == (user_id, auth.now, masked)
    assert (entry.action, entry.mobile, entry.request_id) == ("user.registered", masked, "request-1")


async def test_a_refused_registration_records_nothing(auth: AuthHarness) -> None:
    user = await auth.add_user()
    with pytest.raises(AlreadyRegistered):
        await register(auth, await auth.code("register"))
    assert (await auth.events(user.id), await auth.audited(mobile=auth.mobile)) == ([], [])


async def test_a_wrong_code_is_reported_before_an_existing_account(auth: AuthHarness) -> None:
    await auth.add_user()
    with pytest.raises(InvalidCode):
        await register(auth, WRONG_CODE)


async def test_a_code_stays_valid_if_the_database_fails(auth: AuthHarness) -> None:
    code = await auth.code("register")
    auth.database.before = failing("INSERT INTO `users`", Unavailable())
    with pytest.raises(Unavailable):
        await register(auth, code)
    auth.database.before = None
    assert await register(auth, code)


@pytest.fixture
async def signed_in(auth: AuthHarness) -> SignedIn:
    """One of two sessions of the harness's own account."""
    await auth.add_user()
    await auth.sign_in()
    signed_in = await auth.sign_in()
    await forget_records(auth, signed_in.user.id)
    return signed_in


async def forget_records(auth: AuthHarness, user_id: int) -> None:
    """Remove what was recorded while a test was prepared."""
    for table in ("outbox", "audit"):
        await auth.database.fetch_all(f"DELETE FROM {table} WHERE user_id = %s", (user_id,))


@pytest.fixture
def caller(signed_in: SignedIn) -> Caller:
    return Caller(signed_in.user, signed_in.session_id)


async def change_profile(auth: AuthHarness, caller: Caller, **changes: str | None) -> User:
    members: dict[ProfileMember, str | None] = {**changes}  # type: ignore[dict-item]
    return await auth.services.accounts.change_profile(caller, members, CLIENT)


async def change_mobile(auth: AuthHarness, caller: Caller, mobile: str) -> None:
    code = await auth.code("change_mobile", mobile)
    await auth.services.accounts.change_mobile(caller, mobile, code, CLIENT)


async def test_a_profile_changes_in_the_given_members(auth: AuthHarness, caller: Caller) -> None:
    await change_profile(auth, caller, nickname="小明", avatar="https://example.com/a.png")
    user = await change_profile(auth, caller, avatar=None)
    assert (user.nickname, user.avatar) == ("小明", None)
    assert await auth.user(user.id) == user
    events = await auth.events(user.id)
    assert [event.members for event in events if isinstance(event, ProfileChanged)] == [
        ["nickname", "avatar"], ["avatar"],
    ]  # fmt: skip


async def test_an_equal_value_is_no_change(auth: AuthHarness, caller: Caller) -> None:
    await change_profile(auth, caller, nickname=None)
    assert (await auth.events(caller.user.id), await auth.audited(caller.user.id)) == ([], [])


async def test_an_account_moves_to_a_new_number(auth: AuthHarness, caller: Caller) -> None:
    mobile = new_mobile()
    await change_mobile(auth, caller, mobile)
    assert (await auth.user(caller.user.id)).mobile == mobile
    [ended, event], [entry] = await auth.events(caller.user.id), await auth.audited(caller.user.id)
    assert ended.TYPE == "session.ended.v1"
    assert isinstance(event, MobileChanged)
    assert event.mobile == f"{mobile[:3]}****{mobile[-4:]}"
    assert entry.action == "mobile.changed"


@pytest.mark.parametrize("own", [True, False], ids=["own", "another's"])
async def test_a_taken_number_is_refused(auth: AuthHarness, caller: Caller, *, own: bool) -> None:
    other = await auth.add_user(new_mobile())
    with pytest.raises(AlreadyRegistered):
        await change_mobile(auth, caller, caller.user.mobile if own else other.mobile)
    assert await auth.user(caller.user.id) == caller.user
    assert await auth.user(other.id) == other


async def test_a_deletion_leaves_neither_account_nor_sessions_nor_number(
    auth: AuthHarness, caller: Caller
) -> None:
    user_id = caller.user.id
    await auth.services.accounts.delete(caller, await auth.code("delete"), CLIENT)
    assert await auth.users.find_by_id(user_id) is None
    assert await auth.session_ids(user_id) == set()
    events = await auth.events(user_id)
    assert [event.TYPE for event in events] == ["session.ended.v1"] * 2 + ["user.deleted.v1"]
    assert {event.reason for event in events if hasattr(event, "reason")} == {"deleted"}
    assert [(entry.action, entry.mobile) for entry in await auth.audited(user_id)] == [("user.deleted", "")]


async def test_a_wrong_code_deletes_nothing(auth: AuthHarness, caller: Caller) -> None:
    with pytest.raises(InvalidCode):
        await auth.services.accounts.delete(caller, WRONG_CODE, CLIENT)
    assert await auth.user(caller.user.id) == caller.user
    assert len(await auth.session_ids(caller.user.id)) == 2


Act = Callable[[AuthHarness, Caller], Awaitable[object]]


async def _change_password(auth: AuthHarness, caller: Caller) -> None:
    await auth.services.passwords.change(caller, PASSWORD, NEW_PASSWORD, CLIENT)


async def _delete(auth: AuthHarness, caller: Caller) -> None:
    code = await auth.code("delete", caller.user.mobile)
    await auth.services.accounts.delete(caller, code, CLIENT)


ACTS: dict[str, Act] = {
    "profile": lambda auth, caller: change_profile(auth, caller, nickname="小明"),
    "mobile": lambda auth, caller: change_mobile(auth, caller, new_mobile()),
    "password": _change_password,
    "deletion": _delete,
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
@pytest.mark.parametrize("gone", ["session", "account", "disabled"])
async def test_a_request_whose_session_or_account_ended_meanwhile_changes_nothing(
    auth: AuthHarness, caller: Caller, act: Act, gone: str
) -> None:
    user = caller.user
    match gone:
        case "session":
            await auth.sessions.end(user.id, caller.session_id, reason="signed_out", now=auth.now)
        case "account":
            await auth.users.remove(user.id)
        case _:
            await auth.change(user, disabled_at=auth.now)
    before, events = await auth.users.find_by_id(user.id), await auth.events(user.id)
    with pytest.raises(Unauthorized):
        await act(auth, caller)
    assert await auth.users.find_by_id(user.id) == before
    assert await auth.events(user.id) == events


async def test_every_change_of_the_account_is_audited_with_its_request(
    auth: AuthHarness, caller: Caller
) -> None:
    for act in ACTS.values():
        user = await auth.user(caller.user.id)
        await act(auth, Caller(user, caller.session_id))
    entries = await auth.audited(caller.user.id)
    assert [entry.action for entry in entries] == [
        "profile.changed", "mobile.changed", "password.changed", "user.deleted",
    ]  # fmt: skip
    assert {(entry.ip, entry.user_agent, entry.request_id) for entry in entries} == {
        (CLIENT.ip, CLIENT.user_agent, CLIENT.request_id)
    }


@pytest.mark.parametrize("act", ["register", "change_mobile", "delete"])
async def test_too_many_wrong_codes_from_an_address_are_throttled(make_auth: MakeAuth, act: str) -> None:
    auth = make_auth(settings={"code_wrong_address": "1/hour"})
    await auth.add_user()
    caller = await auth.caller()
    attempts: dict[str, Callable[[], Awaitable[object]]] = {
        "register": lambda: register(auth, WRONG_CODE),
        "change_mobile": lambda: auth.services.accounts.change_mobile(
            caller, new_mobile(), WRONG_CODE, CLIENT
        ),
        "delete": lambda: auth.services.accounts.delete(caller, WRONG_CODE, CLIENT),
    }
    with pytest.raises(InvalidCode):
        await attempts[act]()
    with pytest.raises(TooManyAttempts):
        await attempts[act]()


def test_each_error_of_an_account_names_its_field() -> None:
    errors: list[AppError] = [InvalidCode(), WrongPassword(), PersonalPassword(), AlreadyRegistered()]
    assert [list(error.fields) for error in errors] == [["code"], ["old_password"], ["password"], ["mobile"]]
