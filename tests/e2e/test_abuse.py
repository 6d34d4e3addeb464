"""What an abuser meets at the public door, and how a user gets past it."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from altcha import Challenge, Payload, solve_challenge

from deploy.local.servers import Servers
from tests.support.client import Api, Phone, Reply, new_mobile, sign_up
from tests.support.system import ORIGIN, System, make_system


@pytest.fixture(scope="module")
def strict(servers: Servers, system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A door that believes the test about its addresses; the shared system sends the texts."""
    strict = make_system(
        servers,
        system.env["MYSQL_URL"],
        tmp_path_factory.mktemp("strict"),
        REDIS_URL=system.env["REDIS_URL"],
        AMQP_URL=system.env["AMQP_URL"],
        TRUSTED_PROXIES="127.0.0.1",
        CODE_SECRET="another secret, and so other budgets",
        CODE_COOLDOWN="1",
        CODE_LIMIT_NUMBER="1/hour",
        CODE_CHALLENGE_ADDRESS="2/10minutes",
        CODE_CHALLENGE_GLOBAL="100/hour",
        CHALLENGE_COST="2",
        SIGN_IN_LIMIT_ACCOUNT="3/hour",
        SIGN_IN_LIMIT_ADDRESS="20/hour",
    )
    for process in (strict.auth, strict.gateway):
        process.start()
    yield strict
    strict.stop()


@pytest.fixture
def door(session: aiohttp.ClientSession, strict: System) -> Api:
    return Api(session, strict.url)


async def ask(door: Api, address: str, mobile: str, **members: Any) -> Reply:
    headers = {"X-Forwarded-For": address, "Origin": ORIGIN, "Accept-Language": "en"}
    return await door.post("/code/", {"mobile": mobile, **members}, headers=headers)


def solve(challenge: dict[str, Any]) -> str:
    parsed = Challenge.from_dict(challenge)
    solution = solve_challenge(parsed)
    assert solution is not None
    return base64.b64encode(json.dumps(Payload(parsed, solution).to_dict()).encode()).decode()


async def test_beyond_its_budget_an_address_gets_codes_for_solved_challenges(door: Api, phone: Phone) -> None:
    for _ in range(2):
        assert (await ask(door, "203.0.113.5", new_mobile())).status == 200
    mobile = new_mobile()
    refused = await ask(door, "203.0.113.5", mobile)
    assert (refused.status, refused["type"]) == (403, "/problems/challenge-required")
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.headers["Access-Control-Allow-Origin"] == ORIGIN
    solved = solve(refused["challenge"])
    assert (await ask(door, "203.0.113.5", mobile, challenge=solved)).status == 200
    await phone.code(mobile)
    assert (await ask(door, "203.0.113.6", new_mobile())).status == 200


async def test_a_solution_serves_once_and_for_its_number(door: Api) -> None:
    for _ in range(2):
        await ask(door, "203.0.114.5", new_mobile())
    mobile, other = new_mobile(), new_mobile()
    challenge = (await ask(door, "203.0.114.5", mobile))["challenge"]
    replies = [
        await ask(door, "203.0.114.5", number, challenge=solve(challenge))
        for number in (other, mobile, mobile, other)
    ]
    assert [reply.status for reply in replies] == [403, 200, 429, 403]
    assert replies[0]["challenge"]["signature"] != challenge["signature"]


async def test_a_refusal_tells_nothing_but_when_to_ask_again(door: Api) -> None:
    mobile = new_mobile()
    assert (await ask(door, "203.0.115.5", mobile)).status == 200
    cooldown = await ask(door, "203.0.115.5", mobile)
    assert (cooldown.status, cooldown["type"]) == (429, "/problems/too-many-codes")
    assert cooldown["retry_after"] == int(cooldown.headers["Retry-After"]) == 1
    await asyncio.sleep(1.1)
    budget = await ask(door, "203.0.115.5", mobile)
    assert budget["retry_after"] == 3600
    assert {**budget.body, "retry_after": 1, "request_id": ""} == {**cooldown.body, "request_id": ""}


@pytest.mark.parametrize("challenge", [1, ["x"], "x" * 5000])
async def test_what_cannot_be_a_solution_is_bad_input(door: Api, challenge: Any) -> None:
    reply = await ask(door, "203.0.116.5", new_mobile(), challenge=challenge)
    assert (reply.status, list(reply["challenge"])) == (400, reply["challenge"])


async def sign_in(door: Api, address: str, mobile: str, password: str = "wrong horse") -> Reply:
    headers = {"X-Forwarded-For": address}
    return await door.post("/login/", {"mobile": mobile, "password": password}, headers=headers)


@pytest.mark.parametrize("registered", [True, False])
async def test_failed_sign_ins_are_throttled_alike_with_and_without_an_account(
    door: Api, phone: Phone, *, registered: bool
) -> None:
    mobile = new_mobile()
    if registered:
        await sign_up(door, phone, mobile)
    failures = 0
    while (reply := await sign_in(door, f"203.0.117.{failures}", mobile)).status == 400:
        failures += 1
    assert failures in range(4, 7)  # more than 4 only where that took seconds
    assert (reply.status, reply["type"]) == (429, "/problems/too-many-attempts")
    assert 1 <= reply["retry_after"] == int(reply.headers["Retry-After"]) <= 4


async def test_strangers_cannot_keep_an_owner_out(door: Api, phone: Phone) -> None:
    mobile, password = new_mobile(), "correct horse 电池"
    await sign_up(door, phone, mobile, password)
    assert (await sign_in(door, "203.0.118.1", mobile, password)).status == 200
    for number in range(8):
        await sign_in(door, f"203.0.119.{number}", mobile)
    assert (await sign_in(door, "203.0.119.9", mobile, password)).status == 429  # their neighbour
    assert (await sign_in(door, "203.0.118.1", mobile, password)).status == 200
    assert (await sign_in(door, "203.0.121.2", mobile, password)).status == 200  # which nobody knows yet


async def test_stuffing_from_one_address_is_slowed(door: Api) -> None:
    replies = await asyncio.gather(*(sign_in(door, "203.0.120.1", new_mobile()) for _ in range(40)))
    seen = Counter(reply.status for reply in replies)
    assert seen[400] in range(21, 24)  # more than 21 only where that took seconds
    assert seen[400] + seen[429] == 40


async def test_strangers_cannot_keep_an_owner_from_a_code(door: Api, phone: Phone) -> None:
    mobile = new_mobile()
    owner, strangers = "203.0.122.1", [f"203.0.{n}.1" for n in range(123, 135)]
    seen = [(await ask(door, address, mobile)).status for address in strangers]
    assert seen.count(200) == 3
    refused = await ask(door, owner, mobile)
    solved = solve(refused["challenge"])
    reply = await ask(door, owner, mobile, challenge=solved)
    assert reply.status == 200
    for address in strangers:
        body = {"mobile": mobile, "code": "000000", "password": "correct horse 电池"}
        await door.post("/register/", body, headers={"X-Forwarded-For": address})
    body |= {"code": await phone.code(mobile)}
    assert (await door.post("/register/", body, headers={"X-Forwarded-For": owner})).status == 200


async def test_a_resend_says_how_long_the_code_is_still_valid(door: Api) -> None:
    mobile = new_mobile()
    first = await ask(door, "203.0.135.1", mobile)
    await asyncio.sleep(1.1)
    again = await ask(door, "203.0.136.1", mobile)
    assert (first["expires_in"], again["expires_in"]) in {(600, 598), (600, 597)}


async def test_an_attack_from_everywhere_gets_what_is_given_away_and_a_user_gets_a_code(
    door: Api, phone: Phone
) -> None:
    attack = (ask(door, f"10.{n % 200}.{n // 200}.1", new_mobile()) for n in range(600))
    seen = Counter(reply.status for reply in await asyncio.gather(*attack))
    assert seen[200] <= 100
    assert seen[200] + seen[403] + seen[503] == 600  # 503 only where 600 at once are too many for the machine
    assert seen[200] > 0
    mobile = new_mobile()
    refused = await ask(door, "203.0.121.1", mobile)
    solved = solve(refused["challenge"])
    assert (await ask(door, "203.0.121.1", mobile, challenge=solved)).status == 200
    await phone.code(mobile)
