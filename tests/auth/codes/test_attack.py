"""Ten thousand requests for codes that nobody wants: what they cost, and that a user still gets one."""

import asyncio
import base64
import json
from collections import Counter

from altcha import Challenge, Payload, solve_challenge
from redis.asyncio import Redis

from services.auth.errors import ChallengeRequired, TooManyCodes
from services.auth.models import Client
from shared.observability.metrics import AuthMetrics
from tests.support.codes import make_codes

REQUESTS = 10_000
AT_ONCE = 50
VICTIM = "13800000000"
HOME = Client("198.51.100.9", "a browser")


class Door:
    """Requests codes as the endpoint does; `messages` would have been paid for."""

    def __init__(self, redis: Redis, metrics: AuthMetrics, quotas: dict[str, str] | None = None) -> None:
        codes = make_codes(redis, metrics, quotas=quotas)
        self.request = codes.service.request
        self.messages = codes.publisher.messages

    async def ask(self, mobile: str, client: Client, challenge: str | None = None) -> None:
        await self.request(mobile, "login", client, challenge=challenge)

    async def ask_with_solution(self, mobile: str, client: Client) -> None:
        try:
            await self.ask(mobile, client)
        except ChallengeRequired as refusal:
            solved = await asyncio.to_thread(solve, json.dumps(refusal.members["challenge"]))
            await self.ask(mobile, client, solved)

    async def attack(self, requests: int, *, solving: bool) -> Counter[str]:
        """Request codes from changing addresses to changing numbers and return the answers."""
        seen: Counter[str] = Counter()
        numbers = iter(range(requests))
        ask = self.ask_with_solution if solving else self.ask

        async def attacker() -> None:
            for number in numbers:
                try:
                    await ask(f"13{number * 99_991 % 10**9:09d}", bot(number))
                    seen["code"] += 1
                except (ChallengeRequired, TooManyCodes) as refusal:
                    seen[refusal.slug] += 1

        await asyncio.gather(*(attacker() for _ in range(AT_ONCE)))
        return seen


def bot(number: int) -> Client:
    return Client(f"10.{number // 40 % 256}.{number // 8 % 256}.{number % 250}", "")


def solve(challenge: str) -> str:
    parsed = Challenge.from_dict(json.loads(challenge))
    solution = solve_challenge(parsed)
    assert solution is not None
    return base64.b64encode(json.dumps(Payload(parsed, solution).to_dict()).encode()).decode()


async def test_an_attack_costs_no_more_than_is_given_away_and_a_user_gets_through(
    redis: Redis, auth_metrics: AuthMetrics
) -> None:
    door = Door(redis, auth_metrics, {"code_challenge_global": "300/hour"})
    seen = await door.attack(REQUESTS, solving=False)
    assert seen == {"code": 300, "challenge-required": REQUESTS - 300}
    await door.ask_with_solution(VICTIM, HOME)
    assert door.messages[-1].mobile == VICTIM


async def test_an_attack_that_solves_every_challenge_costs_no_more_than_the_money_of_a_day(
    redis: Redis, auth_metrics: AuthMetrics
) -> None:
    quotas = {"code_challenge_global": "100/hour", "code_limit_spend": "10", "code_price": "*=0.05"}
    door = Door(redis, auth_metrics, quotas)
    seen = await door.attack(REQUESTS // 20, solving=True)
    assert seen == {"code": 200, "too-many-codes": REQUESTS // 20 - 200}
    assert len(door.messages) == 200


async def test_the_defaults_give_an_attacker_only_so_many_codes_a_minute(
    redis: Redis, auth_metrics: AuthMetrics
) -> None:
    door = Door(redis, auth_metrics)
    began = asyncio.get_running_loop().time()
    seen = await door.attack(REQUESTS // 5, solving=False)
    minutes = 1 + (asyncio.get_running_loop().time() - began) // 60
    assert 0 < seen["code"] <= 600 * minutes
    await door.ask_with_solution(VICTIM, HOME)
