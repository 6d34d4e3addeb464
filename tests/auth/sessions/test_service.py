"""The use cases of refreshing and ending sessions, and what a refresh token is."""

from dataclasses import replace

import pytest

from services.auth.errors import SessionOver
from services.auth.models import Caller
from services.auth.sessions.refresh_tokens import Chain, new_chain_key, new_session_id, parse_refresh_token
from shared.errors import NotFound, Unauthorized
from tests.support.desk import USER, Desk
from tests.support.fakes import NOW, FakeUsers


async def test_a_refresh_gives_the_next_token_and_extends_the_session() -> None:
    desk = Desk()
    opened = await desk.sign_in()
    desk.wait(days=6)
    refreshed = await desk.refresh(opened.refresh_token)
    assert refreshed.session_id == opened.session_id
    assert refreshed.refresh_token != opened.refresh_token
    assert (refreshed.expires_in, refreshed.refresh_expires_in) == (900, 604800)


async def test_a_session_ends_after_90_days_however_often_it_is_refreshed() -> None:
    desk = Desk()
    opened = await desk.sign_in()
    for _ in range(15):
        desk.wait(days=5, hours=23)
        opened = await desk.refresh(opened.refresh_token)
    assert opened.refresh_expires_in == 15 * 3600
    desk.wait(hours=14, minutes=59)
    opened = await desk.refresh(opened.refresh_token)
    assert (opened.expires_in, opened.refresh_expires_in) == (60, 60)
    desk.wait(minutes=1)
    with pytest.raises(SessionOver):
        await desk.refresh(opened.refresh_token)


async def test_a_session_that_is_not_used_for_7_days_has_ended() -> None:
    desk = Desk()
    opened = await desk.sign_in()
    desk.wait(days=7)
    with pytest.raises(SessionOver):
        await desk.refresh(opened.refresh_token)


async def test_a_token_used_twice_within_the_grace_gets_the_same_next_token() -> None:
    desk = Desk()
    opened = await desk.sign_in()
    first = await desk.refresh(opened.refresh_token)
    desk.wait(seconds=9.9)
    second = await desk.refresh(opened.refresh_token)
    assert second.refresh_token == first.refresh_token
    assert (await desk.refresh(second.refresh_token)).session_id == opened.session_id


async def test_within_the_grace_an_old_token_leads_to_the_current_one() -> None:
    desk = Desk()
    opened = await desk.sign_in()
    current = opened
    for _ in range(3):
        desk.wait(seconds=3)
        current = await desk.refresh(current.refresh_token)
    late = await desk.refresh(opened.refresh_token)
    assert late.refresh_token == current.refresh_token


async def test_each_token_has_a_grace_of_its_own() -> None:
    desk = Desk()
    opened = await desk.sign_in()
    second = await desk.refresh(opened.refresh_token)
    desk.wait(seconds=9)
    third = await desk.refresh(second.refresh_token)
    desk.wait(seconds=2)
    assert (await desk.refresh(second.refresh_token)).refresh_token == third.refresh_token
    with pytest.raises(SessionOver):
        await desk.refresh(opened.refresh_token)


@pytest.mark.parametrize("uses", [1, 2, 40])
async def test_a_token_used_after_the_grace_ends_the_session(uses: int) -> None:
    desk = Desk()
    opened = await desk.sign_in()
    current = opened
    for _ in range(uses):
        current = await desk.refresh(current.refresh_token)
        desk.wait(minutes=15)
    with pytest.raises(SessionOver):
        await desk.refresh(opened.refresh_token)
    with pytest.raises(SessionOver):
        await desk.refresh(current.refresh_token)
    assert desk.sessions.ended == {opened.session_id: "token_reused"}
    assert desk.acts == ["session.started", "session.token_reused"]


async def test_a_session_that_is_refreshed_without_pause_keeps_its_token_meanwhile() -> None:
    desk = Desk()
    opened = await desk.sign_in()
    current = opened
    for _ in range(50):
        current = await desk.refresh(current.refresh_token)
    assert (await desk.refresh(opened.refresh_token)).refresh_token == current.refresh_token
    desk.wait(seconds=10)
    assert (await desk.refresh(current.refresh_token)).refresh_token != current.refresh_token


async def test_a_token_of_another_sessions_chain_changes_nothing() -> None:
    desk = Desk()
    opened = await desk.sign_in()
    forged = Chain(opened.session_id, new_chain_key()).first()
    for token in (forged, replace(forged, generation=7)):
        with pytest.raises(Unauthorized) as refusal:
            await desk.refresh(str(token))
        assert refusal.value.slug == "invalid-token"
    await desk.refresh(opened.refresh_token)


async def test_a_changed_generation_is_no_token() -> None:
    desk = Desk()
    opened = await desk.sign_in()
    current = await desk.refresh((await desk.refresh(opened.refresh_token)).refresh_token)
    token = parse_refresh_token(current.refresh_token)
    assert token is not None
    desk.wait(minutes=1)
    for generation in (0, 1, 3, 2**32 - 1):
        with pytest.raises(Unauthorized):
            await desk.refresh(str(replace(token, generation=generation)))
    assert desk.sessions.ended == {}


@pytest.mark.parametrize("token", ["", "x", "é" * 91, "A" * 90, "A" * 92, "=" * 91, "A" * 10_000])
async def test_what_never_was_a_token_is_refused(token: str) -> None:
    with pytest.raises(Unauthorized) as refusal:
        await Desk().refresh(token)
    assert refusal.value.slug == "invalid-token"


async def test_an_unknown_session_has_ended() -> None:
    with pytest.raises(SessionOver):
        await Desk().refresh(str(Chain(new_session_id(), new_chain_key()).first()))


@pytest.mark.parametrize("rows", [[], [replace(USER, disabled_at=NOW)]], ids=["gone", "disabled"])
async def test_an_account_that_is_gone_or_disabled_refreshes_nothing(rows: list[object]) -> None:
    desk = Desk()
    opened = await desk.sign_in()
    desk.users.rows[:] = rows  # type: ignore[assignment]
    with pytest.raises(SessionOver):
        await desk.refresh(opened.refresh_token)


def test_a_token_survives_its_text() -> None:
    chain = Chain(new_session_id(), new_chain_key())
    token = chain.next(chain.first())
    assert parse_refresh_token(str(token)) == token
    assert chain.is_genuine(token)
    assert token.secret.hex() not in repr(token)


async def test_a_caller_ends_a_session_of_their_own() -> None:
    desk = Desk()
    opened = await desk.sign_in()
    await desk.end(Caller(USER, "current"), opened.session_id)
    assert desk.sessions.ended == {opened.session_id: "ended_by_user"}
    assert desk.acts == ["session.started", "session.ended"]
    with pytest.raises(SessionOver):
        await desk.refresh(opened.refresh_token)


async def test_another_users_session_is_not_found() -> None:
    desk = Desk()
    opened = await desk.sign_in()
    with pytest.raises(NotFound):
        await desk.end(Caller(replace(USER, id=2), "current"), opened.session_id)
    assert desk.sessions.ended == {}
    assert desk.acts == ["session.started"]


async def test_a_caller_ends_all_sessions_but_the_current_one() -> None:
    desk = Desk()
    desk.users = FakeUsers([USER, replace(USER, id=2, mobile="13800000001")])
    first, current = await desk.sign_in(), await desk.sign_in()
    stranger = await desk.sign_in(mobile="13800000001")
    await desk.end_others(Caller(USER, current.session_id))
    assert set(desk.sessions.rows) == {current.session_id, stranger.session_id}
    assert list(desk.sessions.ended) == [first.session_id]
