"""A provider that answers every code, hangs, cuts connections, and accepts without answering."""

from collections import Counter

import pytest

from services.sms.provider.yunpian.error_codes import RULES, ErrorClass
from shared.amqp.topology import DEAD_QUEUE
from tests.chaos.audit import audit
from tests.support.pipeline import LOOK_UP_AT_ONCE, Pipeline

LOSSES = [
    "accept_then_drop",
    "accept_then_reset",
    "accept_then_bad_gateway",
    "drop",
    "reset",
    "bad_gateway_html",
    "empty_503",
]
HANGS = ["accept_then_hang", "hang"]  # until the worker's timeout
# Each opens the circuit of the account for a while, longer each time.
OPENS_CIRCUIT = {ErrorClass.ACCOUNT_ERROR, ErrorClass.THROTTLED}


@pytest.mark.parametrize(
    ("settings", "faults"), [({}, LOSSES + HANGS), (LOOK_UP_AT_ONCE, LOSSES)], ids=["filter", "records"]
)
async def test_every_loss_of_an_answer_ends_with_one_text(
    pipeline: Pipeline, settings: dict[str, str], faults: list[str]
) -> None:
    messages = [pipeline.new_message() for _ in faults]
    for message, fault in zip(messages, faults, strict=True):
        await pipeline.provider.fault(fault=fault, mobile=message.mobile, times=1)
    await pipeline.ready_worker(SMS_CONCURRENCY="16", **settings)
    for message in messages:
        assert await pipeline.hand_over(message)
    await pipeline.reach(messages, "accepted", seconds=60)
    await pipeline.end_workers()
    audited = await audit(pipeline, messages)
    assert audited.places == {"accepted": len(messages)}
    assert set(audited.texts.values()) == {1}


async def test_repeatedly_lost_answers_send_one_text(pipeline: Pipeline) -> None:
    message = pipeline.new_message()
    await pipeline.provider.fault(fault="accept_then_drop", mobile=message.mobile, times=1)
    await pipeline.provider.fault(fault="drop", mobile=message.mobile, times=3)
    await pipeline.ready_worker(SMS_FILTER_WINDOW="2")
    await pipeline.hand_over(message)
    await pipeline.reach([message], "accepted")
    await pipeline.end_workers()
    assert (await audit(pipeline, [message])).most_texts == 1


async def test_every_code_of_a_message_ends_it_as_the_table_says(pipeline: Pipeline) -> None:
    codes = [code for code, rule in RULES.items() if code and rule.error_class not in OPENS_CIRCUIT]
    messages = {code: pipeline.new_message() for code in [*codes, 9999]}
    for code, message in messages.items():
        await pipeline.provider.fault(fault="code", code=code, mobile=message.mobile, times=1)
    await pipeline.ready_worker()
    for message in messages.values():
        await pipeline.hand_over(message)
    await pipeline.reach(list(messages.values()), "accepted", "limited", "failed")
    await pipeline.end_workers()
    audited = await audit(pipeline, list(messages.values()))
    expected = Counter(expected_end(RULES[code].error_class) for code in codes) + Counter(["accepted"])
    assert audited.places == expected
    assert audited.most_texts == 1
    # Refusals of a number are nobody's fault; the simulator words 2 and 11 as errors of ours.
    of_ours = {code for code in codes if RULES[code].error_class is ErrorClass.REQUEST_ERROR} | {2, 11}
    assert (await pipeline.depth(DEAD_QUEUE))[0] == len(of_ours) < expected["failed"]


def expected_end(error_class: ErrorClass) -> str:
    ends = {
        ErrorClass.NUMBER_LIMIT: "limited",
        ErrorClass.REJECTED: "failed",
        ErrorClass.REQUEST_ERROR: "failed",
    }
    return ends.get(error_class, "accepted")


@pytest.mark.parametrize("code", [5, 3, -4])
async def test_a_code_that_opens_the_circuit_keeps_every_message(pipeline: Pipeline, code: int) -> None:
    await pipeline.provider.fault(fault="code", code=code, times=1)
    await pipeline.ready_worker()
    messages = await pipeline.publish(20)
    await pipeline.reach(messages, "accepted", seconds=60)
    await pipeline.end_workers()
    audited = await audit(pipeline, messages)
    assert audited.places == {"accepted": 20}
    assert audited.most_texts == 1


async def test_while_the_breaker_is_open_messages_wait_in_the_queue(pipeline: Pipeline) -> None:
    await pipeline.provider.set_account(balance=0)
    await pipeline.ready_worker(SMS_CONCURRENCY="2")
    first = await pipeline.publish()
    await pipeline.reach(first, "reserved")
    await pipeline.until_logged('"prefetch": 0')
    later = await pipeline.publish(10)
    await pipeline.until_empty("sms.wait.500ms")
    audited = await audit(pipeline, first + later)
    assert audited.places == {"queued": 11}
    assert (await pipeline.depth())[1] == 0  # no consumer
    await pipeline.provider.set_account(balance=1000)
    await pipeline.reach(first + later, "accepted", seconds=90)
    await pipeline.end_workers()
    assert (await audit(pipeline, first + later)).most_texts == 1


async def test_a_message_that_is_never_accepted_expires_and_is_not_retried_after_that(
    pipeline: Pipeline,
) -> None:
    await pipeline.provider.fault(fault="code", code=-51)
    await pipeline.ready_worker()
    messages = await pipeline.publish(3, ttl=4)
    await pipeline.reach(messages, "expired")
    await pipeline.end_workers()
    assert (await audit(pipeline, messages)).places == {"expired": 3}
    answers = (await pipeline.provider.answers("first"))["-51"]
    assert 3 * 2 <= answers <= 3 * 8  # it was retried, with a delay each time
