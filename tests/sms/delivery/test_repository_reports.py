"""Applying status reports to the records on a real Redis, in any order and any number of times."""

import asyncio
import random
import secrets
from collections.abc import Sequence
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from services.sms.delivery.repository import MessageRepository, sid_key
from services.sms.reports.models import ReportResult, ReportStatus, StatusReport
from shared.clock import now
from shared.contracts.message_status import MessageStatuses
from tests.support.sms_delivery import accepted

UNKNOWN = ReportResult(known=False, applied=False)


@pytest.fixture
def repository(redis: Redis) -> MessageRepository:
    return MessageRepository(redis)


@pytest.fixture
def sid() -> str:
    return str(secrets.randbits(48))


def report(sid: str, status: ReportStatus = "delivered") -> StatusReport:
    return StatusReport(sid, status, "" if status == "delivered" else "DB:0103", now())


async def state(repository: MessageRepository, message_id: str) -> tuple[str, str]:
    fields = await repository.fields(message_id)
    return fields["state"], fields["detail"]


async def test_a_report_ends_an_accepted_message_and_the_client_sees_it(
    repository: MessageRepository, redis: Redis, sid: str
) -> None:
    message_id = await accepted(repository, sid)
    (reported,) = await repository.apply_reports([report(sid)], "")
    assert (reported.known, reported.applied) == (True, True)
    assert (reported.dial_code, reported.prefix) == ("86", "138")
    assert now() - timedelta(minutes=1) < (reported.accepted_at or now()) < now()
    status = await MessageStatuses(redis).get(message_id)
    assert status is not None
    assert status.state == "delivered"


@pytest.mark.parametrize("status", ["delivered", "failed"])
async def test_a_duplicate_changes_nothing(
    repository: MessageRepository, sid: str, status: ReportStatus
) -> None:
    message_id = await accepted(repository, sid)
    first, second = await repository.apply_reports([report(sid, status)] * 2, "")
    assert (first.applied, second.applied) == (True, False)
    before = await repository.fields(message_id)
    (third,) = await repository.apply_reports([report(sid, status)], "main")
    assert (third.known, third.applied) == (True, False)
    assert await repository.fields(message_id) == before


@pytest.mark.parametrize("order", [("failed", "delivered"), ("delivered", "failed")])
@pytest.mark.parametrize("early", [True, False], ids=["before the acceptance", "after it"])
async def test_delivered_is_final_in_any_order_of_reports(
    repository: MessageRepository, sid: str, order: Sequence[ReportStatus], *, early: bool
) -> None:
    message_id = "" if early else await accepted(repository, sid)
    for status in order:
        await repository.apply_reports([report(sid, status)], "")
    message_id = message_id or await accepted(repository, sid)
    assert await state(repository, message_id) == ("delivered", "")


async def test_a_report_before_the_acceptance_is_kept_for_an_hour(
    repository: MessageRepository, redis: Redis, sid: str
) -> None:
    assert await repository.apply_reports([report(sid, "failed")], "") == [UNKNOWN]
    assert await repository.apply_reports([report(sid, "failed")], "") == [UNKNOWN]
    assert 3500 < await redis.ttl(sid_key(sid)) <= 3600
    message_id = await accepted(repository, sid)
    assert await state(repository, message_id) == ("failed", "DB:0103")
    assert await redis.ttl(sid_key(sid)) > 86_000


async def test_a_report_without_an_account_finds_the_message_of_any(
    repository: MessageRepository, sid: str
) -> None:
    message_id = await accepted(repository, sid, "backup")
    assert await repository.apply_reports([report(sid)], "main") == [UNKNOWN]
    assert (await repository.apply_reports([report(sid)], ""))[0].applied
    assert (await state(repository, message_id))[0] == "delivered"


async def test_a_sid_that_two_accounts_share_needs_the_account(
    repository: MessageRepository, sid: str
) -> None:
    mine, other = await accepted(repository, sid, "main"), await accepted(repository, sid, "backup")
    assert await repository.apply_reports([report(sid)], "") == [UNKNOWN]
    await repository.apply_reports([report(sid, "failed")], "backup")
    assert [(await state(repository, message))[0] for message in (mine, other)] == ["accepted", "failed"]


async def test_a_report_of_an_unknown_message_creates_no_record(
    repository: MessageRepository, sid: str
) -> None:
    assert await repository.apply_reports([report(sid)], "") == [UNKNOWN]
    message_id = secrets.token_hex(16)
    assert await repository.fields(message_id) == {}


async def test_a_hundred_concurrent_pushes_with_common_reports_apply_each_once(
    repository: MessageRepository,
) -> None:
    sids = [str(secrets.randbits(48)) for _ in range(200)]
    early = sids[:100]
    late = [await accepted(repository, sid) for sid in sids[100:]]
    pushes = [[report(sid) for sid in random.sample(sids, 100)] for _ in range(100)]
    results, first = await asyncio.gather(
        asyncio.gather(*(repository.apply_reports(push, "") for push in pushes)),
        asyncio.gather(*(accepted(repository, sid) for sid in early)),
    )
    for message_id in (*late, *first):
        assert await state(repository, message_id) == ("delivered", "")
    applied = [
        one.sid
        for push, replies in zip(pushes, results, strict=True)
        for one, reply in zip(push, replies, strict=True)
        if reply.applied
    ]
    assert len(applied) == len(set(applied))
    assert set(sids[100:]) <= set(applied)
