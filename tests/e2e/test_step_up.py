"""Step-up, notices and rates of changes through the gateway."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from deploy.local.servers import Servers
from services.auth.db.database import Database
from tests.support.accounts import PASSWORD, store_account
from tests.support.client import Api, Phone, Reply, bearer, log_in, new_mobile, refresh
from tests.support.isolation import isolated_urls
from tests.support.system import System, make_system, run

CHALLENGE = 'Bearer error="insufficient_user_authentication", max_age=600'
NOTICE = "您的账号已换绑手机号"


async def age_sessions(database: Database, user_id: int) -> None:
    """Let the sessions of an account be proven an hour ago."""
    await database.fetch_all(
        "UPDATE sessions SET created_at = created_at - INTERVAL 1 HOUR, authenticated_at = NULL "
        "WHERE user_id = %s",
        (user_id,),
    )


async def code(api: Api, phone: Phone, mobile: str, purpose: str) -> str:
    before = len(await phone.texts(mobile))
    assert (await api.post("/code/", {"mobile": mobile, "purpose": purpose})).status == 200
    return await phone.code(mobile, messages=before + 1)


def assert_step_up(reply: Reply) -> None:
    assert (reply.status, reply["type"]) == (401, "/problems/reauthentication-required")
    assert reply.headers["WWW-Authenticate"] == CHALLENGE


async def test_a_stolen_token_does_not_become_the_account(api: Api, phone: Phone, database: Database) -> None:
    mobile, thiefs = new_mobile(), new_mobile()
    user_id = await store_account(database, mobile)
    opened = await log_in(api, mobile)
    await age_sessions(database, user_id)
    stolen = bearer(opened["token"])
    body = {"mobile": thiefs, "code": await code(api, phone, thiefs, "change_mobile")}
    assert_step_up(await api.call("POST", "/me/mobile/", body, **stolen))
    assert_step_up(await api.call("DELETE", "/me/", {"code": "000000"}, **stolen))
    assert_step_up(await api.call("POST", "/me/delete/", {"code": "000000"}, **stolen))
    own = await code(api, phone, mobile, "confirm")
    proven = await api.post("/reauthenticate/", {"code": own}, **stolen)
    assert (proven.status, set(proven.body)) == (200, set(opened.body))
    assert proven["session_id"] == opened["session_id"]
    other = await log_in(api, mobile)
    moved = await api.call("POST", "/me/mobile/", body, **bearer(proven["token"]))
    assert (moved.status, moved.body) == (200, {"mobile": thiefs})
    assert (await api.get("/me/", token=other["token"])).status == 401
    assert (await refresh(api, proven["refresh_token"])).status == 200


async def test_an_account_is_deleted_by_a_post_as_well(api: Api, phone: Phone, database: Database) -> None:
    mobile = new_mobile()
    await store_account(database, mobile)
    token = (await log_in(api, mobile))["token"]
    body = {"code": await code(api, phone, mobile, "delete")}
    reply = await api.call("POST", "/me/delete/", body, **bearer(token))
    assert (reply.status, reply.body) == (204, None)
    assert (await api.get("/me/", token=token)).status == 401


async def test_a_first_password_needs_a_recent_proof(api: Api, phone: Phone, database: Database) -> None:
    mobile = new_mobile()
    opened = await api.post(
        "/login/code/", {"mobile": mobile, "code": await code(api, phone, mobile, "login")}
    )
    await age_sessions(database, opened["id"])
    body = {"password": "battery staple 电池"}
    assert_step_up(await api.call("POST", "/password/change/", body, **bearer(opened["token"])))
    await database.fetch_all(
        "UPDATE sessions SET authenticated_at = NOW(6) WHERE user_id = %s", (opened["id"],)
    )
    reply = await api.call("POST", "/password/change/", body, **bearer(opened["token"]))
    assert (reply.status, reply.body) == (200, {})
    await log_in(api, mobile, body["password"])


@pytest.mark.parametrize("body", [{}, {"password": "x", "code": "123456"}, {"password": None, "code": None}])
async def test_a_proof_is_either_a_password_or_a_code(
    api: Api, database: Database, body: dict[str, str]
) -> None:
    mobile = new_mobile()
    await store_account(database, mobile)
    token = (await log_in(api, mobile))["token"]
    reply = await api.post("/reauthenticate/", body, **bearer(token))
    assert (reply.status, reply["non_field_errors"]) == (400, ["Either password or code is required"])


async def test_a_wrong_password_proves_nothing(api: Api, database: Database) -> None:
    mobile = new_mobile()
    await store_account(database, mobile)
    token = (await log_in(api, mobile))["token"]
    reply = await api.post("/reauthenticate/", {"password": "wrong horse"}, **bearer(token))
    assert (reply.status, reply["password"]) == (400, ["Wrong password"])
    assert (await api.post("/reauthenticate/", {"password": PASSWORD}, **bearer(token))).status == 200
    assert (await api.post("/reauthenticate/", {"password": PASSWORD})).status == 401


@pytest.fixture
async def strict(servers: Servers, tmp_path: Path) -> AsyncIterator[System]:
    """A system with a notice and low rates."""
    urls = isolated_urls(servers, "strict")
    urls["REDIS_URL"] = servers.redis.url.removesuffix("/0") + "/7"  # accounts there have the same ids
    settings = {
        "NOTICE_MOBILE_CHANGED": NOTICE,
        "CHANGE_LIMIT_SESSION": "5/hour",
        "CHANGE_LIMIT_ACCOUNT": "8/hour",
        "REFRESH_LIMIT": "5/hour",
    }
    with make_system(servers, urls["MYSQL_URL"], tmp_path, **urls, **settings).running() as system:
        yield system


async def test_changes_have_rates_and_the_old_number_gets_a_notice(
    strict: System, session: aiohttp.ClientSession
) -> None:
    api, phone = Api(session, strict.url), Phone(session, strict.simulator_url)
    database = Database(strict.env["MYSQL_URL"], pool_size=2)
    mobile, new = new_mobile(), new_mobile()
    await store_account(database, mobile)
    await database.close()
    owner, thief = [await log_in(api, mobile) for _ in range(2)]
    spam = [
        api.call("PATCH", "/me/", {"nickname": f"name {number}"}, **bearer(thief["token"]))
        for number in range(30)
    ]
    replies = await asyncio.gather(*spam)
    assert Counter(reply.status for reply in replies) == {200: 5, 429: 25}
    refused = next(reply for reply in replies if reply.status == 429)
    assert refused["type"] == "/problems/too-many-requests"
    assert int(refused.headers["Retry-After"]) == refused["retry_after"] > 0
    assert (await api.get("/me/", token=thief["token"])).status == 200
    for _ in range(5):
        thief = await refresh(api, thief["refresh_token"])
        assert thief.status == 200
    assert (await refresh(api, thief["refresh_token"])).status == 429
    body = {"mobile": new, "code": await code(api, phone, new, "change_mobile")}
    assert (await api.call("POST", "/me/mobile/", body, **bearer(owner["token"]))).status == 200
    deadline = asyncio.get_running_loop().time() + 15
    while [NOTICE in text for text in await phone.texts(mobile)] != [True]:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)
    found = run("services.auth", "audit", "--mobile", new, "--json", env=strict.env).stdout
    assert "mobile.changed" in found
