"""Clients that have lost the answer to a refresh, and sign-out without an access token."""

import asyncio

import pytest

from services.auth.errors import SessionEnded
from services.auth.models import SignedIn
from services.auth.sessions.refresh_tokens import RefreshTokenFamily, parse_refresh_token
from shared.errors import TooManyRequests
from tests.auth.conftest import MakeAuth
from tests.support.auth import CLIENT, PASSWORD, AuthHarness


async def assert_ended(auth: AuthHarness, *tokens: str) -> None:
    for token in tokens:
        with pytest.raises(SessionEnded):
            await auth.refresh(token)


async def audited(auth: AuthHarness, user_id: int) -> list[str]:
    return [entry.action for entry in await auth.audited(user_id)]


async def test_two_tabs_go_on_with_one_token(auth: AuthHarness, signed_in: SignedIn) -> None:
    one, other = await asyncio.gather(*(auth.refresh(signed_in.refresh_token) for _ in range(2)))
    assert one.refresh_token == other.refresh_token
    auth.wait(minutes=15)
    one, other = await asyncio.gather(*(auth.refresh(one.refresh_token) for _ in range(2)))
    assert one.refresh_token == other.refresh_token
    assert "session.token_reused" not in await audited(auth, signed_in.user.id)


@pytest.mark.parametrize("seconds", [12, 600, 6 * 86_400])
async def test_a_phone_in_a_tunnel_gets_what_it_missed(
    auth: AuthHarness, signed_in: SignedIn, seconds: int
) -> None:
    missed = await auth.refresh(signed_in.refresh_token)
    for _ in range(3):
        auth.wait(seconds=seconds / 3)
        again = await auth.refresh(signed_in.refresh_token)
        assert again.refresh_token == missed.refresh_token
    assert (await auth.refresh(again.refresh_token)).session_id == signed_in.session_id


async def test_a_browser_that_was_killed_before_it_stored_the_answer_goes_on(
    auth: AuthHarness, signed_in: SignedIn
) -> None:
    stored = signed_in.refresh_token
    for _ in range(5):
        auth.wait(hours=1)
        await auth.refresh(stored)  # killed
        auth.wait(hours=1)
        stored = (await auth.refresh(stored)).refresh_token
    assert "session.token_reused" not in await audited(auth, signed_in.user.id)


async def test_a_thief_and_an_owner_lose_the_session(auth: AuthHarness, signed_in: SignedIn) -> None:
    stolen = signed_in.refresh_token
    owners = await auth.refresh(stolen)
    auth.wait(minutes=15)
    thiefs = await auth.refresh(stolen)  # the answer may have been lost
    thiefs = await auth.refresh(thiefs.refresh_token)
    auth.wait(minutes=15)
    thiefs = await auth.refresh(thiefs.refresh_token)
    await assert_ended(auth, owners.refresh_token, thiefs.refresh_token)
    assert "session.token_reused" in await audited(auth, signed_in.user.id)


async def test_an_old_token_ends_the_session_once_its_successor_was_used_and_the_grace_is_over(
    auth: AuthHarness, signed_in: SignedIn
) -> None:
    second = await auth.refresh(signed_in.refresh_token)
    auth.wait(seconds=11)
    third = await auth.refresh(second.refresh_token)
    await assert_ended(auth, signed_in.refresh_token, third.refresh_token)


async def test_of_a_late_repetition_and_a_use_of_the_successor_none_forks_the_family(
    auth: AuthHarness, signed_in: SignedIn
) -> None:
    first = await auth.refresh(signed_in.refresh_token)
    auth.wait(minutes=15)
    late = [auth.refresh(signed_in.refresh_token) for _ in range(5)]
    answers = await asyncio.gather(*late, *(auth.refresh(first.refresh_token) for _ in range(5)),
                                   return_exceptions=True)  # fmt: skip
    family = {answer.refresh_token for answer in answers if isinstance(answer, SignedIn)}
    assert len(family - {first.refresh_token}) <= 1
    assert all(isinstance(answer, SignedIn | SessionEnded) for answer in answers)


async def test_a_row_of_the_version_before_answers_its_predecessor(
    auth: AuthHarness, signed_in: SignedIn
) -> None:
    """The old version forgets the times of uses that are over; the hash of the current token is enough."""
    missed = await auth.refresh(signed_in.refresh_token)
    await auth.database.fetch_all(
        "UPDATE sessions SET recent_uses = '[]' WHERE id = %s", (signed_in.session_id,)
    )
    auth.wait(minutes=10)
    assert (await auth.refresh(signed_in.refresh_token)).refresh_token == missed.refresh_token


async def sign_out(auth: AuthHarness, token: str) -> None:
    await auth.services.sessions.end_by_refresh_token(token, CLIENT)


async def test_a_refresh_token_alone_signs_out(auth: AuthHarness, signed_in: SignedIn) -> None:
    auth.wait(hours=1)
    await sign_out(auth, signed_in.refresh_token)
    await assert_ended(auth, signed_in.refresh_token)
    [ended] = [event for event in await auth.events(signed_in.user.id) if event.TYPE == "session.ended.v1"]
    assert ended.reason == "signed_out"  # type: ignore[attr-defined]
    assert await audited(auth, signed_in.user.id) == ["session.started", "session.ended"]


async def test_a_token_whose_answer_was_lost_signs_out_as_well(
    auth: AuthHarness, signed_in: SignedIn
) -> None:
    second = await auth.refresh(signed_in.refresh_token)
    third = await auth.refresh(second.refresh_token)
    auth.wait(hours=1)
    await sign_out(auth, signed_in.refresh_token)
    await assert_ended(auth, third.refresh_token)


async def test_signing_out_twice_is_once(auth: AuthHarness, signed_in: SignedIn) -> None:
    await asyncio.gather(*(sign_out(auth, signed_in.refresh_token) for _ in range(5)))
    await sign_out(auth, signed_in.refresh_token)
    assert await audited(auth, signed_in.user.id) == ["session.started", "session.ended"]


async def test_a_token_of_no_session_or_of_another_family_ends_nothing(
    auth: AuthHarness, signed_in: SignedIn
) -> None:
    forged = RefreshTokenFamily(signed_in.session_id, "0" * 64).first()
    unknown = RefreshTokenFamily("0" * 32, "0" * 64).first()
    for token in ("", "x", "A" * 90, str(forged), str(unknown)):
        await sign_out(auth, token)
    assert (await auth.refresh(signed_in.refresh_token)).session_id == signed_in.session_id


async def test_an_expired_session_is_over_already(auth: AuthHarness, signed_in: SignedIn) -> None:
    auth.wait(days=8)
    await sign_out(auth, signed_in.refresh_token)
    assert await audited(auth, signed_in.user.id) == ["session.started"]


async def test_only_its_own_session_ends(auth: AuthHarness, signed_in: SignedIn) -> None:
    other = await auth.sign_in(PASSWORD)
    await sign_out(auth, signed_in.refresh_token)
    assert await auth.session_ids(signed_in.user.id) == {other.session_id}


async def test_the_limit_of_refreshes_holds_for_signing_out(make_auth: MakeAuth) -> None:
    auth = make_auth(settings={"refresh_limit": "2/minute"})
    await auth.add_user()
    forged = parse_refresh_token((await auth.sign_in()).refresh_token)
    assert forged is not None
    token = str(RefreshTokenFamily(forged.session_id, "0" * 64).first())
    for _ in range(2):
        await sign_out(auth, token)
    with pytest.raises(TooManyRequests):
        await sign_out(auth, token)


@pytest.mark.parametrize("seconds", [-59, -10, 10, 59])
async def test_replicas_whose_clocks_differ_answer_a_lost_answer_alike(
    auth: AuthHarness, signed_in: SignedIn, seconds: int
) -> None:
    missed = await auth.refresh(signed_in.refresh_token)
    auth.wait(seconds=seconds)
    assert (await auth.refresh(signed_in.refresh_token)).refresh_token == missed.refresh_token
    assert (await auth.refresh(missed.refresh_token)).session_id == signed_in.session_id
    await auth.administration.disable(signed_in.user.id, CLIENT)
    await assert_ended(auth, missed.refresh_token)


@pytest.mark.parametrize("seconds", [-59, -10, 10, 59])
async def test_a_session_opened_after_all_were_ended_by_another_clock_lives(
    auth: AuthHarness, signed_in: SignedIn, seconds: int
) -> None:
    await auth.administration.disable(signed_in.user.id, CLIENT)
    await auth.administration.enable(signed_in.user.id, CLIENT)
    auth.wait(seconds=seconds)
    opened = await auth.sign_in()
    assert (await auth.refresh(opened.refresh_token)).session_id == opened.session_id
    await assert_ended(auth, signed_in.refresh_token)
