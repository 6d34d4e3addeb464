"""What changes how one gets into an account needs a session that was proven a short time ago."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import jwt
import pytest

from services.auth.errors import (
    InvalidCode,
    ReauthenticationRequired,
    SessionEnded,
    SmsUnavailable,
    TooManyAttempts,
    WrongPassword,
)
from services.auth.models import Caller, SignedIn
from shared.contracts.messages import SendNotice
from shared.errors import Unauthorized
from tests.auth.conftest import MakeAuth
from tests.support.auth import CLIENT, NEW_PASSWORD, PASSWORD, WRONG_CODE, AuthHarness
from tests.support.client import new_mobile
from tests.support.session_rows import new_session

Act = Callable[[AuthHarness, Caller], Awaitable[object]]


@pytest.fixture
def caller(signed_in: SignedIn) -> Caller:
    return Caller(signed_in.user, signed_in.session_id)


async def change_mobile(auth: AuthHarness, caller: Caller) -> None:
    mobile = new_mobile()
    code = await auth.code("change_mobile", mobile)
    await auth.services.accounts.change_mobile(caller, mobile, code, CLIENT)


async def delete(auth: AuthHarness, caller: Caller) -> None:
    code = await auth.code("delete", caller.user.mobile)
    await auth.services.accounts.delete(caller, code, CLIENT)


async def set_first_password(auth: AuthHarness, caller: Caller) -> None:
    await auth.change(await auth.user(caller.user.id), password_hash=None)
    await auth.services.passwords.set_first(caller, NEW_PASSWORD, CLIENT)


ACTS: dict[str, Act] = {"mobile": change_mobile, "deletion": delete, "first password": set_first_password}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
async def test_a_session_that_was_proven_long_ago_changes_nothing(
    auth: AuthHarness, caller: Caller, act: Act
) -> None:
    auth.wait(seconds=601)
    with pytest.raises(ReauthenticationRequired) as refusal:
        await act(auth, caller)
    assert refusal.value.headers == {
        "WWW-Authenticate": 'Bearer error="insufficient_user_authentication", max_age=600'
    }
    assert (refusal.value.status, refusal.value.slug) == (401, "reauthentication-required")
    assert (await auth.user(caller.user.id)).mobile == caller.user.mobile


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
async def test_a_proof_makes_it_possible_again(auth: AuthHarness, caller: Caller, act: Act) -> None:
    auth.wait(seconds=601)
    await auth.services.reauthentication.with_password(caller, PASSWORD, CLIENT)
    auth.wait(seconds=600)
    await act(auth, caller)


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
async def test_the_refusal_comes_before_the_code(auth: AuthHarness, caller: Caller, act: Act) -> None:
    auth.wait(seconds=601)
    with pytest.raises(ReauthenticationRequired):
        await act(auth, caller)
    assert auth.codes_checked("delete") + auth.codes_checked("change_mobile") == 0


async def test_refreshing_proves_nothing(auth: AuthHarness, signed_in: SignedIn) -> None:
    auth.wait(seconds=601)
    refreshed = await auth.services.sessions.refresh(signed_in.refresh_token, CLIENT)
    with pytest.raises(ReauthenticationRequired):
        await delete(auth, Caller(refreshed.user, refreshed.session_id))


async def test_zero_switches_it_off(make_auth: MakeAuth) -> None:
    auth = make_auth(settings={"reauth_max_age": 0})
    await auth.add_user()
    caller = await auth.caller()
    auth.wait(days=1)
    await change_mobile(auth, caller)


async def test_a_session_of_the_previous_version_was_proven_when_it_was_opened(auth: AuthHarness) -> None:
    user = await auth.add_user()
    fresh = new_session(user.id, auth.now)
    old = replace(new_session(user.id, auth.now - timedelta(hours=1)), expires_at=fresh.expires_at)
    for session in (fresh, old):
        await auth.sessions.add(session)
    with pytest.raises(ReauthenticationRequired):
        await change_mobile(auth, Caller(user, old.id))
    await change_mobile(auth, Caller(user, fresh.id))


async def test_a_change_of_number_ends_the_other_sessions(auth: AuthHarness, caller: Caller) -> None:
    thief = await auth.sign_in()
    await change_mobile(auth, caller)
    assert await auth.session_ids(caller.user.id) == {caller.session_id}
    with pytest.raises(SessionEnded):
        await auth.services.sessions.refresh(thief.refresh_token, CLIENT)


def auth_time(signed_in: SignedIn) -> int:
    claims = jwt.decode(signed_in.token, options={"verify_signature": False})
    return int(claims["auth_time"])


@pytest.mark.parametrize("by", ["password", "code"])
async def test_a_proof_answers_with_tokens_of_the_session_and_a_new_auth_time(
    auth: AuthHarness, signed_in: SignedIn, by: str
) -> None:
    caller = Caller(signed_in.user, signed_in.session_id)
    assert auth_time(signed_in) == int(auth.now.timestamp())
    auth.wait(minutes=20)
    service = auth.services.reauthentication
    if by == "password":
        proven = await service.with_password(caller, PASSWORD, CLIENT)
    else:
        proven = await service.with_code(caller, await auth.code("confirm"), CLIENT)
    assert proven.session_id == signed_in.session_id
    assert auth_time(proven) == int(auth.now.timestamp())
    auth.wait(minutes=5)
    refreshed = await auth.services.sessions.refresh(proven.refresh_token, CLIENT)
    assert auth_time(refreshed) == auth_time(proven)
    audited = await auth.audited(signed_in.user.id)
    [entry] = [entry for entry in audited if entry.action == "session.reauthenticated"]
    assert entry.details == {"session_id": signed_in.session_id, "method": by}


async def prove(auth: AuthHarness, signed_in: SignedIn) -> SignedIn:
    caller = Caller(signed_in.user, signed_in.session_id)
    return await auth.services.reauthentication.with_password(caller, PASSWORD, CLIENT)


async def test_once_the_new_refresh_token_is_used_the_one_before_ends_the_session(
    auth: AuthHarness, signed_in: SignedIn
) -> None:
    proven = await prove(auth, signed_in)
    auth.wait(seconds=11)
    assert await auth.services.sessions.refresh(proven.refresh_token, CLIENT)
    auth.wait(seconds=11)
    with pytest.raises(SessionEnded):
        await auth.services.sessions.refresh(signed_in.refresh_token, CLIENT)


@pytest.mark.parametrize("seconds", [0, 3600])
async def test_a_client_that_lost_the_answer_to_its_proof_refreshes_as_before(
    auth: AuthHarness, signed_in: SignedIn, seconds: int
) -> None:
    await prove(auth, signed_in)
    lost = await prove(auth, signed_in)
    auth.wait(seconds=seconds)
    refresh = auth.services.sessions.refresh
    first, second = [await refresh(signed_in.refresh_token, CLIENT) for _ in range(2)]
    assert first.refresh_token == second.refresh_token
    assert auth_time(first) == auth_time(lost)
    assert await refresh(second.refresh_token, CLIENT)
    with pytest.raises(Unauthorized):
        await refresh(lost.refresh_token, CLIENT)


async def test_a_wrong_proof_renews_nothing_and_is_audited(auth: AuthHarness, caller: Caller) -> None:
    auth.wait(seconds=601)
    service = auth.services.reauthentication
    with pytest.raises(WrongPassword) as refusal:
        await service.with_password(caller, "wrong horse", CLIENT)
    assert list(refusal.value.fields) == ["password"]
    with pytest.raises(InvalidCode):
        await service.with_code(caller, WRONG_CODE, CLIENT)
    for purpose in ("login", "delete"):
        with pytest.raises(InvalidCode):
            await service.with_code(caller, await auth.code(purpose), CLIENT)
    with pytest.raises(ReauthenticationRequired):
        await change_mobile(auth, caller)
    entry = (await auth.audited(mobile=auth.mobile))[-1]
    assert (entry.action, entry.details, entry.times) == ("proof.refused", {"for": "confirm"}, 4)


async def test_wrong_passwords_are_throttled_with_those_at_sign_in(auth: AuthHarness, caller: Caller) -> None:
    stranger = replace(CLIENT, ip="203.0.113.9")
    for _ in range(11):
        with pytest.raises(WrongPassword):
            await auth.services.reauthentication.with_password(caller, "wrong horse", stranger)
    with pytest.raises(TooManyAttempts):
        await auth.services.reauthentication.with_password(caller, PASSWORD, stranger)


async def test_an_account_without_a_password_is_proven_by_a_code_alone(auth: AuthHarness) -> None:
    user = await auth.add_user(password=None)
    signed_in = await auth.services.sign_in.with_code(user.mobile, await auth.code("login"), CLIENT)
    caller = Caller(signed_in.user, signed_in.session_id)
    with pytest.raises(WrongPassword):
        await auth.services.reauthentication.with_password(caller, "", CLIENT)
    assert await auth.services.reauthentication.with_code(caller, await auth.code("confirm"), CLIENT)


async def test_a_proof_does_not_revive_an_ended_session(auth: AuthHarness, caller: Caller) -> None:
    await auth.sessions.end(caller.user.id, caller.session_id, reason="signed_out", now=auth.now)
    with pytest.raises(Unauthorized):
        await auth.services.reauthentication.with_password(caller, PASSWORD, CLIENT)


async def test_a_first_password_is_set_once_and_ends_the_other_sessions(auth: AuthHarness) -> None:
    user = await auth.add_user(password=None)
    first, _ = [
        await auth.services.sign_in.with_code(user.mobile, await auth.code("login"), CLIENT) for _ in range(2)
    ]
    caller = Caller(user, first.session_id)
    await auth.services.passwords.set_first(caller, PASSWORD, CLIENT)
    assert await auth.session_ids(user.id) == {caller.session_id}
    assert await auth.sign_in()
    with pytest.raises(WrongPassword):
        await auth.services.passwords.set_first(caller, NEW_PASSWORD, CLIENT)


NOTICES = {
    "notice_mobile_changed": "您的账号已换绑手机号",
    "notice_password_reset": "您的密码已重置",
    "notice_account_deleted": "您的账号已注销",
}


async def notices_of(auth: AuthHarness) -> list[tuple[str, str, str]]:
    caller = await auth.caller()
    await change_mobile(auth, caller)
    mobile = (await auth.user(caller.user.id)).mobile
    code = await auth.code("reset", mobile)
    await auth.services.passwords.reset(mobile, code, NEW_PASSWORD, CLIENT)
    signed_in = await auth.sign_in(NEW_PASSWORD, mobile)
    await delete(auth, Caller(signed_in.user, signed_in.session_id))
    sent = [one for one in auth.publisher.messages if isinstance(one, SendNotice)]
    return [("old" if one.mobile == caller.user.mobile else "new", one.purpose, one.text) for one in sent]


async def test_notices_go_to_the_number_that_the_account_had(make_auth: MakeAuth) -> None:
    auth = make_auth(settings=NOTICES)
    await auth.add_user()
    assert await notices_of(auth) == [
        ("old", "change_mobile", NOTICES["notice_mobile_changed"]),
        ("new", "reset", NOTICES["notice_password_reset"]),
        ("new", "delete", NOTICES["notice_account_deleted"]),
    ]


async def test_no_notice_is_sent_without_a_template(auth: AuthHarness) -> None:
    await auth.add_user()
    assert await notices_of(auth) == []


async def test_a_change_stands_if_its_notice_cannot_be_sent(make_auth: MakeAuth) -> None:
    auth = make_auth(settings=NOTICES)
    await auth.add_user()
    auth.publisher.down = True
    caller = await auth.caller()
    await change_mobile(auth, caller)
    assert (await auth.user(caller.user.id)).mobile != caller.user.mobile
    labels = {"kind": "mobile_changed", "outcome": "failed"}
    assert auth.registry.get_sample_value("dialpass_notices_total", labels) == 1
    with pytest.raises(SmsUnavailable):
        await auth.services.codes.request(new_mobile(), "login", CLIENT)


@pytest.mark.parametrize("seconds", [-59, -10, 10, 59])
@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
async def test_a_proof_holds_on_a_replica_whose_clock_is_ahead_or_behind(
    auth: AuthHarness, caller: Caller, act: Act, seconds: int
) -> None:
    await auth.services.reauthentication.with_password(caller, PASSWORD, CLIENT)
    auth.wait(seconds=seconds)
    await act(auth, caller)
