"""Failover between accounts: which one sends, and what opens and closes circuits, on a real Redis."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from structlog.testing import capture_logs

from deploy.local.ports import free_port
from services.sms.provider.base import SendStatus
from services.sms.provider.circuit_breaker import AccountChannel, AccountCircuits
from shared.observability.metrics import ProviderMetrics
from tests.support.provider import (
    SECOND_KEY,
    OpenWorker,
    Simulator,
    keep,
    outgoing,
    send,
    until,
)


async def test_the_first_account_sends(open_worker: OpenWorker) -> None:
    worker = await open_worker()

    assert (await send(worker)).account == "main"
    assert worker.provider.accounts == ("main", "backup")


@pytest.mark.parametrize("code", [3, 5, -1, -3, -4, -5, 28])
async def test_the_next_account_sends_if_the_first_certainly_did_not(
    open_worker: OpenWorker, simulator: Simulator, code: int
) -> None:
    await simulator.fault(fault="code", code=code, account="first")
    worker = await open_worker()
    failovers: list[str] = []

    answer = await worker.provider.send(outgoing(), keep(failovers))

    assert (answer.status, answer.account) == (SendStatus.ACCEPTED, "backup")
    assert failovers == ["backup"]
    assert worker.breaker.closed


@pytest.mark.parametrize("code", [2, 8, 10, 20, 22, 33, 53, -50, -51, -53, 4711])
async def test_a_refusal_of_the_message_itself_calls_no_other_account(
    open_worker: OpenWorker, simulator: Simulator, code: int
) -> None:
    await simulator.fault(fault="code", code=code, account="first")
    worker = await open_worker()

    assert ((await send(worker)).code, await simulator.inbox()) == (str(code), [])


@pytest.mark.parametrize("kind", ["accept_then_drop", "accept_then_reset", "accept_then_bad_gateway", "drop"])
async def test_after_an_unknown_outcome_no_other_account_is_called(
    open_worker: OpenWorker, simulator: Simulator, kind: str
) -> None:
    await simulator.fault(fault=kind, account="first")
    worker = await open_worker()

    assert (await send(worker)).status is SendStatus.UNKNOWN
    assert {message["account"] for message in await simulator.inbox()} <= {"first"}


async def test_an_unreachable_account_is_skipped_and_soon_not_called(
    open_worker: OpenWorker, simulator: Simulator
) -> None:
    key_and_url = f"backup={SECOND_KEY}@{simulator.url}"
    registry = CollectorRegistry()
    worker = await open_worker(
        registry,
        yunpian_base_url=f"http://127.0.0.1:{free_port()}",
        yunpian_accounts=key_and_url,
    )

    answers = [await send(worker) for _ in range(8)]

    assert {answer.account for answer in answers} == {"backup"}
    labels = {"account": "main", "channel": "sms", "code": "connect", "class": "retry"}
    assert registry.get_sample_value("dialpass_sms_provider_answers_total", labels) == 5
    halted = {"account": "main", "channel": "sms", "destination": "all", "code": "unreachable"}
    assert registry.get_sample_value("dialpass_sms_account_halted", halted) == 1


async def test_a_retry_bound_to_an_account_goes_to_no_other(
    open_worker: OpenWorker, simulator: Simulator
) -> None:
    worker = await open_worker()
    await simulator.fault(fault="code", code=3, account="second")

    answer = await worker.provider.send(outgoing(), keep([]), only_account="backup")

    assert (answer.status, answer.account) == (SendStatus.DEFERRED, "backup")
    assert await simulator.inbox() == []


async def test_open_circuits_of_all_accounts_open_the_breaker_until_there_is_money_again(
    open_worker: OpenWorker, simulator: Simulator
) -> None:
    worker, other = await open_worker(), await open_worker()
    changes: list[bool] = []
    other.breaker.on_change(lambda: changes.append(other.breaker.closed))
    for account in ("first", "second"):
        await simulator.set_account(account, balance=0.0)

    with capture_logs() as logs:
        assert (await send(worker)).status is SendStatus.DEFERRED
        assert not worker.breaker.closed
        assert worker.breaker.reason == "main: 3 balance too low; backup: 3 balance too low"
        await until(lambda: not other.breaker.closed)
        for account in ("first", "second"):
            await simulator.set_account(account, balance=100.0)
        await until(lambda: worker.breaker.closed and other.breaker.closed, 30)

    assert (await send(worker)).status is SendStatus.ACCEPTED
    assert changes == [False, True]
    events = [(log["event"], log["account"]) for log in logs if log["event"].startswith("account_")]
    assert sorted(events)[:2] == [("account_halted", "backup"), ("account_halted", "main")]
    assert len(events) == len(set(events)), "one line for each change, whichever worker made it"


async def test_a_circuit_that_only_a_message_can_probe_lets_one_through(
    open_worker: OpenWorker, simulator: Simulator
) -> None:
    worker = await open_worker(yunpian_accounts="")
    await simulator.fault(fault="code", code=-5)
    assert (await send(worker)).status is SendStatus.DEFERRED
    await until(lambda: worker.breaker.half_open)

    first, second = await asyncio.gather(send(worker), send(worker))

    assert [first.code, second.code] == ["-5", "halted"]
    assert not worker.breaker.half_open
    await simulator.heal()
    await until(lambda: worker.breaker.half_open)
    assert (await send(worker)).status is SendStatus.ACCEPTED
    assert worker.breaker.closed


async def test_one_of_many_workers_probes(open_worker: OpenWorker, simulator: Simulator) -> None:
    workers = [await open_worker(yunpian_accounts="") for _ in range(5)]
    await simulator.set_account("first", ip_whitelist=["192.0.2.1"])
    await send(workers[0])
    await until(lambda: all(not worker.breaker.closed for worker in workers))
    asked_before = await simulator.answers("first")

    await asyncio.sleep(4)

    # After one second, two and four: not five times as often.
    assert (await simulator.answers("first"))["-3"] - asked_before["-3"] <= 3


async def test_disabled_voice_calls_do_not_stop_texts(open_worker: OpenWorker, simulator: Simulator) -> None:
    await simulator.fault(fault="code", code=-11, endpoint="voice_send")
    worker = await open_worker()

    call = await send(worker, channel="voice")

    assert (call.status, call.code) == (SendStatus.DEFERRED, "-11")
    assert worker.breaker.closed
    assert (await send(worker)).account == "main"


async def test_an_emptied_redis_closes_all_circuits(
    open_worker: OpenWorker, simulator: Simulator, own_redis: Redis
) -> None:
    worker = await open_worker(yunpian_accounts="")
    await simulator.fault(fault="code", code=5, times=1)
    await send(worker)
    await until(lambda: not worker.breaker.closed)

    await own_redis.flushdb()

    await until(lambda: worker.breaker.closed, 10)
    assert (await send(worker)).status is SendStatus.ACCEPTED


@pytest.mark.parametrize(("tries", "seconds"), [(0, 1), (3, 8), (40, 60)])
async def test_a_circuit_that_opens_again_is_probed_later_but_within_a_minute(
    own_redis: Redis, tries: int, seconds: int
) -> None:
    channel = AccountChannel("main", "sms")
    circuits = AccountCircuits(own_redis, [channel], ProviderMetrics(CollectorRegistry()))
    await own_redis.delete(channel.key)
    await own_redis.hset(channel.key, mapping={"halted": 0, "tries": tries})

    await circuits.open(channel, "5")

    now = (await own_redis.time())[0]
    probe_at = int(await own_redis.hget(channel.key, "probe_at") or 0) / 1000
    assert probe_at == pytest.approx(now + seconds, abs=2)
    assert not await circuits.take_probe(channel)
    await own_redis.delete(channel.key)
