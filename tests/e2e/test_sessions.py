"""Sessions through the gateway: signing in, refreshing, listing, ending."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import aiohttp
import pytest

from services.auth.db.database import Database
from tests.e2e.second_gateway import second_gateway
from tests.support.client import Api, Phone, bearer, log_in, new_mobile, refresh, sign_up
from tests.support.system import System

PASSWORD = "correct horse 电池"
SIGNED_IN = {
    "id", "nick", "token", "token_type", "expires_in", "refresh_token", "refresh_expires_in", "session_id",
}  # fmt: skip


@pytest.fixture(scope="module")
def second_url(system: System) -> Iterator[str]:
    with second_gateway(system) as (_, url):
        yield url


@pytest.fixture
def gateways(api: Api, session: aiohttp.ClientSession, second_url: str) -> list[Api]:
    return [api, Api(session, second_url)]


@pytest.fixture
async def mobile(api: Api, phone: Phone) -> str:
    """The number of an account."""
    mobile = new_mobile()
    await sign_up(api, phone, mobile, PASSWORD)
    return mobile


async def assert_refused_within_a_second(gateways: list[Api], token: str) -> None:
    await asyncio.sleep(1)
    assert [await gateway.passes(token) for gateway in gateways] == [False, False]


async def test_a_refresh_answers_as_a_sign_in_and_both_tokens_work(api: Api, mobile: str) -> None:
    opened = await log_in(api, mobile)
    refreshed = await refresh(api, opened["refresh_token"])
    assert refreshed.status == 200
    assert set(refreshed.body) == set(opened.body) == SIGNED_IN
    assert refreshed["session_id"] == opened["session_id"]
    assert refreshed["refresh_token"] != opened["refresh_token"]
    for reply in (opened, refreshed):
        assert (await api.get("/me/", token=reply["token"])).status == 200


async def test_50_parallel_refreshes_with_one_token_all_get_the_one_next_token(
    gateways: list[Api], mobile: str
) -> None:
    api = gateways[0]
    opened = await log_in(api, mobile)
    attempts = [refresh(gateways[attempt % 2], opened["refresh_token"]) for attempt in range(50)]
    replies = await asyncio.gather(*attempts)
    assert Counter(reply.status for reply in replies) == {200: 50}
    assert len({reply["refresh_token"] for reply in replies}) == 1
    assert {reply["session_id"] for reply in replies} == {opened["session_id"]}
    answers = await asyncio.gather(*(api.get("/me/", token=reply["token"]) for reply in replies))
    assert {answer.status for answer in answers} == {200}
    assert (await refresh(api, replies[0]["refresh_token"])).status == 200
    listed = await api.get("/sessions/", token=replies[0]["token"])
    assert [session["id"] for session in listed["sessions"]] == [opened["session_id"]]


async def test_parallel_refreshes_down_the_chain_never_fork_it(api: Api, mobile: str) -> None:
    token = (await log_in(api, mobile))["refresh_token"]
    for _ in range(5):
        replies = await asyncio.gather(*(refresh(api, token) for _ in range(10)))
        assert {reply.status for reply in replies} == {200}
        followers = {reply["refresh_token"] for reply in replies}
        assert len(followers) == 1
        token = followers.pop()


async def test_sessions_are_listed_with_their_devices(api: Api, mobile: str) -> None:
    first = await log_in(api, mobile, agent="old phone 📱".encode().decode("latin1"))
    current = await log_in(api, mobile, agent="new phone")
    listed = (await api.get("/sessions/", token=current["token"]))["sessions"]
    assert [set(session) for session in listed] == [
        {"id", "created_at", "last_used_at", "ip", "user_agent", "current"}
    ] * 2
    assert {session["id"]: session["current"] for session in listed} == {
        first["session_id"]: False,
        current["session_id"]: True,
    }
    assert {session["user_agent"] for session in listed} >= {"new phone"}
    assert {session["ip"] for session in listed} == {"127.0.0.1"}


async def test_a_signed_out_session_is_refused_at_every_gateway_and_not_refreshed(
    gateways: list[Api], mobile: str
) -> None:
    api = gateways[0]
    opened, other = await log_in(api, mobile), await log_in(api, mobile)
    assert [await gateway.passes(opened["token"]) for gateway in gateways] == [True, True]
    reply = await api.call("POST", "/logout/", **bearer(opened["token"]))
    assert (reply.status, reply.body) == (204, None)
    assert (await api.get("/me/", token=opened["token"])).status == 401
    ended = await refresh(api, opened["refresh_token"])
    assert (ended.status, ended["type"]) == (401, "/problems/session-ended")
    assert ended.headers["WWW-Authenticate"].startswith("Bearer")
    await assert_refused_within_a_second(gateways, opened["token"])
    assert await api.passes(other["token"])


async def test_one_session_is_ended_by_another(gateways: list[Api], mobile: str) -> None:
    api = gateways[0]
    stolen, current = await log_in(api, mobile), await log_in(api, mobile)
    path = f"/sessions/{stolen['session_id']}/"
    assert (await api.call("DELETE", path, **bearer(current["token"]))).status == 204
    assert (await api.call("DELETE", path, **bearer(current["token"]))).status == 404
    await assert_refused_within_a_second(gateways, stolen["token"])
    assert await api.passes(current["token"])


async def test_all_sessions_but_the_current_one_are_ended(gateways: list[Api], mobile: str) -> None:
    api = gateways[0]
    others = [await log_in(api, mobile) for _ in range(3)]
    current = await log_in(api, mobile)
    assert (await api.call("DELETE", "/sessions/", **bearer(current["token"]))).status == 204
    listed = await api.get("/sessions/", token=current["token"])
    assert [session["id"] for session in listed["sessions"]] == [current["session_id"]]
    for other in others:
        assert (await refresh(api, other["refresh_token"])).status == 401


async def test_another_users_session_cannot_be_told_from_none(api: Api, phone: Phone, mobile: str) -> None:
    stranger = new_mobile()
    await sign_up(api, phone, stranger, PASSWORD)
    own, foreign = await log_in(api, mobile), await log_in(api, stranger)
    for session_id in (foreign["session_id"], "0" * 32, "x"):
        reply = await api.call("DELETE", f"/sessions/{session_id}/", **bearer(own["token"]))
        assert (reply.status, reply["type"]) == (404, "/problems/not-found")
    assert (await api.get("/me/", token=foreign["token"])).status == 200


@pytest.mark.parametrize("token", ["", "x", "A" * 91, "é"])
async def test_an_invented_refresh_token_is_refused(api: Api, token: str) -> None:
    reply = await refresh(api, token)
    assert reply.status == 401
    assert reply["type"] in {"/problems/invalid-token", "/problems/session-ended"}


async def test_a_code_signs_in_and_makes_the_account_once(api: Api, phone: Phone) -> None:
    mobile = new_mobile()
    await api.post("/code/", {"mobile": mobile, "purpose": "login"})
    body = {"mobile": mobile, "code": await phone.code(mobile)}
    replies = await asyncio.gather(*(api.post("/login/code/", body) for _ in range(20)))
    assert Counter(reply.status for reply in replies) == {200: 1, 400: 19}
    (opened,) = (reply for reply in replies if reply.status == 200)
    assert (set(opened.body), opened["created"]) == (SIGNED_IN | {"created"}, True)
    assert all(reply["code"] == ["Invalid or expired code"] for reply in replies if reply.status == 400)
    assert (await api.get("/me/", token=opened["token"]))["mobile"] == mobile
    refused = await api.post("/login/", {"mobile": mobile, "password": PASSWORD})
    assert refused["non_field_errors"] == ["Wrong credentials"]


async def test_only_hashes_of_refresh_tokens_are_in_the_database(
    api: Api, mobile: str, database: Database
) -> None:
    opened = await log_in(api, mobile)
    refreshed = await refresh(api, opened["refresh_token"])
    rows = await database.fetch_all("SELECT * FROM sessions WHERE id = %s", (opened["session_id"],))
    assert len(rows) == 1
    for reply in (opened, refreshed):
        assert reply["refresh_token"] not in repr(rows)
        assert reply["refresh_token"][30:70] not in repr(rows)


async def test_of_many_who_end_a_session_at_once_one_does(api: Api, mobile: str) -> None:
    target, current = await log_in(api, mobile), await log_in(api, mobile)
    path = f"/sessions/{target['session_id']}/"
    replies = await asyncio.gather(*(api.call("DELETE", path, **bearer(current["token"])) for _ in range(20)))
    assert Counter(reply.status for reply in replies) == {204: 1, 404: 19}


async def test_a_session_that_ends_while_it_is_refreshed_stays_ended(api: Api, mobile: str) -> None:
    for _ in range(10):
        opened = await log_in(api, mobile)
        *refreshed, ended = await asyncio.gather(
            *(refresh(api, opened["refresh_token"]) for _ in range(4)),
            api.call("POST", "/logout/", **bearer(opened["token"])),
        )
        assert ended.status == 204
        assert {reply.status for reply in refreshed} <= {200, 401}
        for reply in refreshed:
            token = reply["refresh_token"] if reply.status == 200 else opened["refresh_token"]
            assert (await refresh(api, token))["type"] == "/problems/session-ended"
