"""Real workers and a provider whose records, reports and templates are as real accounts have them."""

import asyncio
from typing import Any

import pytest

from services.sms.delivery.models import AttemptHistory
from services.sms.messaging.headers import retry_headers
from shared.amqp.topology import DEAD_QUEUE
from shared.contracts.messages import SendCode
from tests.chaos.audit import audit
from tests.support.clock import NOW
from tests.support.pipeline import LOOK_UP_AT_ONCE, Pipeline

# Reports are pulled; the records lag behind them by far.
PULLED = {"SMS_REPORTS": "pull", "SMS_PULL_INTERVAL": "0.2", **LOOK_UP_AT_ONCE, "SMS_RECORD_LAG": "3"}


def foreign(message: SendCode) -> SendCode:
    return message.model_copy(update={"mobile": f"+4474{message.mobile[-8:]}"})


async def test_foreign_numbers_without_a_template_leave_texts_at_home_alone(pipeline: Pipeline) -> None:
    await pipeline.ready_worker(SMS_FOREIGN_TEMPLATE="您的验证码是{code}。如非本人操作，请忽略本短信")
    abroad = [foreign(pipeline.new_message(ttl=20)) for _ in range(5)]
    for message in abroad:
        await pipeline.hand_over(message)
    await pipeline.until_logged('"destination": "foreign"')
    at_home = await pipeline.publish(20)
    await pipeline.reach(at_home, "accepted", seconds=10)
    await pipeline.reach(abroad, "expired", "failed", seconds=60)
    await pipeline.end_workers()
    assert (await audit(pipeline, at_home)).places == {"accepted": 20}
    halted = [line for line in pipeline.logs().splitlines() if '"account_halted"' in line]
    assert len(halted) == 1
    answers = await pipeline.provider.answers("first")
    assert answers["5"] <= 8, "probed less and less"


async def test_foreign_numbers_have_their_own_template(pipeline: Pipeline) -> None:
    await pipeline.ready_worker()
    message = foreign(pipeline.new_message())
    await pipeline.hand_over(message)
    await pipeline.reach([message], "accepted")
    [sent] = await pipeline.provider.inbox()
    assert sent["text"].startswith(f"【Dialpass】Your verification code is {message.code}.")


@pytest.mark.parametrize(
    "terms", [{"record_lag": 60}, {"record_mask": True}, {"record_shift": -8}], ids=["lag", "mask", "shift"]
)
@pytest.mark.parametrize("fault", ["accept_then_drop", "accept_then_code"])
async def test_records_that_do_not_show_a_text_send_no_second_one(
    pipeline: Pipeline, terms: dict[str, Any], fault: str
) -> None:
    await pipeline.provider.set_account(**terms)
    messages = [pipeline.new_message() for _ in range(3)]
    for message in messages:
        await pipeline.provider.fault(fault=fault, code=-53, mobile=message.mobile, times=1)
    await pipeline.ready_worker(**PULLED)
    for message in messages:
        await pipeline.hand_over(message)
    await pipeline.reach(messages, "delivered", seconds=30)
    await pipeline.end_workers()
    audited = await audit(pipeline, messages)
    assert (audited.places, audited.most_texts) == ({"accepted": 3}, 1)


@pytest.mark.parametrize("terms", [{"record_mask": True}, {"record_shift": -8}], ids=["mask", "shift"])
async def test_without_uid_and_reports_there_is_no_second_text_either(
    pipeline: Pipeline, terms: dict[str, Any]
) -> None:
    await pipeline.provider.set_account(uid=False, **terms)
    message = pipeline.new_message(ttl=6)
    await pipeline.provider.fault(fault="accept_then_drop", mobile=message.mobile, times=1)
    await pipeline.ready_worker(**LOOK_UP_AT_ONCE)
    await pipeline.hand_over(message)
    await pipeline.reach([message], "accepted", "expired")
    await pipeline.end_workers()
    inbox = [text for text in await pipeline.provider.inbox() if text["mobile"] == message.mobile]
    assert len(inbox) == 1


async def test_a_code_that_was_asked_for_again_has_the_state_of_the_text_that_went_out(
    pipeline: Pipeline,
) -> None:
    first = pipeline.new_message()
    second = first.model_copy(update={"message_id": "f" * 32})
    await pipeline.ready_worker(**PULLED)
    await pipeline.hand_over(first)
    await pipeline.until_texted()
    await pipeline.hand_over(second)  # auth has got no confirmation of the first
    await pipeline.reach([first, second], "delivered")
    assert len(await pipeline.provider.inbox()) == 1


async def test_a_refused_number_is_no_dead_letter(pipeline: Pipeline) -> None:
    message = pipeline.new_message()
    await pipeline.provider.set_account(blacklist=[message.mobile])
    await pipeline.ready_worker()
    await pipeline.hand_over(message)
    await pipeline.reach([message], "failed")
    await pipeline.until_logged("手机号在黑名单列表中")
    await pipeline.end_workers()
    assert (await pipeline.depth(DEAD_QUEUE))[0] == 0
    assert message.mobile not in pipeline.logs()


async def test_a_denied_call_is_probed_as_rarely_as_another_refusal(pipeline: Pipeline) -> None:
    await pipeline.provider.set_account(denied=["send"])
    for _ in range(2):
        await pipeline.ready_worker()
    await pipeline.publish(40)
    await pipeline.until_logged('"sending_paused"')
    await asyncio.sleep(8)
    # Messages in work when it began, then after 1, 2 and 4 seconds one each.
    assert (await pipeline.provider.answers("first"))["-2"] <= 2 * 8 + 4


def test_a_message_takes_the_accounts_that_it_has_halted_along() -> None:
    halted = AttemptHistory(0, NOW, halted=frozenset({"main", "backup"}))
    assert retry_headers("r", halted)["halted"] == "backup,main"
    assert "halted" not in retry_headers("r", AttemptHistory(0, NOW)), "as workers before wrote it"
