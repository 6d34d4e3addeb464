"""Several accounts: which one sends, what halts one, and how it comes back, on a real Redis."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from structlog.testing import capture_logs

from deploy.local.ports import free_port
from services.sms.provider.base import Verdict
from services.sms.provider.circuit_breaker import Halts, Line
from shared.observability.metrics import ProviderMetrics
from tests.support.provider import (
    SECOND_KEY,
    OpenWorker,
    Simulator,
    announcements,
    outgoing,
    send,
    until,
)


async def test_the_first_account_sends(open_worker: OpenWorker) -> None:
    worker = await open_worker()

    assert (await send(worker)).account == "main"
    assert worker.provider.accounts == ("main", "backup")


@pytest.mark.parametrize("code", [3, 5, -1, -3, -4, -5, 28])
async def test_the_next_account_sends_where_the_first_certainly_did_not(
    open_worker: OpenWorker, simulator: Simulator, code: int
) -> None:
    await simulator.fault(fault="code", code=code, account="first")
    worker = await open_worker()
    announced: list[str] = []

    answer = await worker.provider.send(outgoing(), announcements(announced))

    assert (answer.verdict, answer.account) == (Verdict.ACCEPTED, "backup")
    assert announced == ["backup"]
    assert worker.breaker.closed


@pytest.mark.parametrize("code", [2, 8, 10, 20, 22, 33, 53, -50, -51, -53, 4711])
async def test_no_other_account_is_asked_about_the_message_itself(
    open_worker: OpenWorker, simulator: Simulator, code: int
) -> None:
    await simulator.fault(fault="code", code=code, account="first")
    worker = await open_worker()

    assert ((await send(worker)).code, await simulator.inbox()) == (str(code), [])


@pytest.mark.parametrize("kind", ["accept_then_drop", "accept_then_reset", "accept_then_bad_gateway", "drop"])
async def test_in_doubt_no_other_account_is_asked(
    open_worker: OpenWorker, simulator: Simulator, kind: str
) -> None:
    await simulator.fault(fault=kind, account="first")
    worker = await open_worker()

    assert (await send(worker)).verdict is Verdict.AMBIGUOUS
    assert {message["account"] for message in await simulator.inbox()} <= {"first"}


async def test_an_account_out_of_reach_is_passed_by_and_soon_not_even_tried(
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
    labels = {"account": "main", "channel": "sms", "code": "connect", "class": "R"}
    assert registry.get_sample_value("dialpass_sms_provider_answers_total", labels) == 5
    halted = {"account": "main", "channel": "sms", "code": "unreachable"}
    assert registry.get_sample_value("dialpass_sms_account_halted", halted) == 1


async def test_a_resend_goes_to_no_other_account(open_worker: OpenWorker, simulator: Simulator) -> None:
    worker = await open_worker()
    await simulator.fault(fault="code", code=3, account="second")

    answer = await worker.provider.send(outgoing(), announcements([]), only_account="backup")

    assert (answer.verdict, answer.account) == (Verdict.HALTED, "backup")
    assert await simulator.inbox() == []


async def test_all_accounts_halted_open_the_breaker_until_there_is_money_again(
    open_worker: OpenWorker, simulator: Simulator
) -> None:
    worker, other = await open_worker(), await open_worker()
    changes: list[bool] = []
    other.breaker.on_change(lambda: changes.append(other.breaker.closed))
    for account in ("first", "second"):
        await simulator.set_account(account, balance=0.0)

    with capture_logs() as logs:
        assert (await send(worker)).verdict is Verdict.HALTED
        assert not worker.breaker.closed
        assert worker.breaker.reason == "main: 3 balance too low; backup: 3 balance too low"
        await until(lambda: not other.breaker.closed)
        for account in ("first", "second"):
            await simulator.set_account(account, balance=100.0)
        await until(lambda: worker.breaker.closed and other.breaker.closed, 30)

    assert (await send(worker)).verdict is Verdict.ACCEPTED
    assert changes == [False, True]
    events = [(log["event"], log["account"]) for log in logs if log["event"].startswith("account_")]
    assert sorted(events)[:2] == [("account_halted", "backup"), ("account_halted", "main")]
    assert len(events) == len(set(events)), "one line for each change, whichever worker made it"


async def test_where_only_a_message_can_tell_one_is_tried(
    open_worker: OpenWorker, simulator: Simulator
) -> None:
    worker = await open_worker(yunpian_accounts="")
    await simulator.fault(fault="code", code=-5)
    assert (await send(worker)).verdict is Verdict.HALTED
    await until(lambda: worker.breaker.probing)

    first, second = await asyncio.gather(send(worker), send(worker))

    assert [first.code, second.code] == ["-5", "halted"]
    assert not worker.breaker.probing
    await simulator.heal()
    await until(lambda: worker.breaker.probing)
    assert (await send(worker)).verdict is Verdict.ACCEPTED
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


async def test_voice_that_is_not_switched_on_halts_no_text(
    open_worker: OpenWorker, simulator: Simulator
) -> None:
    await simulator.fault(fault="code", code=-11, endpoint="voice_send")
    worker = await open_worker()

    call = await send(worker, channel="voice")

    assert (call.verdict, call.code) == (Verdict.HALTED, "-11")
    assert worker.breaker.closed
    assert (await send(worker)).account == "main"


async def test_halts_are_forgotten_with_an_emptied_redis(
    open_worker: OpenWorker, simulator: Simulator, own_redis: Redis
) -> None:
    worker = await open_worker(yunpian_accounts="")
    await simulator.fault(fault="code", code=5, times=1)
    await send(worker)
    await until(lambda: not worker.breaker.closed)

    await own_redis.flushdb()

    await until(lambda: worker.breaker.closed, 10)
    assert (await send(worker)).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize(("tries", "seconds"), [(0, 1), (3, 8), (40, 60)])
async def test_a_line_that_halts_again_is_probed_later_but_within_a_minute(
    own_redis: Redis, tries: int, seconds: int
) -> None:
    line = Line("main", "sms")
    halts = Halts(own_redis, [line], ProviderMetrics(CollectorRegistry()))
    await own_redis.delete(line.key)
    await own_redis.hset(line.key, mapping={"halted": 0, "tries": tries})

    await halts.halt(line, "5")

    now = (await own_redis.time())[0]
    probe_at = int(await own_redis.hget(line.key, "probe_at") or 0) / 1000
    assert probe_at == pytest.approx(now + seconds, abs=2)
    assert not await halts.take_probe(line)
    await own_redis.delete(line.key)
