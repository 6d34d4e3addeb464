"""The simulator in the test's own process, and what sends to it."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from deploy.local.simulator.app import make_app
from deploy.local.simulator.settings import SimulatorSettings
from services.sms.provider.base import Answer, Outgoing
from services.sms.provider.setup import ProviderParts
from services.sms.settings import ProviderSettings
from shared.clock import now
from shared.contracts.messages import Channel

OpenWorker = Callable[..., Awaitable[ProviderParts]]

KEY = "0123456789abcdef0123456789abcdef"
SECOND_KEY = "fedcba9876543210fedcba9876543210"
MOBILE = "13800000000"
FOREIGN_MOBILE = "+447400123456"
ALWAYS = "00:00-24:00"
CODE = "123456"
TEXT = f"【Dialpass】您的验证码是{CODE}。如非本人操作，请忽略本短信"


@dataclass(frozen=True, slots=True)
class Simulator:
    """Scripts the simulator over HTTP, as people and tests do."""

    url: str
    session: aiohttp.ClientSession

    async def fault(self, **rule: Any) -> None:
        async with self.session.post(f"{self.url}/_faults", json=rule) as response:
            assert response.status == 201, await response.text()

    async def faults(self) -> list[dict[str, Any]]:
        async with self.session.get(f"{self.url}/_faults") as response:
            rules: list[dict[str, Any]] = await response.json()
            return rules

    async def heal(self) -> None:
        async with self.session.delete(f"{self.url}/_faults") as response:
            assert response.status == 204

    async def set_account(self, name: str = "first", **terms: Any) -> None:
        params = {"account": name}
        async with self.session.put(f"{self.url}/_account", params=params, json=terms) as response:
            assert response.status == 200, await response.text()

    async def answers(self, name: str) -> Counter[str]:
        async with self.session.get(f"{self.url}/_account", params={"account": name}) as response:
            return Counter((await response.json())["answers"])

    async def inbox(self) -> list[dict[str, Any]]:
        async with self.session.get(f"{self.url}/_inbox") as response:
            messages: list[dict[str, Any]] = await response.json()
            return messages


@asynccontextmanager
async def running_simulator(session: aiohttp.ClientSession) -> AsyncIterator[Simulator]:
    server = HTTPServer(make_app(SimulatorSettings(yunpian_api_key=KEY, voice_hours=ALWAYS)))
    sock, port = bind_unused_port()
    server.add_socket(sock)
    yield Simulator(f"http://127.0.0.1:{port}", session)
    server.stop()
    await server.close_all_connections()


def provider_settings(url: str, **settings: Any) -> ProviderSettings:
    """Settings with two accounts, `main` and `backup`, without limits unless they are given."""
    given = {
        "yunpian_base_url": url,
        "yunpian_api_key": KEY,
        "yunpian_accounts": f"backup={SECOND_KEY}",
        "sms_rate_limit": "none",
        "voice_hours": ALWAYS,  # tests run at any time of day
    }
    return ProviderSettings(**(given | settings))


def outgoing(
    mobile: str = MOBILE,
    channel: Channel = "sms",
    code: str = CODE,
    life: timedelta = timedelta(minutes=10),
    *,
    message_id: str = "a-message",
    text: str = TEXT,
    halted: frozenset[str] = frozenset(),
) -> Outgoing:
    return Outgoing(message_id, mobile, text, code, channel, now() + life, halted)


def keep(names: list[str]) -> Callable[[str], Awaitable[None]]:
    async def on_failover(account: str) -> None:
        names.append(account)

    return on_failover


async def send(worker: ProviderParts, **message: Any) -> Answer:
    return await worker.provider.send(outgoing(**message), keep([]))


async def until(fact: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
