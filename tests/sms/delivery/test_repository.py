"""The ledger on a real Redis."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from services.sms.delivery.models import Standing
from services.sms.delivery.repository import RedisLedger
from services.sms.provider.base import Ledger
from services.sms.reports.repository import RedisReportBook, sid_key
from services.sms.reports.service import StatusReport
from shared.contracts.message_status import MessageStatus, MessageStatuses, record_key
from tests.support.fakes import NOW
from tests.support.ledger_rules import LATER, RULES, acceptance, attempt, first


@pytest.fixture
def ledger(redis: Redis) -> RedisLedger:
    return RedisLedger(redis)


@pytest.fixture
def message_id() -> str:
    return secrets.token_hex(16)


@pytest.fixture
def sid() -> str:
    return secrets.token_hex(8)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
async def test_rule(
    rule: Callable[[Ledger, str], Awaitable[None]], ledger: RedisLedger, message_id: str
) -> None:
    await rule(ledger, message_id)


async def test_of_many_workers_one_gets_a_new_message(ledger: RedisLedger, message_id: str) -> None:
    claims = (first(ledger, message_id, str(number)) for number in range(50))
    assert sum(record.granted for record in await asyncio.gather(*claims)) == 1


async def test_records_live_for_a_day(ledger: RedisLedger, redis: Redis, message_id: str, sid: str) -> None:
    await first(ledger, message_id)
    await ledger.accept(message_id, acceptance(sid))
    for key in (record_key(message_id), sid_key(sid)):
        assert 86_300 < await redis.ttl(key) <= 86_400


async def test_a_record_holds_no_content(ledger: RedisLedger, message_id: str, sid: str) -> None:
    await first(ledger, message_id)
    await ledger.accept(message_id, acceptance(sid))
    fields = await ledger.fields(message_id)
    assert set(fields) <= {
        "state", "updated_at", "attempts", "detail", "token", "since", "account", "resent", "accepted_at",
        "sid", "parts", "fee", "dial_code", "prefix",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("standing", "seen"),
    [
        (Standing("reserved", 1), "queued"),
        (Standing("attempting", 1), "queued"),
        (Standing("failed", 1), "failed"),
        (Standing("limited", 1), "limited"),
        (Standing("expired", 1), "expired"),
    ],
)
async def test_a_client_sees_the_state(
    ledger: RedisLedger, redis: Redis, message_id: str, standing: Standing, seen: str
) -> None:
    statuses = MessageStatuses(redis)
    await statuses.put(message_id, MessageStatus("queued", NOW))
    await first(ledger, message_id)
    assert (await statuses.get(message_id) or pytest.fail("no record")).state == "queued"
    await ledger.stand(message_id, standing, attempt())
    assert (await statuses.get(message_id) or pytest.fail("no record")).state == seen


async def test_what_was_accepted_is_sent_to_a_client(
    ledger: RedisLedger, redis: Redis, message_id: str, sid: str
) -> None:
    await ledger.accept(message_id, acceptance(sid))
    assert await MessageStatuses(redis).get(message_id) == MessageStatus("sent", LATER)


async def test_only_what_no_worker_has_begun_can_be_abandoned(
    ledger: RedisLedger, redis: Redis, message_id: str
) -> None:
    statuses = MessageStatuses(redis)
    await statuses.put(message_id, MessageStatus("queued", NOW))
    await first(ledger, message_id)
    await statuses.abandon(message_id, LATER)
    assert (await statuses.get(message_id) or pytest.fail("no record")).state == "queued"
    other = secrets.token_hex(16)
    await statuses.put(other, MessageStatus("queued", NOW))
    await statuses.abandon(other, LATER)
    assert await statuses.get(other) == MessageStatus("failed", LATER)
    assert (await first(ledger, other)).state == "failed"


@pytest.mark.parametrize("state", ["failed", "limited", "expired"])
async def test_what_ended_without_an_acceptance_can_be_opened_again(
    ledger: RedisLedger, message_id: str, state: str
) -> None:
    await first(ledger, message_id)
    await ledger.stand(message_id, Standing(state, 1, "5"), attempt())  # type: ignore[arg-type]
    assert await ledger.reopen(message_id) == "queued"
    assert (await first(ledger, message_id, "b")).granted
    assert await ledger.reopen(message_id) == "attempting"


async def test_what_was_accepted_cannot_be_opened_again(
    ledger: RedisLedger, redis: Redis, message_id: str, sid: str
) -> None:
    await ledger.accept(message_id, acceptance(sid))
    assert await ledger.reopen(message_id) == "accepted"
    await RedisReportBook(redis).report([StatusReport(sid, "failed", "DB:0103", LATER)], "main")
    assert await ledger.reopen(message_id) == "failed"
    assert not (await first(ledger, message_id, "b")).granted
