"""What one destination or one message is refused for halts no other, on a real Redis and the simulator."""

import asyncio
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from structlog.testing import capture_logs

from services.sms.provider.base import Answer, SendStatus
from services.sms.provider.circuit_breaker import AccountChannel
from services.sms.provider.setup import ProviderParts
from tests.support.provider import OpenWorker, Simulator, keep, outgoing, send, until

HOME, FOREIGN = "13800000000", "+447400123456"
# What may be true of foreign or of home numbers alone.
OF_DESTINATION = [3, 5, 7, 15, 16, 18, 27, 34, 60, -2, -11, -57, -62]
OF_ACCOUNT = [-1, -3, -4, -5, 55]


@pytest.fixture
async def worker(open_worker: OpenWorker, simulator: Simulator) -> ProviderParts:
    """A worker with one account, for which every text is approved."""
    return await open_worker(yunpian_accounts="")


async def refuse(simulator: Simulator, code: int, **rule: Any) -> None:
    await simulator.fault(fault="code", code=code, **rule)


@pytest.mark.parametrize("code", OF_DESTINATION)
@pytest.mark.parametrize(("refused", "sent"), [(FOREIGN, HOME), (HOME, FOREIGN)])
async def test_a_refusal_of_one_destination_leaves_the_other_open(
    worker: ProviderParts, simulator: Simulator, code: int, refused: str, sent: str
) -> None:
    await refuse(simulator, code, foreign=refused == FOREIGN)
    assert (await send(worker, mobile=refused)).status is SendStatus.DEFERRED

    calls = (await simulator.answers("first")).total()
    assert (await send(worker, mobile=refused, message_id="second")).code == "halted"
    assert (await simulator.answers("first")).total() == calls, "no call"
    await refuse(simulator, 10, mobile=sent)  # an answer about the number, not the account
    assert (await send(worker, mobile=sent, message_id="third")).code == "10"


@pytest.mark.parametrize("code", OF_ACCOUNT)
async def test_a_refusal_of_the_account_halts_all_destinations(
    worker: ProviderParts, simulator: Simulator, code: int
) -> None:
    await refuse(simulator, code, foreign=True)
    await send(worker, mobile=FOREIGN)

    assert (await send(worker, mobile=HOME)).code == "halted"


async def test_texts_at_home_are_consumed_while_foreign_ones_are_halted(
    worker: ProviderParts, simulator: Simulator
) -> None:
    await refuse(simulator, 5, foreign=True)
    await send(worker, mobile=FOREIGN)
    assert worker.breaker.closed

    await refuse(simulator, 5, foreign=False)
    await send(worker, mobile=HOME)
    assert worker.breaker.reason == "main: 5 no matching template"


async def test_foreign_texts_that_are_never_asked_for_do_not_keep_the_breaker_closed(
    worker: ProviderParts, simulator: Simulator
) -> None:
    await refuse(simulator, 27)
    await send(worker, mobile=HOME)

    assert not worker.breaker.closed


async def test_the_metric_names_the_destination(open_worker: OpenWorker, simulator: Simulator) -> None:
    registry = CollectorRegistry()
    worker = await open_worker(registry, yunpian_accounts="")
    await refuse(simulator, 5, foreign=True)
    with capture_logs() as logs:
        await send(worker, mobile=FOREIGN)

    labels = {"account": "main", "channel": "sms", "destination": "foreign", "code": "5"}
    assert registry.get_sample_value("dialpass_sms_account_halted", labels) == 1
    halted = [line for line in logs if line["event"] == "account_halted"]
    assert [(line["destination"], line["detail"]) for line in halted] == [
        ("foreign", "未自动匹配到合适的模板")
    ]


async def halted_by(worker: ProviderParts, simulator: Simulator, code: int) -> Answer:
    """Have one message halt home, and another one open it again."""
    await refuse(simulator, code, mobile=HOME)
    answer = await send(worker, mobile=HOME)
    assert answer.halted == {"main"}
    await reopen(worker)
    return answer


async def reopen(worker: ProviderParts) -> None:
    await until(lambda: worker.breaker.half_open or worker.breaker.closed)
    assert (await send(worker, mobile="13900000000", message_id="other")).status is SendStatus.ACCEPTED
    assert worker.breaker.closed


async def test_a_message_halts_an_account_once_and_is_rejected_for_its_template_then(
    worker: ProviderParts, simulator: Simulator
) -> None:
    first = await halted_by(worker, simulator, 5)

    with capture_logs() as logs:
        second = await send(worker, mobile=HOME, halted=first.halted)

    assert (second.status, second.code, second.of_number) == (SendStatus.REJECTED, "5", False)
    assert worker.breaker.closed
    assert [(line["event"], line["provider_code"]) for line in logs] == [("provider_refused", 5)]


@pytest.mark.parametrize("code", [27, -2, 3, 15])
async def test_a_message_that_is_refused_alone_for_another_reason_waits(
    worker: ProviderParts, simulator: Simulator, code: int
) -> None:
    first = await halted_by(worker, simulator, code)

    second = await send(worker, mobile=HOME, halted=first.halted)

    assert (second.status, second.code) == (SendStatus.RETRY, str(code))
    assert worker.breaker.closed


async def test_another_worker_that_does_not_know_of_the_halt_yet_does_not_reject_the_message(
    worker: ProviderParts, open_worker: OpenWorker, simulator: Simulator
) -> None:
    await refuse(simulator, 5)
    first = await send(worker, mobile=HOME)
    await asyncio.sleep(0)

    late = await open_worker(yunpian_accounts="")  # it has not refreshed yet
    second = await send(late, mobile=HOME, halted=first.halted)

    assert second.status is SendStatus.DEFERRED


async def test_a_message_that_has_halted_the_account_leaves_the_probe_to_another(
    worker: ProviderParts, simulator: Simulator
) -> None:
    await refuse(simulator, 5, mobile=HOME)
    first = await send(worker, mobile=HOME)
    await until(lambda: worker.breaker.half_open)

    assert (await send(worker, mobile=HOME, halted=first.halted)).code == "halted"
    assert worker.breaker.half_open
    await simulator.heal()
    await asyncio.sleep(3.2)  # nobody else has come
    assert (await send(worker, mobile=HOME, halted=first.halted)).status is SendStatus.ACCEPTED


async def test_a_rejected_template_is_tried_by_the_next_account(
    open_worker: OpenWorker, simulator: Simulator
) -> None:
    worker = await open_worker()
    await refuse(simulator, 5, account="first")

    answer = await worker.provider.send(outgoing(halted=frozenset({"main"})), keep([]))

    assert (answer.status, answer.account) == (SendStatus.ACCEPTED, "backup")


async def test_the_halt_of_a_worker_of_the_version_before_is_seen_and_ended(
    worker: ProviderParts, simulator: Simulator, own_redis: Redis
) -> None:
    old: dict[Any, Any] = {"halted": "1", "by": "old", "code": "5", "probe_at": "1"}
    await own_redis.hset("sms:halt:main:sms", mapping=old)
    assert AccountChannel("main", "sms").key == "sms:halt:main:sms"
    await until(lambda: not worker.breaker.closed)
    assert (await send(worker, mobile="13700000000")).code in {"halted", "0"}
    await until(lambda: worker.breaker.half_open or worker.breaker.closed)

    # Foreign numbers have no template. The probe finds out that it is only they.
    await refuse(simulator, 5, foreign=True)
    if worker.breaker.half_open:
        assert (await send(worker, mobile=FOREIGN)).code == "5"

    assert worker.breaker.closed
    assert (await send(worker, mobile=HOME)).status is SendStatus.ACCEPTED


async def calls_in(worker: ProviderParts, simulator: Simulator, seconds: float) -> int:
    """Keep sending, and return how many calls were made."""
    before = (await simulator.answers("first")).total()
    deadline = asyncio.get_running_loop().time() + seconds
    number = 0
    while asyncio.get_running_loop().time() < deadline:
        number += 1
        await asyncio.gather(*(send(worker, mobile=HOME, message_id=f"{number}-{one}") for one in range(8)))
        await asyncio.sleep(0.05)
    return (await simulator.answers("first")).total() - before


@pytest.mark.parametrize("code", [27, -2, 3])
async def test_an_account_whose_state_shows_nothing_is_probed_less_and_less(
    worker: ProviderParts, simulator: Simulator, code: int
) -> None:
    # `user/get` says that all is well, money included.
    await refuse(simulator, code)
    await send(worker, mobile=HOME)

    # After 1, 2 and 4 seconds; 3 is asked for by `user/get`, too, and may be wrong once.
    assert await calls_in(worker, simulator, 8) <= (20 if code == 3 else 4)


async def test_a_voice_host_that_is_down_is_not_probed_at_the_host_of_texts(
    open_worker: OpenWorker, simulator: Simulator
) -> None:
    worker = await open_worker(yunpian_accounts="", yunpian_voice_base_url="http://127.0.0.1:9")
    for number in range(5):
        await send(worker, channel="voice", message_id=str(number))
    await asyncio.sleep(4)

    codes = [(await send(worker, channel="voice", message_id=f"later {number}")).code for number in range(3)]
    assert codes.count("connect") <= 1, "one probes, and finds it down"
    assert "halted" in codes
