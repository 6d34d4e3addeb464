"""Clients that go on at once after they were refused."""

import asyncio
from collections.abc import Awaitable

import pytest

from services.auth.errors import TooManyAttempts
from services.auth.models import Client
from services.auth.sign_in.tarpit import Tarpit
from tests.auth.conftest import MakeAuth
from tests.support.auth import PASSWORD
from tests.support.client import eventually

HOME, ELSEWHERE = "192.0.2.1", "198.51.100.1"


class Pit:
    """A tarpit with a clock; those who wait do so until `release`."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.delays: list[float] = []
        self._released = asyncio.Event()
        self.tarpit = Tarpit(self._sleep, lambda: self.seconds)

    async def _sleep(self, seconds: float) -> None:
        self.delays.append(seconds)
        await self._released.wait()

    def release(self) -> None:
        self._released.set()

    async def refuse(self, times: int, address: str = HOME) -> list["asyncio.Future[None]"]:
        waiting: list[asyncio.Future[None]] = [
            asyncio.ensure_future(self.tarpit.wait(address)) for _ in range(times)
        ]
        await asyncio.sleep(0)
        return waiting


async def delayed(pit: Pit, waiting: list["asyncio.Future[None]"]) -> int:
    """Return how many had to wait."""
    count = sum(not one.done() for one in waiting)
    pit.release()
    await asyncio.gather(*waiting)
    return count


async def test_a_host_has_five_quick_refusals_in_a_second() -> None:
    pit = Pit()
    waiting = await pit.refuse(8)
    waiting += await pit.refuse(5, ELSEWHERE)
    assert pit.delays == [1.0] * 3
    assert await delayed(pit, waiting) == 3


async def test_after_a_second_there_are_more() -> None:
    pit = Pit()
    waiting = await pit.refuse(6)
    pit.seconds = 1.0
    waiting += await pit.refuse(5)
    assert await delayed(pit, waiting) == 1


async def test_the_addresses_of_one_host_are_one() -> None:
    pit = Pit()
    waiting: list[asyncio.Future[None]] = []
    for n in range(8):
        waiting += await pit.refuse(1, f"2001:db8::{n:x}")
    assert await delayed(pit, waiting) == 3


async def test_few_wait_at_a_time_so_that_the_gateway_has_connections_for_others() -> None:
    pit = Pit()
    assert await delayed(pit, await pit.refuse(300)) == 64


async def test_refused_sign_ins_are_slowed_down(make_auth: MakeAuth, monkeypatch: pytest.MonkeyPatch) -> None:
    auth = make_auth(settings={"sign_in_limit_account": "1/hour"})
    pit, wait = Pit(), Tarpit.wait
    monkeypatch.setattr(Tarpit, "wait", lambda _, address: wait(pit.tarpit, address))

    async def outcome(attempt: Awaitable[object]) -> str:
        try:
            await attempt
        except TooManyAttempts:
            return "refused"
        except Exception as error:  # noqa: BLE001
            return type(error).__name__
        return "done"

    sign_in = auth.services.sign_in.with_password
    guesses = [
        asyncio.ensure_future(outcome(sign_in(auth.mobile, PASSWORD, Client(HOME, "test"))))
        for _ in range(20)
    ]
    await eventually(lambda: len(pit.delays) >= 10)
    assert sum(guess.done() for guess in guesses) <= 10
    pit.release()
    assert (await asyncio.gather(*guesses)).count("refused") >= 15
