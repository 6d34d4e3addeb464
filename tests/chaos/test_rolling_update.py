"""Every replica replaced by a new one, and workers added and taken away, while users sign up and in."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

import aiohttp
import pytest

from deploy.local.ports import free_port
from tests.support.client import Api, Phone, new_mobile
from tests.support.proxies import ServiceProxy
from tests.support.system import Process, System

PASSWORD = "correct horse 电池"
SIGNING_IN, ASKING = 6, 3


class Replicas:
    """The processes of one service, and what a rollout does to them."""

    def __init__(self, first: Process, *ports: str) -> None:
        self.first = first
        self.running: list[Process] = []
        self.probes: list[str] = []
        self.targets: dict[str, str] = {}
        self._ports = ports
        self._made = 0

    async def add(self) -> None:
        """Start one more and wait until it is ready."""
        self._made += 1
        ports = {name: str(free_port()) for name in self._ports}
        # The readiness probe is on the last of the ports, the traffic goes to the first.
        probe = f"http://127.0.0.1:{ports[self._ports[-1]]}/readyz"
        log = self.first.log.with_suffix(f".{self._made}.log")
        process = Process(self.first.module, ["serve"], self.first.env | ports, log, probe)
        self.running.append(process)
        await asyncio.to_thread(process.start)
        self.targets[probe] = f"http://127.0.0.1:{ports[self._ports[0]]}"
        self.probes.append(probe)

    async def remove(self) -> None:
        """Stop the oldest as Kubernetes does: by SIGTERM, with time to drain."""
        process = self.running.pop(0)
        assert await asyncio.to_thread(process.stop) == 0, process.log.read_text()[-2000:]
        self.probes.remove(process.probe)

    async def replace_all(self) -> None:
        """Roll: one more, then one less, until all are new."""
        for _ in list(self.running):
            await self.add()
            await self.remove()


@dataclass
class Load:
    """Users who sign in, and users who ask for codes, over connections of their own, all the time."""

    api: Api
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    mobiles: list[str] = field(default_factory=list)
    _over: bool = False

    async def __aenter__(self) -> Self:
        self._tasks = [
            *(asyncio.create_task(self._keep(self._sign_in)) for _ in range(SIGNING_IN)),
            *(asyncio.create_task(self._keep(self._ask)) for _ in range(ASKING)),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over = True
        await asyncio.gather(*self._tasks)

    async def _keep(self, act: Callable[[], Awaitable[None]]) -> None:
        while not self._over:
            try:
                await act()
            except aiohttp.ClientError as error:
                self.failures.append(repr(error))

    async def _sign_in(self) -> None:
        reply = await self.api.post("/login/", {"mobile": new_mobile(), "password": PASSWORD})
        self.answers["/login/", reply.status] += 1

    async def _ask(self) -> None:
        mobile = new_mobile()
        reply = await self.api.post("/code/", {"mobile": mobile})
        self.answers["/code/", reply.status] += 1
        self.mobiles.append(mobile)
        await asyncio.sleep(0.1)


@pytest.fixture(name="client")
async def _client() -> AsyncIterator[aiohttp.ClientSession]:
    # A connection for each request, as from many clients: none is kept that a stopping gateway closes.
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


async def each_got_one_text(phone: Phone, mobiles: list[str]) -> None:
    for mobile in mobiles:
        await phone.code(mobile, seconds=30)
    assert {len(await phone.texts(mobile)) for mobile in mobiles} == {1}


@pytest.mark.timeout(240)
async def test_a_rolling_update_of_each_service_fails_no_request_and_loses_no_message(
    own_system: System, own_phone: Phone, client: aiohttp.ClientSession
) -> None:
    for process in (own_system.gateway, own_system.auth, own_system.sms):
        process.stop()
    own_system.gateway.env["DRAIN_DELAY"] = "1"
    own_system.auth.env["DRAIN_DELAY"] = "5"  # longer than the gateway keeps idle connections
    auth = Replicas(own_system.auth, "AUTH_PORT")
    gateway = Replicas(own_system.gateway, "GATEWAY_PORT", "GATEWAY_OPS_PORT")
    sms = Replicas(own_system.sms, "SMS_PORT")
    for service in (auth, auth, sms, sms):
        await service.add()
    async with ServiceProxy(auth.probes) as inner:
        own_system.gateway.env["AUTH_URL"] = f"http://127.0.0.1:{inner.port}"
        for _ in range(2):
            await gateway.add()
        async with (
            ServiceProxy(gateway.probes, gateway.targets) as outer,
            Load(Api(client, f"http://127.0.0.1:{outer.port}")) as load,
        ):
            for service in (sms, auth, gateway):
                await asyncio.sleep(1)
                await service.replace_all()
    assert load.failures == []
    assert set(load.answers) == {("/login/", 400), ("/code/", 200)}, load.answers
    assert min(load.answers.values()) > 50
    await each_got_one_text(own_phone, load.mobiles)
    for service in (sms, gateway, auth):
        while service.running:
            await service.remove()


@pytest.mark.timeout(180)
async def test_one_worker_becomes_five_and_one_again_under_load(
    own_system: System, own_phone: Phone, client: aiohttp.ClientSession
) -> None:
    sms = Replicas(own_system.sms, "SMS_PORT")
    async with Load(Api(client, own_system.url)) as load:
        for _ in range(4):
            await sms.add()
        await asyncio.sleep(2)
        while sms.running:
            await sms.remove()
    assert load.failures == []
    assert set(load.answers) == {("/login/", 400), ("/code/", 200)}, load.answers
    await each_got_one_text(own_phone, load.mobiles)
