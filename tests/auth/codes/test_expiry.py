"""How long a code is valid, which sending it again does not change; Redis's clock is moved by its keys."""

import secrets
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from services.auth.errors import InvalidCode
from services.auth.keyed_hash import KeyedHash
from services.auth.models import Client, CodeRequested
from shared.contracts.messages import SendCode
from shared.observability.metrics import AuthMetrics
from tests.support.client import new_mobile
from tests.support.codes import CodeHarness, make_codes

HOME, STRANGER = "192.0.2.1", "198.51.100.1"


class Phone:
    """A number, the codes that were sent to it, and how long they are still valid."""

    def __init__(self, redis: Redis, metrics: AuthMetrics, ttl: int = 600) -> None:
        keyed_hash = KeyedHash(secrets.token_hex(32))
        self.codes: CodeHarness = make_codes(redis, metrics, ttl=ttl, cooldown=1, keyed_hash=keyed_hash)
        self.mobile = new_mobile()
        self._redis = redis
        self._key = f"code:{keyed_hash.mobile(self.mobile)}:login"
        self._cooldowns = f"code:{keyed_hash.mobile(self.mobile)}:cooldowns"

    async def ask(self, address: str = HOME) -> tuple[CodeRequested, SendCode]:
        """Request a code after the cooldown and return the answer and the message."""
        await self._redis.delete(self._cooldowns)
        answer = await self.codes.service.request(self.mobile, "login", Client(address, ""))
        return answer, self.codes.publisher.messages[-1]

    async def leave(self, seconds: int) -> None:
        """Let the valid code expire in so many seconds."""
        await self._redis.pexpire(self._key, seconds * 1000)

    async def opens(self, code: str, address: str = HOME) -> bool:
        try:
            async with self.codes.service.redeem(self.mobile, "login", code, address):
                return True
        except InvalidCode:
            return False


@pytest.fixture
def phone(redis: Redis, auth_metrics: AuthMetrics) -> Phone:
    return Phone(redis, auth_metrics)


@pytest.mark.parametrize("address", [HOME, STRANGER])
async def test_a_resend_is_the_same_code_and_does_not_prolong_it(phone: Phone, address: str) -> None:
    _, first = await phone.ask()
    await phone.leave(300)
    answer, again = await phone.ask(address)
    assert again.code == first.code
    assert answer.expires_in in (299, 300)
    assert again.expires_at - again.created_at == timedelta(seconds=answer.expires_in)
    await phone.leave(0)
    assert not await phone.opens(first.code)


async def test_however_often_it_is_sent_a_code_ends_at_its_first_expiry(phone: Phone) -> None:
    _, first = await phone.ask()
    for left in (400, 121):
        await phone.leave(left)
        answer, again = await phone.ask()
        assert (again.code, answer.expires_in <= left) == (first.code, True)


async def test_with_less_than_two_minutes_left_a_new_code_is_made_and_the_old_one_keeps_its_rest(
    phone: Phone,
) -> None:
    _, first = await phone.ask()
    await phone.leave(119)
    answer, second = await phone.ask()
    assert (answer.expires_in, second.expires_at - second.created_at) == (600, timedelta(seconds=600))
    assert second.code != first.code
    assert await phone.opens(first.code)
    assert not await phone.opens(second.code)


async def test_a_code_that_was_replaced_ends_at_its_own_expiry(
    redis: Redis, auth_metrics: AuthMetrics
) -> None:
    phone = Phone(redis, auth_metrics)
    _, first = await phone.ask()
    await phone.leave(0)
    _, second = await phone.ask()
    assert not await phone.opens(first.code)
    assert await phone.opens(second.code)


async def test_a_stranger_does_not_replace_a_code_that_the_owner_has_just_received(phone: Phone) -> None:
    _, first = await phone.ask()
    await phone.leave(119)
    await phone.ask(STRANGER)
    for _ in range(6):
        await phone.opens("not a code", "203.0.113.9")
    assert await phone.opens(first.code)


@pytest.mark.parametrize(("ttl", "left", "same"), [(60, 31, True), (60, 29, False), (180, 91, True)])
async def test_a_short_life_has_a_shorter_rest(
    redis: Redis, auth_metrics: AuthMetrics, ttl: int, left: int, *, same: bool
) -> None:
    phone = Phone(redis, auth_metrics, ttl)
    _, first = await phone.ask()
    await phone.leave(left)
    _, again = await phone.ask()
    assert (again.code == first.code) is same
