"""Pulling status reports from the simulator into a real Redis."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from functools import partial

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from deploy.local.servers import Servers
from services.sms.delivery.repository import MessageRepository
from services.sms.provider.setup import open_accounts
from services.sms.provider.yunpian.client import QueryFailed, YunpianClient
from services.sms.provider.yunpian.transport import new_session
from services.sms.reports.poller import LOCK_KEY, ReportPoller, Source
from services.sms.reports.service import ReportService
from shared.clock import now
from shared.contracts.messages import Channel
from shared.observability.metrics import ProviderMetrics, ReportMetrics
from tests.support.client import eventually
from tests.support.provider import Simulator, outgoing, provider_settings, running_simulator
from tests.support.sms_delivery import acceptance

CHANNELS: tuple[Channel, ...] = ("sms", "voice")
PUSHED = {"sid": 1, "report_status": "SUCCESS", "user_receive_time": None}


@pytest.fixture
async def simulator(session: aiohttp.ClientSession) -> AsyncIterator[Simulator]:
    async with running_simulator(session) as simulator:
        async with session.post(f"{simulator.url}/_outcomes", json={"delay": 0}) as response:
            assert response.status == 201
        yield simulator


@pytest.fixture
async def accounts(simulator: Simulator) -> AsyncIterator[list[YunpianClient]]:
    async with new_session() as session:
        yield open_accounts(provider_settings(simulator.url), session, ProviderMetrics(CollectorRegistry()))


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def repository(redis: Redis) -> MessageRepository:
    return MessageRepository(redis)


@pytest.fixture(autouse=True)
async def free_lock(redis: Redis) -> None:
    await redis.delete(LOCK_KEY)


def make_poller(redis: Redis, registry: CollectorRegistry, *sources: Source) -> ReportPoller:
    metrics = ReportMetrics(registry)
    service = ReportService(MessageRepository(redis), metrics, now)
    return ReportPoller(sources, redis, service, 0.05, metrics)


class Pulls:
    """A source without reports, whose pulls are counted."""

    count = 0

    async def pull(self, _limit: int) -> object:
        self.count += 1
        return []


async def state(repository: MessageRepository, message_id: str) -> str:
    return (await repository.fields(message_id))["state"]


async def reaches(repository: MessageRepository, message_id: str, wanted: str) -> None:
    deadline = time.monotonic() + 20
    while (seen := await state(repository, message_id)) != wanted:
        assert time.monotonic() < deadline, f"still {seen}"
        await asyncio.sleep(0.05)


async def test_reports_of_each_account_and_channel_are_pulled(
    redis: Redis, registry: CollectorRegistry, repository: MessageRepository, accounts: list[YunpianClient]
) -> None:
    poller = make_poller(
        redis,
        registry,
        *(Source(one.name, partial(one.pull_reports, channel)) for one in accounts for channel in CHANNELS),
    )
    messages = []
    for number in range(30):
        account, channel = accounts[number % 2], CHANNELS[number // 2 % 2]
        answer = await account.send(outgoing(f"137{number:08}", channel))
        messages.append(secrets.token_hex(16))
        await repository.record_acceptance(messages[-1], acceptance(answer.sid, account.name))
    poller.start()
    for message_id in messages:
        await reaches(repository, message_id, "delivered")
    await poller.close()
    assert registry.get_sample_value("dialpass_sms_reports_total", {"effect": "applied"}) == 30


async def test_one_worker_pulls_at_a_time_and_the_next_takes_over_when_it_stops(redis: Redis) -> None:
    running, most = 0, 0
    pulls = [0, 0]

    async def pull(worker: int, _limit: int) -> object:
        nonlocal running, most
        running, pulls[worker] = running + 1, pulls[worker] + 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        return []

    pollers = [
        make_poller(redis, CollectorRegistry(), Source("main", partial(pull, worker))) for worker in (0, 1)
    ]
    pollers[0].start()
    await eventually(lambda: pulls[0] > 3)
    pollers[1].start()
    await asyncio.sleep(0.5)
    assert pulls[1] == 0
    pollers[0].stop()
    await eventually(lambda: pulls[1] > 3, seconds=5)
    for poller in pollers:
        await poller.close()
    assert most == 1


async def test_a_page_is_held_until_redis_is_available(
    redis: Redis, registry: CollectorRegistry, repository: MessageRepository, servers: Servers
) -> None:
    sid, message_id = str(secrets.randbits(48)), secrets.token_hex(16)
    await repository.record_acceptance(message_id, acceptance(sid))
    handed_out = asyncio.Event()

    async def pull(_limit: int) -> object:
        if handed_out.is_set():
            return []
        handed_out.set()
        servers.redis.pause()
        return [PUSHED | {"sid": sid}]

    poller = make_poller(redis, registry, Source("main", pull))
    poller.start()
    await handed_out.wait()
    try:
        poller.stop()  # as a stopping worker does
        await asyncio.sleep(1.5)
        assert poller.in_flight() == 1
    finally:
        servers.redis.resume()
    await reaches(repository, message_id, "delivered")
    await eventually(lambda: poller.in_flight() == 0)
    await poller.close()


async def test_nothing_is_pulled_without_redis(
    redis: Redis, registry: CollectorRegistry, servers: Servers
) -> None:
    pulls = Pulls()

    servers.redis.pause()
    try:
        poller = make_poller(redis, registry, Source("main", pulls.pull))
        poller.start()
        failed = partial(registry.get_sample_value, "dialpass_sms_report_pulls_total", {"outcome": "failed"})
        await eventually(lambda: bool(failed()))
        assert pulls.count == 0
    finally:
        servers.redis.resume()
    await eventually(lambda: pulls.count > 0)
    await poller.close()


@pytest.mark.parametrize("problem", ["refused", "garbage"])
async def test_a_failed_pull_is_counted_and_retried(
    redis: Redis, registry: CollectorRegistry, problem: str
) -> None:
    tries = 0

    async def pull(_limit: int) -> object:
        nonlocal tries
        tries += 1
        if tries > 2:
            return []
        if problem == "garbage":
            return {"code": 0}
        raise QueryFailed("-11", answered=True)

    poller = make_poller(redis, registry, Source("main", pull))
    poller.start()
    await eventually(lambda: tries > 2)
    await poller.close()
    assert registry.get_sample_value("dialpass_sms_report_pulls_total", {"outcome": "failed"}) == 2


async def test_the_lock_outlives_its_holder_by_half_a_minute(redis: Redis) -> None:
    pulls = Pulls()

    poller = make_poller(redis, CollectorRegistry(), Source("main", pulls.pull))
    poller.start()
    await eventually(lambda: pulls.count > 0)
    assert await redis.pttl(LOCK_KEY) > 25_000
    await poller.close()
    assert not await redis.exists(LOCK_KEY)


async def test_a_lock_that_another_worker_holds_is_neither_used_nor_released(redis: Redis) -> None:
    pulls = Pulls()

    poller = make_poller(redis, CollectorRegistry(), Source("main", pulls.pull))
    poller.start()
    await eventually(lambda: pulls.count > 0)
    await redis.set(LOCK_KEY, "another", px=30_000)  # it expired, and another worker took it
    await asyncio.sleep(0.2)
    before = pulls.count
    await asyncio.sleep(0.5)
    assert pulls.count == before
    await poller.close()
    assert await redis.get(LOCK_KEY) == b"another"


async def test_an_acquisition_whose_answer_was_lost_is_not_waited_out(
    redis: Redis, registry: CollectorRegistry, servers: Servers
) -> None:
    pulls = Pulls()

    poller = make_poller(redis, registry, Source("main", pulls.pull))
    servers.redis.pause()  # once resumed, it executes the acquisition, whose caller has timed out
    try:
        poller.start()
        failed = partial(registry.get_sample_value, "dialpass_sms_report_pulls_total", {"outcome": "failed"})
        await eventually(lambda: bool(failed()))
    finally:
        servers.redis.resume()
    await eventually(lambda: pulls.count > 0)
    await poller.close()


@pytest.mark.parametrize("problem", ["refused", "garbage", "no answer"])
async def test_one_source_that_fails_does_not_starve_the_others(
    redis: Redis, registry: CollectorRegistry, repository: MessageRepository, problem: str
) -> None:
    sids = [str(secrets.randbits(48)) for _ in range(3)]
    messages = [secrets.token_hex(16) for _ in sids]
    for sid, message_id in zip(sids, messages, strict=True):
        await repository.record_acceptance(message_id, acceptance(sid))

    async def fail(_limit: int) -> object:
        if problem == "no answer":
            await asyncio.sleep(3600)
        if problem == "garbage":
            return {"code": 0}
        raise QueryFailed("-11", answered=True)

    async def pull(_limit: int) -> object:
        return [PUSHED | {"sid": sids.pop()}] if sids else []

    sources = [Source("main", fail, "voice"), Source("main", pull, "sms"), Source("backup", fail, "sms")]
    poller = make_poller(redis, registry, *sources)
    poller.start()
    for message_id in messages:
        await reaches(repository, message_id, "delivered")
    await poller.close()


async def test_an_account_without_calls_still_has_its_texts_reported(
    redis: Redis,
    registry: CollectorRegistry,
    repository: MessageRepository,
    accounts: list[YunpianClient],
    simulator: Simulator,
) -> None:
    await simulator.fault(fault="code", code=-11, endpoint="pull_status", channel="voice")
    await simulator.fault(fault="code", code=-2, endpoint="pull_status", account="first")
    backup = accounts[1]
    poller = make_poller(
        redis,
        registry,
        *(Source(one.name, partial(one.pull_reports, channel)) for one in accounts for channel in CHANNELS),
    )
    poller.start()
    failed = partial(registry.get_sample_value, "dialpass_sms_report_pulls_total", {"outcome": "failed"})
    await eventually(lambda: (failed() or 0) >= 3)
    answer = await backup.send(outgoing())
    message_id = secrets.token_hex(16)
    await repository.record_acceptance(message_id, acceptance(answer.sid, "backup"))
    await reaches(repository, message_id, "delivered")
    await poller.close()
