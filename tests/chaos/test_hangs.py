"""Processes that are stopped for a while and go on as if nothing had been: nothing late is carried out."""

import asyncio
import signal
from collections import Counter

import aiohttp
import pytest

from deploy.local.servers import Servers
from services.auth.db.database import Database
from tests.chaos.test_dependencies import metric
from tests.e2e.second_gateway import second_gateway
from tests.support.accounts import PASSWORD, store_account
from tests.support.client import Api, Phone, Reply, bearer, log_in, new_mobile, refresh, sign_up
from tests.support.system import System

UPSTREAM_TIMEOUT = 10


async def rename(api: Api, token: str, nickname: str) -> int:
    return (await api.call("PATCH", "/me/", {"nickname": nickname}, **bearer(token))).status


async def test_a_request_that_was_given_up_is_not_carried_out_over_a_later_one(
    own_system: System, own_api: Api, own_phone: Phone
) -> None:
    mobile = new_mobile()
    await sign_up(own_api, own_phone, mobile, PASSWORD)
    opened = await log_in(own_api, mobile)
    await own_api.post("/code/", {"mobile": (other := new_mobile())})
    body = {"mobile": other, "code": await own_phone.code(other), "password": PASSWORD}
    assert await rename(own_api, opened["token"], "before") == 200
    own_system.auth.send(signal.SIGSTOP)
    given_up = await asyncio.gather(
        *(rename(own_api, opened["token"], f"late {number}") for number in range(8)),
        rename(own_api, opened["token"], "late"),
    )
    assert set(given_up) == {504}
    late = asyncio.create_task(own_api.post("/register/", body))
    await asyncio.sleep(UPSTREAM_TIMEOUT + 1)
    assert (await late).status == 504
    later = asyncio.create_task(rename(own_api, opened["token"], "later"))
    await asyncio.sleep(0.5)
    own_system.auth.send(signal.SIGCONT)
    assert await later == 200
    await asyncio.sleep(1)
    assert (await own_api.get("/me/", token=opened["token"]))["nickname"] == "later"
    assert metric(own_system, "dialpass_late_requests_total") > 0
    registered = await own_api.post("/register/", body)  # its code has not been used
    assert registered.status == 200, registered.body


@pytest.mark.parametrize("seconds", [3, 9])
async def test_what_the_gateway_still_waits_for_is_carried_out(
    own_system: System, own_api: Api, own_phone: Phone, seconds: int
) -> None:
    mobile = new_mobile()
    await sign_up(own_api, own_phone, mobile, PASSWORD)
    opened = await log_in(own_api, mobile)
    own_system.auth.send(signal.SIGSTOP)
    renamed = asyncio.create_task(rename(own_api, opened["token"], "in time"))
    await asyncio.sleep(seconds)
    own_system.auth.send(signal.SIGCONT)
    assert await renamed == 200
    assert metric(own_system, "dialpass_late_requests_total") == 0


@pytest.mark.long
async def test_a_stopped_gateway_comes_back_without_a_refusal(
    own_system: System, own_api: Api, own_phone: Phone
) -> None:
    mobile = new_mobile()
    await sign_up(own_api, own_phone, mobile, PASSWORD)
    opened = await log_in(own_api, mobile)
    own_system.gateway.send(signal.SIGSTOP)
    await asyncio.sleep(12)
    own_system.gateway.send(signal.SIGCONT)
    assert await rename(own_api, opened["token"], "back") == 200


async def test_a_redis_that_hangs_during_12_registrations_burns_no_code(
    servers: Servers, own_api: Api, own_phone: Phone
) -> None:
    bodies = []
    for _ in range(12):
        mobile = new_mobile()
        assert (await own_api.post("/code/", {"mobile": mobile})).status == 200
        bodies.append({"mobile": mobile, "code": await own_phone.code(mobile), "password": PASSWORD})
    servers.redis.pause()
    failed = await asyncio.gather(*(own_api.post("/register/", body) for body in bodies))
    assert Counter(reply.status for reply in failed) == {503: 12}
    servers.redis.resume()
    async with asyncio.timeout(15):
        replies = await asyncio.gather(*(register(own_api, body) for body in bodies))
    assert Counter(reply.status for reply in replies) == {200: 12}


async def register(api: Api, body: dict[str, str]) -> Reply:
    """Register, as a client that repeats what was answered 503."""
    for _ in range(100):
        if (reply := await api.post("/register/", body)).status != 503:
            break
        await asyncio.sleep(0.2)
    return reply


@pytest.mark.parametrize("redis_hangs_as_well", [False, True])
async def test_a_session_that_ended_a_moment_before_mysql_hangs_is_refused_within_a_second(
    servers: Servers, own_system: System, own_session: aiohttp.ClientSession, own_api: Api, *,
    redis_hangs_as_well: bool,
) -> None:  # fmt: skip
    database = Database(own_system.env["MYSQL_URL"], pool_size=1)
    mobile = new_mobile()
    await store_account(database, mobile)
    await database.close()
    opened = [await log_in(own_api, mobile) for _ in range(4)]
    alive = opened.pop()
    with second_gateway(own_system) as (_, url):
        gateways = (own_api, Api(own_session, url))
        for api in gateways:
            for session in (*opened, alive):
                assert await api.passes(session["token"])
        by_refresh_token = {"refresh_token": opened[0]["refresh_token"]}
        assert (await own_api.post("/logout/", by_refresh_token)).status == 204
        assert (await own_api.call("POST", "/logout/", **bearer(opened[1]["token"]))).status == 204
        others = await own_api.call("DELETE", "/sessions/", **bearer(alive["token"]))
        assert others.status == 204
        servers.mariadb.pause()
        if redis_hangs_as_well:
            servers.redis.pause()
        for api in gateways:
            for session in opened:
                await until_refused(api, session["token"])
        for api in gateways:
            assert await api.passes(alive["token"])
        servers.redis.resume()
        servers.mariadb.resume()


async def until_refused(api: Api, token: str) -> None:
    """Wait until a gateway refuses a token; a second is the promise, which a busy machine may not keep."""
    for _ in range(50):
        if not await api.passes(token):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("an ended session is still good")


async def test_a_lost_answer_is_answered_again_after_auth_was_killed(
    own_system: System, own_api: Api, own_phone: Phone
) -> None:
    mobile = new_mobile()
    await sign_up(own_api, own_phone, mobile, PASSWORD)
    opened = await log_in(own_api, mobile)
    lost = asyncio.create_task(refresh(own_api, opened["refresh_token"]))
    await asyncio.sleep(0.02)
    own_system.auth.stop(signal.SIGKILL)
    await lost
    own_system.auth.start()
    await asyncio.sleep(11)  # longer than the grace
    first = await refresh(own_api, opened["refresh_token"])
    second = await refresh(own_api, opened["refresh_token"])
    assert (first.status, second.status) == (200, 200)
    assert first["refresh_token"] == second["refresh_token"]
