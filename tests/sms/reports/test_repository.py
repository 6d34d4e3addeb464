"""Status reports on a real Redis: whatever order they come in, however often, and from how many sides."""

import asyncio
import random
import secrets
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from services.sms.delivery.models import Acceptance
from services.sms.delivery.repository import RedisLedger
from services.sms.reports.metrics import ReportTally
from services.sms.reports.repository import RedisReportBook, sid_key
from services.sms.reports.service import Outcome, Reported, StatusReport
from shared.clock import now
from shared.contracts.message_status import MessageStatuses
from shared.observability.metrics import ReportMetrics

UNKNOWN = Reported(known=False, applied=False)


@pytest.fixture
def ledger(redis: Redis) -> RedisLedger:
    return RedisLedger(redis)


@pytest.fixture
def book(redis: Redis) -> RedisReportBook:
    return RedisReportBook(redis)


@pytest.fixture
def sid() -> str:
    return str(secrets.randbits(48))


def acceptance(sid: str, account: str = "main") -> Acceptance:
    return Acceptance(account, sid, now(), 1, 1, Decimal("0.05"), "86", "138")


async def accepted(ledger: RedisLedger, sid: str, account: str = "main") -> str:
    message_id = secrets.token_hex(16)
    await ledger.accept(message_id, acceptance(sid, account))
    return message_id


def report(sid: str, outcome: Outcome = "delivered") -> StatusReport:
    return StatusReport(sid, outcome, "" if outcome == "delivered" else "DB:0103", now())


async def state(ledger: RedisLedger, message_id: str) -> tuple[str, str]:
    fields = await ledger.fields(message_id)
    return fields["state"], fields["detail"]


async def test_a_report_ends_an_accepted_message_and_the_client_sees_it(
    ledger: RedisLedger, book: RedisReportBook, redis: Redis, sid: str
) -> None:
    message_id = await accepted(ledger, sid)
    (reported,) = await book.report([report(sid)], "")
    assert (reported.known, reported.applied) == (True, True)
    assert (reported.dial_code, reported.prefix) == ("86", "138")
    assert now() - timedelta(minutes=1) < (reported.accepted_at or now()) < now()
    status = await MessageStatuses(redis).get(message_id)
    assert status is not None
    assert status.state == "delivered"


@pytest.mark.parametrize("outcome", ["delivered", "failed"])
async def test_a_duplicate_changes_nothing(
    ledger: RedisLedger, book: RedisReportBook, sid: str, outcome: Outcome
) -> None:
    message_id = await accepted(ledger, sid)
    first, second = await book.report([report(sid, outcome)] * 2, "")
    assert (first.applied, second.applied) == (True, False)
    before = await ledger.fields(message_id)
    (third,) = await book.report([report(sid, outcome)], "main")
    assert (third.known, third.applied) == (True, False)
    assert await ledger.fields(message_id) == before


@pytest.mark.parametrize("order", [("failed", "delivered"), ("delivered", "failed")])
@pytest.mark.parametrize("early", [True, False], ids=["before the acceptance", "after it"])
async def test_a_delivery_stands_in_whatever_order_reports_come(
    ledger: RedisLedger, book: RedisReportBook, sid: str, order: Sequence[Outcome], *, early: bool
) -> None:
    message_id = "" if early else await accepted(ledger, sid)
    for outcome in order:
        await book.report([report(sid, outcome)], "")
    message_id = message_id or await accepted(ledger, sid)
    assert await state(ledger, message_id) == ("delivered", "")


async def test_a_report_before_the_acceptance_waits_an_hour_for_it(
    ledger: RedisLedger, book: RedisReportBook, redis: Redis, sid: str
) -> None:
    assert await book.report([report(sid, "failed")], "") == [UNKNOWN]
    assert await book.report([report(sid, "failed")], "") == [UNKNOWN]
    assert 3500 < await redis.ttl(sid_key(sid)) <= 3600
    message_id = await accepted(ledger, sid)
    assert await state(ledger, message_id) == ("failed", "DB:0103")
    assert await redis.ttl(sid_key(sid)) > 86_000


async def test_a_report_that_waited_is_counted_at_the_acceptance(
    redis: Redis, book: RedisReportBook, sid: str
) -> None:
    registry = CollectorRegistry()
    counting = RedisLedger(redis, ReportTally(ReportMetrics(registry), now))
    await book.report([report(sid)], "")
    await accepted(counting, sid)
    labels = {"dial_code": "86", "prefix": "138"}
    assert registry.get_sample_value("dialpass_sms_accepted_total", labels) == 1
    assert registry.get_sample_value("dialpass_sms_ended_total", labels | {"outcome": "delivered"}) == 1


async def test_a_report_that_names_no_account_finds_the_message_of_any(
    ledger: RedisLedger, book: RedisReportBook, sid: str
) -> None:
    message_id = await accepted(ledger, sid, "backup")
    assert await book.report([report(sid)], "main") == [UNKNOWN]
    assert (await book.report([report(sid)], ""))[0].applied
    assert (await state(ledger, message_id))[0] == "delivered"


async def test_a_sid_that_two_accounts_share_needs_the_account(
    ledger: RedisLedger, book: RedisReportBook, sid: str
) -> None:
    mine, other = await accepted(ledger, sid, "main"), await accepted(ledger, sid, "backup")
    assert await book.report([report(sid)], "") == [UNKNOWN]
    await book.report([report(sid, "failed")], "backup")
    assert [(await state(ledger, message))[0] for message in (mine, other)] == ["accepted", "failed"]


async def test_what_was_never_accepted_is_not_reported_on(
    ledger: RedisLedger, book: RedisReportBook, sid: str
) -> None:
    assert await book.report([report(sid)], "") == [UNKNOWN]
    message_id = secrets.token_hex(16)
    assert await ledger.fields(message_id) == {}


async def test_a_hundred_pushes_with_common_reports_at_once_apply_each_once(
    ledger: RedisLedger, book: RedisReportBook
) -> None:
    sids = [str(secrets.randbits(48)) for _ in range(200)]
    early = sids[:100]
    late = [await accepted(ledger, sid) for sid in sids[100:]]
    pushes = [[report(sid) for sid in random.sample(sids, 100)] for _ in range(100)]
    results, first = await asyncio.gather(
        asyncio.gather(*(book.report(push, "") for push in pushes)),
        asyncio.gather(*(accepted(ledger, sid) for sid in early)),
    )
    for message_id in (*late, *first):
        assert await state(ledger, message_id) == ("delivered", "")
    applied = [
        one.sid
        for push, replies in zip(pushes, results, strict=True)
        for one, reply in zip(push, replies, strict=True)
        if reply.applied
    ]
    assert len(applied) == len(set(applied))
    assert set(sids[100:]) <= set(applied)
