"""The spend cap and the rate limit in front of the accounts, on a real Redis."""

import asyncio
import time
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from services.sms.provider.base import SendStatus
from tests.support.provider import OpenWorker, Simulator, keep, outgoing, send, until


async def test_the_spend_cap_stops_all_workers(
    open_worker: OpenWorker, simulator: Simulator, own_redis: Redis
) -> None:
    registry = CollectorRegistry()
    cap = {"sms_daily_spend_cap": "0.15"}
    worker, other = await open_worker(registry, **cap), await open_worker(**cap)

    answers = [await send(worker) for _ in range(4)]

    assert [answer.code for answer in answers] == ["0", "0", "0", "spend cap"]
    assert answers[-1].status is SendStatus.DEFERRED
    assert worker.breaker.reason == "the daily spend cap of 0.15 RMB is reached"
    await until(lambda: not other.breaker.closed)
    assert registry.get_sample_value("dialpass_sms_breaker_open") == 1
    assert len(await simulator.inbox()) == 3


async def test_all_workers_send_again_the_next_day(
    open_worker: OpenWorker, simulator: Simulator, own_redis: Redis
) -> None:
    workers = [await open_worker(sms_daily_spend_cap="0.15") for _ in range(2)]
    # The reservations of a worker that died, today.
    await until_hash(own_redis, "day")
    await own_redis.hset("sms:spend", "held", "1500")
    await until(lambda: not any(worker.breaker.closed for worker in workers))

    await own_redis.hset("sms:spend", "day", str(int(await own_redis.hget("sms:spend", "day") or 0) - 1))

    await until(lambda: all(worker.breaker.closed for worker in workers))
    assert (await send(workers[1])).status is SendStatus.ACCEPTED
    assert len(await simulator.inbox()) == 1


async def until_hash(redis: Redis, field: str) -> None:
    async with asyncio.timeout(20):
        while not await redis.hexists("sms:spend", field):  # noqa: ASYNC110 - workers write it
            await asyncio.sleep(0.05)


async def test_a_refused_message_costs_nothing_and_an_unknown_outcome_its_price(
    open_worker: OpenWorker, simulator: Simulator, own_redis: Redis
) -> None:
    worker = await open_worker(sms_daily_spend_cap="1")
    await simulator.fault(fault="code", code=10, times=1)
    await simulator.fault(fault="accept_then_drop", times=1)

    refused, unknown = [await send(worker) for _ in range(2)]

    assert (refused.status, unknown.status) == (SendStatus.REJECTED, SendStatus.UNKNOWN)
    deadline = time.monotonic() + 20
    while await own_redis.hmget("sms:spend", ["spent", "held"]) != [b"500", b"0"]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_a_refused_call_takes_a_slot_too(open_worker: OpenWorker, simulator: Simulator) -> None:
    await simulator.fault(fault="code", code=3, account="first")
    worker = await open_worker(sms_rate_limit="1/s")

    await asyncio.gather(*(send(worker) for _ in range(3)))

    sent_at = [datetime.fromisoformat(message["at"]) for message in await simulator.inbox()]
    assert len(sent_at) == 3
    assert sent_at[-1] - sent_at[0] > timedelta(seconds=1.5)


async def test_a_message_that_gets_no_slot_in_time_waits_in_the_queue(
    open_worker: OpenWorker, simulator: Simulator
) -> None:
    worker = await open_worker(sms_rate_limit="1/s")

    answers = await asyncio.gather(*(send(worker) for _ in range(12)))

    late = [answer for answer in answers if answer.code == "send budget"]
    assert late
    assert {answer.status for answer in late} == {SendStatus.DEFERRED}
    assert len(await simulator.inbox()) == len(answers) - len(late)
    assert worker.breaker.closed


async def test_a_code_that_expired_while_it_waited_is_not_sent(
    open_worker: OpenWorker, simulator: Simulator
) -> None:
    worker = await open_worker()

    answer = await send(worker, life=timedelta(0))

    assert (answer.status, answer.code) == (SendStatus.DEFERRED, "expired")
    assert await simulator.inbox() == []


async def test_without_a_rate_limit_no_message_waits(
    open_worker: OpenWorker, simulator: Simulator, own_redis: Redis
) -> None:
    registry = CollectorRegistry()
    worker = await open_worker(registry, sms_rate_limit="none")

    answers = await asyncio.gather(*(send(worker) for _ in range(200)))

    assert {answer.status for answer in answers} == {SendStatus.ACCEPTED}
    assert registry.get_sample_value("dialpass_sms_budget_wait_seconds_count") == 0
    assert not await own_redis.exists("sms:budget")


async def test_repeated_unknown_outcomes_of_a_message_cost_its_price_once(
    open_worker: OpenWorker, simulator: Simulator, own_redis: Redis
) -> None:
    worker = await open_worker(sms_daily_spend_cap="1")
    await simulator.fault(fault="code", code=-51)

    await send(worker)
    for _ in range(4):
        await worker.provider.send(outgoing(), keep([]), only_account="main")

    async with asyncio.timeout(20):
        while await own_redis.hmget("sms:spend", ["spent", "held"]) != [b"500", b"0"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await asyncio.sleep(1.5)
    assert await own_redis.hmget("sms:spend", ["spent", "held"]) == [b"500", b"0"]
