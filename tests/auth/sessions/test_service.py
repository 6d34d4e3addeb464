"""Authenticating requests; refreshing, listing and ending sessions."""

from dataclasses import replace

import pytest

from services.auth.errors import SessionEnded
from services.auth.models import Caller, SignedIn
from services.auth.sessions.refresh_tokens import RefreshTokenFamily, parse_refresh_token
from shared.errors import NotFound, Unauthorized
from tests.support.auth import CLIENT, AuthHarness
from tests.support.client import new_mobile


async def ended_sessions(auth: AuthHarness, user_id: int) -> dict[str, str]:
    """Return the reasons of a user's ended sessions, by the events about them."""
    events = [event for event in await auth.events(user_id) if event.TYPE == "session.ended.v1"]
    return {event.session_id: event.reason for event in events}  # type: ignore[attr-defined]


async def actions(auth: AuthHarness, user_id: int) -> list[str]:
    return [entry.action for entry in await auth.audited(user_id)]


async def test_a_token_names_its_account_and_session(auth: AuthHarness, signed_in: SignedIn) -> None:
    caller = await auth.services.sessions.authenticate(signed_in.token)
    assert (caller.user, caller.session_id) == (signed_in.user, signed_in.session_id)


async def test_the_token_of_an_ended_session_is_refused(auth: AuthHarness, signed_in: SignedIn) -> None:
    await auth.sessions.end(signed_in.user.id, signed_in.session_id, reason="signed_out", now=auth.now)
    with pytest.raises(Unauthorized):
        await auth.services.sessions.authenticate(signed_in.token)


@pytest.mark.parametrize("gone", [True, False], ids=["gone", "disabled"])
async def test_the_token_of_an_account_that_is_gone_or_disabled_is_refused(
    auth: AuthHarness, signed_in: SignedIn, *, gone: bool
) -> None:
    await remove_or_disable(auth, signed_in, gone=gone)
    with pytest.raises(Unauthorized) as refusal:
        await auth.services.sessions.authenticate(signed_in.token)
    assert refusal.value.headers == {"WWW-Authenticate": 'Bearer realm="dialpass", error="invalid_token"'}


async def remove_or_disable(auth: AuthHarness, signed_in: SignedIn, *, gone: bool) -> None:
    if gone:
        await auth.users.remove(signed_in.user.id)
    else:
        await auth.change(signed_in.user, disabled_at=auth.now)


async def test_a_request_without_a_token_is_told_so(auth: AuthHarness) -> None:
    with pytest.raises(Unauthorized) as refusal:
        await auth.services.sessions.authenticate(None)
    assert refusal.value.headers == {"WWW-Authenticate": 'Bearer realm="dialpass"'}


async def test_a_refresh_gives_the_next_token_and_extends_the_session(
    auth: AuthHarness, signed_in: SignedIn
) -> None:
    auth.wait(days=6)
    refreshed = await auth.refresh(signed_in.refresh_token)
    assert refreshed.session_id == signed_in.session_id
    assert refreshed.refresh_token != signed_in.refresh_token
    assert (refreshed.expires_in, refreshed.refresh_expires_in) == (900, 604800)


async def test_a_session_ends_after_90_days_however_often_it_is_refreshed(
    auth: AuthHarness, signed_in: SignedIn
) -> None:
    current = signed_in
    for _ in range(15):
        auth.wait(days=5, hours=23)
        current = await auth.refresh(current.refresh_token)
    assert current.refresh_expires_in == 15 * 3600
    auth.wait(hours=14, minutes=59)
    current = await auth.refresh(current.refresh_token)
    assert (current.expires_in, current.refresh_expires_in) == (60, 60)
    auth.wait(minutes=1)
    with pytest.raises(SessionEnded):
        await auth.refresh(current.refresh_token)


async def test_a_session_that_is_not_used_for_7_days_has_ended(
    auth: AuthHarness, signed_in: SignedIn
) -> None:
    auth.wait(days=7)
    with pytest.raises(SessionEnded):
        await auth.refresh(signed_in.refresh_token)


async def test_a_token_used_twice_within_the_reuse_interval_gets_the_same_next_token(
    auth: AuthHarness, signed_in: SignedIn
) -> None:
    first = await auth.refresh(signed_in.refresh_token)
    auth.wait(seconds=9.9)
    second = await auth.refresh(signed_in.refresh_token)
    assert second.refresh_token == first.refresh_token
    assert (await auth.refresh(second.refresh_token)).session_id == signed_in.session_id


async def test_within_the_reuse_interval_an_old_token_leads_to_the_current_one(
    auth: AuthHarness, signed_in: SignedIn
) -> None:
    current = signed_in
    for _ in range(3):
        auth.wait(seconds=3)
        current = await auth.refresh(current.refresh_token)
    late = await auth.refresh(signed_in.refresh_token)
    assert late.refresh_token == current.refresh_token


async def test_each_token_has_a_reuse_interval_of_its_own(auth: AuthHarness, signed_in: SignedIn) -> None:
    second = await auth.refresh(signed_in.refresh_token)
    auth.wait(seconds=9)
    third = await auth.refresh(second.refresh_token)
    auth.wait(seconds=2)
    assert (await auth.refresh(second.refresh_token)).refresh_token == third.refresh_token
    with pytest.raises(SessionEnded):
        await auth.refresh(signed_in.refresh_token)


@pytest.mark.parametrize("uses", [2, 3, 40])
async def test_a_token_used_after_the_reuse_interval_ends_the_session(
    auth: AuthHarness, signed_in: SignedIn, uses: int
) -> None:
    current = signed_in
    for _ in range(uses):
        current = await auth.refresh(current.refresh_token)
        auth.wait(minutes=15)
    with pytest.raises(SessionEnded):
        await auth.refresh(signed_in.refresh_token)
    with pytest.raises(SessionEnded):
        await auth.refresh(current.refresh_token)
    user_id = signed_in.user.id
    assert await ended_sessions(auth, user_id) == {signed_in.session_id: "token_reused"}
    assert await actions(auth, user_id) == ["session.started", "session.token_reused"]


async def test_a_session_that_is_refreshed_without_pause_keeps_its_token_meanwhile(
    auth: AuthHarness, signed_in: SignedIn
) -> None:
    current = signed_in
    for _ in range(50):
        current = await auth.refresh(current.refresh_token)
    assert (await auth.refresh(signed_in.refresh_token)).refresh_token == current.refresh_token
    auth.wait(seconds=10)
    assert (await auth.refresh(current.refresh_token)).refresh_token != current.refresh_token


async def test_a_token_of_another_family_changes_nothing(auth: AuthHarness, signed_in: SignedIn) -> None:
    forged = RefreshTokenFamily(signed_in.session_id, "0" * 64).first()
    for token in (forged, replace(forged, generation=7)):
        with pytest.raises(Unauthorized) as refusal:
            await auth.refresh(str(token))
        assert refusal.value.slug == "invalid-token"
    await auth.refresh(signed_in.refresh_token)


async def test_a_changed_generation_is_no_token(auth: AuthHarness, signed_in: SignedIn) -> None:
    current = await auth.refresh((await auth.refresh(signed_in.refresh_token)).refresh_token)
    token = parse_refresh_token(current.refresh_token)
    assert token is not None
    auth.wait(minutes=1)
    for generation in (0, 1, 3, 2**32 - 1):
        with pytest.raises(Unauthorized):
            await auth.refresh(str(replace(token, generation=generation)))
    assert await ended_sessions(auth, signed_in.user.id) == {}


@pytest.mark.parametrize("token", ["", "x", "é" * 91, "A" * 90, "A" * 10_000])
async def test_text_that_is_no_token_is_refused(auth: AuthHarness, token: str) -> None:
    with pytest.raises(Unauthorized) as refusal:
        await auth.refresh(token)
    assert refusal.value.slug == "invalid-token"


async def test_an_unknown_session_has_ended(auth: AuthHarness) -> None:
    with pytest.raises(SessionEnded):
        await auth.refresh(str(RefreshTokenFamily("0" * 32, "0" * 64).first()))


@pytest.mark.parametrize("gone", [True, False], ids=["gone", "disabled"])
async def test_an_account_that_is_gone_or_disabled_refreshes_nothing(
    auth: AuthHarness, signed_in: SignedIn, *, gone: bool
) -> None:
    await remove_or_disable(auth, signed_in, gone=gone)
    with pytest.raises(SessionEnded):
        await auth.refresh(signed_in.refresh_token)


async def test_a_caller_ends_a_session_of_their_own(auth: AuthHarness, signed_in: SignedIn) -> None:
    caller = Caller(signed_in.user, "current")
    await auth.services.sessions.end(caller, signed_in.session_id, CLIENT, "ended_by_user")
    assert await ended_sessions(auth, signed_in.user.id) == {signed_in.session_id: "ended_by_user"}
    assert await actions(auth, signed_in.user.id) == ["session.started", "session.ended"]
    with pytest.raises(SessionEnded):
        await auth.refresh(signed_in.refresh_token)


async def test_another_users_session_is_not_found(auth: AuthHarness, signed_in: SignedIn) -> None:
    stranger = Caller(await auth.add_user(new_mobile()), "current")
    with pytest.raises(NotFound):
        await auth.services.sessions.end(stranger, signed_in.session_id, CLIENT, "ended_by_user")
    assert await ended_sessions(auth, signed_in.user.id) == {}
    assert await actions(auth, signed_in.user.id) == ["session.started"]


async def test_a_caller_ends_all_sessions_but_the_current_one(auth: AuthHarness, signed_in: SignedIn) -> None:
    current = await auth.sign_in()
    stranger = await auth.add_user(new_mobile())
    theirs = await auth.sign_in(mobile=stranger.mobile)
    await auth.services.sessions.end_others(Caller(current.user, current.session_id), CLIENT)
    assert await auth.session_ids(current.user.id) == {current.session_id}
    assert await auth.session_ids(stranger.id) == {theirs.session_id}
    assert list(await ended_sessions(auth, current.user.id)) == [signed_in.session_id]
