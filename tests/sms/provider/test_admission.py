"""The spend cap and the send budget in front of the accounts, on a real Redis."""

import asyncio
import time
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from services.sms.provider.base import Verdict
from tests.support.provider import OpenWorker, Simulator, send, until


async def test_the_spend_cap_closes_the_tap_for_all_workers_until_the_next_day(
    open_worker: OpenWorker, simulator: Simulator, own_redis: Redis
) -> None:
    registry = CollectorRegistry()
    cap = {"sms_daily_spend_cap": "0.15"}
    worker, other = await open_worker(registry, **cap), await open_worker(**cap)

    answers = [await send(worker) for _ in range(4)]

    assert [answer.code for answer in answers] == ["0", "0", "0", "spend cap"]
    assert answers[-1].verdict is Verdict.HALTED
    assert worker.breaker.reason == "the daily spend cap of 0.15 RMB is reached"
    await until(lambda: not other.breaker.closed)
    assert registry.get_sample_value("dialpass_sms_breaker_open") == 1
    yesterday = int(await own_redis.hget("sms:spend", "day") or 0) - 1
    deadline = time.monotonic() + 20
    while not (worker.breaker.closed and other.breaker.closed):
        assert time.monotonic() < deadline
        for one in (worker, other):  # neither knows of money that was spent today
            one.watch._spend._known = (yesterday, 0)
        await own_redis.hset("sms:spend", "day", str(yesterday))
        await asyncio.sleep(0.05)
    assert (await send(other)).verdict is Verdict.ACCEPTED
    assert len(await simulator.inbox()) == 4


async def test_a_refused_message_costs_nothing_and_one_in_doubt_its_price(
    open_worker: OpenWorker, simulator: Simulator, own_redis: Redis
) -> None:
    worker = await open_worker(sms_daily_spend_cap="1")
    await simulator.fault(fault="code", code=10, times=1)
    await simulator.fault(fault="accept_then_drop", times=1)

    refused, in_doubt = [await send(worker) for _ in range(2)]

    assert (refused.verdict, in_doubt.verdict) == (Verdict.PERMANENT, Verdict.AMBIGUOUS)
    deadline = time.monotonic() + 20
    while await own_redis.hmget("sms:spend", ["spent", "held"]) != [b"500", b"0"]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_a_call_in_vain_takes_a_slot_too(open_worker: OpenWorker, simulator: Simulator) -> None:
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
    assert {answer.verdict for answer in late} == {Verdict.HALTED}
    assert len(await simulator.inbox()) == len(answers) - len(late)
    assert worker.breaker.closed


async def test_a_code_that_expired_while_it_waited_is_not_sent(
    open_worker: OpenWorker, simulator: Simulator
) -> None:
    worker = await open_worker()

    answer = await send(worker, life=timedelta(0))

    assert (answer.verdict, answer.code) == (Verdict.HALTED, "expired")
    assert await simulator.inbox() == []
