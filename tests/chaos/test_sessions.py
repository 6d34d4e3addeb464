"""Sessions while servers stop, gateways restart, keys change, and auth is killed."""

import asyncio
import signal
import time
from collections import Counter
from pathlib import Path

import aiohttp
import jwt

from deploy.local.servers import Servers
from services.auth.db.database import Database
from tests.e2e.second_gateway import second_gateway
from tests.support.client import Api, Phone, Reply, bearer, log_in, new_mobile, refresh, sign_up
from tests.support.system import System, make_system, run

PASSWORD = "correct horse 电池"


async def test_with_redis_gone_ended_sessions_are_refused_at_once_also_after_a_restart(
    servers: Servers, own_system: System, own_api: Api, own_phone: Phone, own_session: aiohttp.ClientSession
) -> None:
    mobile = new_mobile()
    await sign_up(own_api, own_phone, mobile, PASSWORD)
    ended, alive = await log_in(own_api, mobile), await log_in(own_api, mobile)
    await asyncio.to_thread(servers.redis.stop)
    with second_gateway(own_system) as (gateway, url):
        other = Api(own_session, url)
        assert await other.passes(ended["token"])
        assert (await own_api.call("POST", "/logout/", **bearer(ended["token"]))).status == 204
        await asyncio.sleep(1)
        for api in (own_api, other):
            assert not await api.passes(ended["token"])
            assert await api.passes(alive["token"])
        gateway.stop(signal.SIGKILL)
        gateway.start()
        assert not await other.passes(ended["token"])
        assert await other.passes(alive["token"])


async def test_disabling_an_account_ends_its_sessions(
    own_system: System, own_api: Api, own_phone: Phone
) -> None:
    mobile = new_mobile()
    await sign_up(own_api, own_phone, mobile, PASSWORD)
    opened = await log_in(own_api, mobile)
    await asyncio.to_thread(run, "services.auth", "user", "disable", mobile, env=own_system.env)
    await asyncio.sleep(1)
    assert not await own_api.passes(opened["token"])
    assert (await refresh(own_api, opened["refresh_token"]))["type"] == "/problems/session-ended"


async def test_a_killed_auth_service_leaves_each_session_whole(
    servers: Servers, own_system: System, own_api: Api, own_phone: Phone
) -> None:
    """Clients sign in, refresh and sign out while auth is killed; a lost answer is asked for again."""
    mobile = new_mobile()
    user_id = await sign_up(own_api, own_phone, mobile, PASSWORD)
    counts: Counter[str] = Counter()
    stop = asyncio.Event()
    clients = [asyncio.create_task(live(own_api, mobile, stop, counts)) for _ in range(8)]
    for _ in range(4):
        await asyncio.sleep(0.7)
        await asyncio.to_thread(own_system.auth.stop, signal.SIGKILL)
        own_system.auth.start()
    stop.set()
    await asyncio.gather(*clients)
    assert counts["refreshed"] > 20
    await assert_whole(servers, user_id)


async def live(api: Api, mobile: str, stop: asyncio.Event, counts: Counter[str]) -> None:
    while not stop.is_set():
        opened = await insist(api, "/login/", {"mobile": mobile, "password": PASSWORD})
        for _ in range(3):
            opened = await insist(api, "/token/refresh/", {"refresh_token": opened["refresh_token"]})
            assert opened.status == 200, opened.body
            counts["refreshed"] += 1
        await api.call("POST", "/logout/", **bearer(opened["token"]))


async def insist(api: Api, path: str, body: dict[str, str]) -> Reply:
    """Repeat a request until it is answered by auth, as a client does that got no answer."""
    deadline = time.monotonic() + 20
    while (reply := await api.post(path, body)).status >= 500:
        assert time.monotonic() < deadline, reply.body
        await asyncio.sleep(0.05)
    return reply


async def assert_whole(servers: Servers, user_id: int) -> None:
    """No session without its start's event and entry, none both alive and ended, no end untold."""
    database = Database(servers.mariadb.url, pool_size=1)

    async def ids(sql: str) -> set[str]:
        return {row[0] for row in await database.fetch_all(sql, (user_id,))}

    in_audit = "SELECT JSON_VALUE(details, '$.session_id') FROM audit WHERE user_id = %s AND action = "
    started, over = await ids(in_audit + "'session.started'"), await ids(in_audit + "'session.ended'")
    alive = await ids("SELECT id FROM sessions WHERE user_id = %s")
    ended = {row[0] for row in await database.fetch_all("SELECT session_id FROM ended_sessions", ())}
    reused = await ids(in_audit + "'session.token_reused'")
    await database.close()
    assert alive | over == started
    assert not alive & over
    assert over <= ended
    assert not alive & ended
    assert not reused


async def test_an_old_token_used_after_the_grace_ends_the_session_and_is_in_the_audit_trail(
    servers: Servers, mysql_url: str, tmp_path: Path, own_session: aiohttp.ClientSession
) -> None:
    with make_system(servers, mysql_url, tmp_path, REFRESH_GRACE="1").running() as system:
        api, phone = Api(own_session, system.url), Phone(own_session, system.simulator_url)
        mobile = new_mobile()
        user_id = await sign_up(api, phone, mobile, PASSWORD)
        opened = await log_in(api, mobile)
        current = await refresh(api, opened["refresh_token"])
        current = await refresh(api, current["refresh_token"])
        await asyncio.sleep(1.5)
        thief = await refresh(api, opened["refresh_token"])
        assert (thief.status, thief["type"]) == (401, "/problems/session-ended")
        assert (await refresh(api, current["refresh_token"]))["type"] == "/problems/session-ended"
        assert (await api.get("/me/", token=current["token"])).status == 401
        database = Database(servers.mariadb.url, pool_size=1)
        entry = await database.fetch_one(
            "SELECT details, ip, request_id FROM audit "
            "WHERE action = 'session.token_reused' AND user_id = %s",
            (user_id,),
        )
        await database.close()
        assert entry is not None
        assert opened["session_id"] in entry[0]
        assert entry[1:] == ("127.0.0.1", thief.headers["X-Request-ID"])


async def test_keys_rotate_under_load_without_a_failed_request(
    servers: Servers, mysql_url: str, tmp_path: Path, own_session: aiohttp.ClientSession
) -> None:
    settings = {"SIGNING_KEY_DELAY": "3", "ACCESS_TOKEN_TTL": "10"}
    with make_system(servers, mysql_url, tmp_path, **settings).running() as system:
        api, phone = Api(own_session, system.url), Phone(own_session, system.simulator_url)
        mobile = new_mobile()
        await sign_up(api, phone, mobile, PASSWORD)
        statuses: Counter[int] = Counter()
        kids: list[str] = []
        stop = asyncio.Event()
        clients = [asyncio.create_task(keep_asking(api, mobile, stop, statuses, kids)) for _ in range(4)]
        await until_any(kids)
        first = kids[0]
        await key(system, "create")
        deadline = time.monotonic() + 30
        while kids[-1] == first:
            assert time.monotonic() < deadline, "the new key never signed"
            await asyncio.sleep(0.1)
        await retired(system, first)
        await asyncio.sleep(2)
        stop.set()
        await asyncio.gather(*clients)
        assert set(statuses) == {200}, statuses
        assert len(set(kids)) == 2
        jwks = await api.get("/.well-known/jwks.json")
        assert [published["kid"] for published in jwks["keys"]] == [kids[-1]]


async def keep_asking(
    api: Api, mobile: str, stop: asyncio.Event, statuses: Counter[int], kids: list[str]
) -> None:
    opened = await log_in(api, mobile)
    while not stop.is_set():
        opened = await refresh(api, opened["refresh_token"])
        statuses[opened.status] += 1
        kids.append(jwt.get_unverified_header(opened["token"])["kid"])
        for _ in range(10):
            statuses[(await api.get("/me/", token=opened["token"])).status] += 1
            await asyncio.sleep(0.02)


async def until_any(found: list[str]) -> None:
    deadline = time.monotonic() + 10
    while not found:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def key(system: System, *command: str) -> str:
    done = await asyncio.to_thread(run, "services.auth", "key", *command, env=system.env)
    return done.stdout


async def retired(system: System, kid: str) -> None:
    """Wait until a key's last token has ended, then retire it."""
    deadline = time.monotonic() + 40
    while f"{kid}  ES256  can be retired" not in await key(system, "list"):
        assert time.monotonic() < deadline, await key(system, "list")
        await asyncio.sleep(0.5)
    await key(system, "retire", kid)


async def test_the_origins_tokens_are_two_settings_away(
    servers: Servers, mysql_url: str, tmp_path: Path, own_session: aiohttp.ClientSession
) -> None:
    settings = {"TOKEN_ALGORITHM": "HS256", "ACCESS_TOKEN_TTL": "604800"}
    with make_system(servers, mysql_url, tmp_path, **settings).running() as system:
        api, phone = Api(own_session, system.url), Phone(own_session, system.simulator_url)
        mobile = new_mobile()
        user_id = await sign_up(api, phone, mobile, PASSWORD)
        opened = await log_in(api, mobile)
        (secret,) = (path.read_text() for path in (tmp_path / "keys").glob("*.secret"))
        claims = jwt.decode(opened["token"], secret, algorithms=["HS256"], options={"verify_aud": False})
        assert (claims["uid"], claims["nick"], claims["exp"] - claims["iat"]) == (user_id, mobile, 604800)
        assert opened["expires_in"] == 604800
        assert (await api.get("/me/", token=opened["token"]))["id"] == user_id
        assert await api.passes(opened["token"])
        assert (await api.get("/.well-known/jwks.json")).body == {"keys": []}
        await api.call("POST", "/logout/", **bearer(opened["token"]))
        await asyncio.sleep(1)
        assert not await api.passes(opened["token"])
