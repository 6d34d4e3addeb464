"""Ends of sessions that gateways hear of while the database hangs."""

import asyncio

import pytest
from redis.asyncio import Redis

from services.auth.errors import EndedSessionsUnknown
from services.auth.models import Caller, SignedIn
from services.auth.sessions.announcements import EndAnnouncements
from services.auth.sessions.revocations import Revocations
from shared.errors import Unavailable
from shared.observability.metrics import AuthMetrics
from shared.redis import client as redis_client
from tests.support.auth import CLIENT, AuthHarness
from tests.support.proxies import TcpProxy


@pytest.fixture
async def other(auth: AuthHarness, redis: Redis, auth_metrics: AuthMetrics) -> Revocations:
    """The list of another replica."""
    return Revocations(auth.database, EndAnnouncements(redis, auth_metrics))


async def hang(_sql: str) -> None:
    await asyncio.sleep(2.5)


async def known(revocations: Revocations) -> set[str]:
    """Return what a gateway is told, while the database hangs."""
    answers = []
    for read in (revocations.recent, revocations.all):
        with pytest.raises(EndedSessionsUnknown) as unknown:
            async with asyncio.timeout(0.9):
                await read()
        answers.append(unknown.value.members["ended"])
    assert answers[0] == answers[1]
    return set(answers[0])  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("act", ["one", "the others"])
async def test_an_end_that_was_acknowledged_before_is_told_by_every_replica(
    auth: AuthHarness, signed_in: SignedIn, other: Revocations, act: str
) -> None:
    opened = [signed_in, await auth.sign_in(), await auth.sign_in()]
    caller = Caller(signed_in.user, opened[-1].session_id)
    if act == "one":
        await auth.services.sessions.end_by_refresh_token(signed_in.refresh_token, CLIENT)
        ended = {signed_in.session_id}
    else:
        await auth.services.sessions.end_others(caller, CLIENT)
        ended = {one.session_id for one in opened[:-1]}
    await asyncio.sleep(0.05)
    auth.database.before = hang
    for revocations in (auth.services.revocations, other):
        assert ended <= await known(revocations)


async def test_an_end_that_was_rolled_back_is_not_told(auth: AuthHarness, signed_in: SignedIn) -> None:
    async def fail(sql: str) -> None:
        if "INSERT INTO `audit`" in sql:
            raise Unavailable

    auth.database.before = fail
    with pytest.raises(Unavailable):
        await auth.services.sessions.end_by_refresh_token(signed_in.refresh_token, CLIENT)
    await asyncio.sleep(0.05)
    auth.database.before = hang
    assert signed_in.session_id not in await known(auth.services.revocations)


async def test_without_redis_the_replica_itself_tells_of_its_ends(
    auth: AuthHarness, redis_proxy: TcpProxy, auth_metrics: AuthMetrics
) -> None:
    redis = redis_client.connect(redis_proxy.url_through)
    announcements = EndAnnouncements(redis, auth_metrics)
    redis_proxy.hold("up")
    announcements.add({"s1": 1})
    async with asyncio.timeout(0.5):
        assert await announcements.recent() == {"s1": 1}
    redis_proxy.release()
    await redis.aclose()


async def test_while_the_database_answers_it_alone_is_told(auth: AuthHarness, signed_in: SignedIn) -> None:
    await auth.services.sessions.end_by_refresh_token(signed_in.refresh_token, CLIENT)
    assert signed_in.session_id in await auth.services.revocations.recent()
    assert signed_in.session_id in await auth.services.revocations.all()
