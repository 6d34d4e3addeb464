"""The messages' records on a real Redis."""

import asyncio
import secrets
from datetime import timedelta
from decimal import Decimal

import pytest
from redis.asyncio import Redis

from services.sms.delivery.models import (
    Acceptance,
    Attempt,
    AttemptHistory,
    Claim,
    Outcome,
    Record,
    UnknownOutcome,
)
from services.sms.delivery.repository import MessageRepository, sid_key
from services.sms.reports.models import StatusReport
from shared.contracts.message_status import MessageStatus, MessageStatuses, record_key
from tests.support.clock import NOW

LATER = NOW + timedelta(seconds=10)
UNTRIED = AttemptHistory(0, NOW)
TRIED = AttemptHistory(2, NOW, "main", resent=True)


@pytest.fixture
def repository(redis: Redis) -> MessageRepository:
    return MessageRepository(redis)


@pytest.fixture
def message_id() -> str:
    return secrets.token_hex(16)


@pytest.fixture
def sid() -> str:
    return secrets.token_hex(8)


def attempt(token: str = "a", account: str = "main") -> Attempt:
    return Attempt(token, LATER, account)


def acceptance(sid: str = "7") -> Acceptance:
    return Acceptance("main", sid, LATER, 1, 1, Decimal("0.05"), "86", "138")


async def first(
    repository: MessageRepository, message_id: str, token: str = "a", history: AttemptHistory = UNTRIED
) -> Record:
    return await repository.claim(message_id, Claim.FIRST, attempt(token), history)


async def test_a_new_message_may_be_sent(repository: MessageRepository, message_id: str) -> None:
    record = await first(repository, message_id)
    assert record == Record("attempting", 1, granted=True, unknown=None, resent=False)


async def test_a_repeated_command_grants_the_same_attempt(
    repository: MessageRepository, message_id: str
) -> None:
    assert await first(repository, message_id) == await first(repository, message_id)


async def test_an_attempt_without_an_outcome_is_unknown(
    repository: MessageRepository, message_id: str
) -> None:
    await first(repository, message_id)
    record = await first(repository, message_id, "b")
    assert record == Record(
        "attempting", 1, granted=False, unknown=UnknownOutcome(LATER, "main"), resent=False
    )


async def test_a_failover_changes_the_account_of_the_unknown_outcome(
    repository: MessageRepository, message_id: str
) -> None:
    await first(repository, message_id)
    await repository.record_failover(message_id, attempt(), "second")
    await repository.record_failover(message_id, attempt("stranger"), "third")
    assert (await first(repository, message_id, "b")).unknown == UnknownOutcome(LATER, "second")


async def test_a_retry_keeps_the_unknown_outcome_and_a_resend_begins_another(
    repository: MessageRepository, message_id: str
) -> None:
    await first(repository, message_id)
    later = Attempt("b", LATER + timedelta(seconds=5), "main")
    retried = await repository.claim(message_id, Claim.RETRY, later, UNTRIED)
    assert (retried.granted, retried.attempts) == (True, 2)
    assert (await first(repository, message_id, "c")).unknown == UnknownOutcome(LATER, "main")
    resent = await repository.claim(
        message_id, Claim.RESEND, Attempt("d", later.started_at, "second"), UNTRIED
    )
    assert (resent.granted, resent.attempts, resent.resent) == (True, 3, True)
    seen = await first(repository, message_id, "e")
    assert (seen.unknown, seen.resent) == (UnknownOutcome(later.started_at, "second"), True)


async def test_reading_changes_nothing(repository: MessageRepository, message_id: str) -> None:
    seen = await repository.claim(message_id, Claim.READ, attempt(), UNTRIED)
    assert (seen.state, seen.granted, seen.unknown) == (None, False, None)
    assert (await first(repository, message_id, "b")).attempts == 1


async def test_a_message_that_was_certainly_not_sent_may_be_sent(
    repository: MessageRepository, message_id: str
) -> None:
    await first(repository, message_id)
    assert await repository.record_outcome(message_id, Outcome("reserved", 1, "-51"), attempt()) == "reserved"
    assert await first(repository, message_id, "b") == Record(
        "attempting", 2, granted=True, unknown=None, resent=False
    )


async def test_an_unknown_outcome_survives_a_later_attempt(
    repository: MessageRepository, message_id: str
) -> None:
    unknown = UnknownOutcome(NOW, "main")
    await first(repository, message_id)
    await repository.record_outcome(message_id, Outcome("attempting", 1, "timeout", unknown), attempt())
    assert (await first(repository, message_id, "b")).unknown == unknown


async def test_a_final_state_does_not_change(repository: MessageRepository, message_id: str) -> None:
    await first(repository, message_id)
    assert await repository.record_outcome(message_id, Outcome("limited", 1, "22"), attempt()) == "limited"
    assert await repository.record_outcome(message_id, Outcome("failed", 1, "5"), attempt()) == "limited"
    seen = await first(repository, message_id, "b")
    assert (seen.state, seen.granted) == ("limited", False)


async def test_an_earlier_attempt_cannot_record_its_outcome(
    repository: MessageRepository, message_id: str
) -> None:
    await first(repository, message_id)
    await repository.claim(message_id, Claim.RETRY, attempt("b"), UNTRIED)
    assert (
        await repository.record_outcome(message_id, Outcome("limited", 1, "8"), attempt("a")) == "superseded"
    )
    assert await repository.record_outcome(message_id, Outcome("limited", 2, "8"), attempt("b")) == "limited"


async def test_an_acceptance_of_any_attempt_is_recorded(
    repository: MessageRepository, message_id: str
) -> None:
    await first(repository, message_id)
    await repository.claim(message_id, Claim.RETRY, attempt("b"), UNTRIED)
    await repository.record_outcome(message_id, Outcome("limited", 2, "8"), attempt("b"))
    assert (await repository.record_acceptance(message_id, acceptance())).effect != "twice"
    assert (await first(repository, message_id, "c")).state == "accepted"


async def test_an_acceptance_without_a_sid_gets_it_later(
    repository: MessageRepository, message_id: str
) -> None:
    await first(repository, message_id)
    assert (await repository.record_acceptance(message_id, acceptance(""))).effect != "twice"
    assert (await repository.record_acceptance(message_id, acceptance("7"))).effect != "twice"
    assert (await repository.record_acceptance(message_id, acceptance("7"))).effect != "twice"
    assert (await repository.record_acceptance(message_id, acceptance(""))).effect != "twice"


async def test_a_second_sid_is_a_second_text(repository: MessageRepository, message_id: str) -> None:
    await first(repository, message_id)
    assert (await repository.record_acceptance(message_id, acceptance("7"))).effect != "twice"
    assert (await repository.record_acceptance(message_id, acceptance("8"))).effect == "twice"


async def test_a_lost_record_makes_the_outcome_of_a_tried_message_unknown(
    repository: MessageRepository, message_id: str
) -> None:
    record = await first(repository, message_id, "b", TRIED)
    assert record == Record(None, 2, granted=False, unknown=UnknownOutcome(NOW, "main"), resent=True)


async def test_a_lost_record_makes_the_outcome_of_a_redelivered_message_unknown(
    repository: MessageRepository, message_id: str
) -> None:
    record = await first(repository, message_id, "b", AttemptHistory(0, NOW, redelivered=True))
    assert (record.granted, record.unknown) == (False, UnknownOutcome(NOW, ""))


async def test_a_record_that_is_behind_the_history_makes_the_outcome_unknown(
    repository: MessageRepository, message_id: str
) -> None:
    await repository.record_outcome(message_id, Outcome("queued", 0))
    assert (await first(repository, message_id, "b", TRIED)).unknown == UnknownOutcome(NOW, "main")


async def test_a_redelivered_message_that_was_never_tried_may_be_sent(
    repository: MessageRepository, message_id: str
) -> None:
    await repository.record_outcome(message_id, Outcome("queued", 0))
    assert (await first(repository, message_id, "b", AttemptHistory(0, NOW, redelivered=True))).granted


async def test_an_outcome_is_written_although_the_record_is_lost(
    repository: MessageRepository, message_id: str
) -> None:
    assert await repository.record_outcome(message_id, Outcome("reserved", 1, "-51"), attempt()) == "reserved"
    assert (await repository.record_acceptance(message_id, acceptance())).effect != "twice"
    assert (await first(repository, message_id, "b")).state == "accepted"


async def test_one_of_many_workers_gets_a_new_message(repository: MessageRepository, message_id: str) -> None:
    claims = (first(repository, message_id, str(number)) for number in range(50))
    assert sum(record.granted for record in await asyncio.gather(*claims)) == 1


async def test_records_live_for_a_day(
    repository: MessageRepository, redis: Redis, message_id: str, sid: str
) -> None:
    await first(repository, message_id)
    await repository.record_acceptance(message_id, acceptance(sid))
    for key in (record_key(message_id), sid_key(sid)):
        assert 86_300 < await redis.ttl(key) <= 86_400


async def test_a_record_holds_no_content(repository: MessageRepository, message_id: str, sid: str) -> None:
    await first(repository, message_id)
    await repository.record_acceptance(message_id, acceptance(sid))
    fields = await repository.fields(message_id)
    assert set(fields) <= {
        "state", "updated_at", "attempts", "detail", "token", "since", "account", "resent", "accepted_at",
        "sid", "parts", "fee", "dial_code", "prefix",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "seen"),
    [
        (Outcome("reserved", 1), "queued"),
        (Outcome("attempting", 1), "queued"),
        (Outcome("failed", 1), "failed"),
        (Outcome("limited", 1), "limited"),
        (Outcome("expired", 1), "expired"),
    ],
)
async def test_a_client_sees_the_state(
    repository: MessageRepository, redis: Redis, message_id: str, outcome: Outcome, seen: str
) -> None:
    statuses = MessageStatuses(redis)
    await statuses.put(message_id, MessageStatus("queued", NOW))
    await first(repository, message_id)
    assert (await statuses.get(message_id) or pytest.fail("no record")).state == "queued"
    await repository.record_outcome(message_id, outcome, attempt())
    assert (await statuses.get(message_id) or pytest.fail("no record")).state == seen


async def test_a_client_sees_an_accepted_message_as_sent(
    repository: MessageRepository, redis: Redis, message_id: str, sid: str
) -> None:
    await repository.record_acceptance(message_id, acceptance(sid))
    assert await MessageStatuses(redis).get(message_id) == MessageStatus("sent", LATER)


async def test_only_a_message_that_no_worker_has_begun_can_be_abandoned(
    repository: MessageRepository, redis: Redis, message_id: str
) -> None:
    statuses = MessageStatuses(redis)
    await statuses.put(message_id, MessageStatus("queued", NOW))
    await first(repository, message_id)
    await statuses.abandon(message_id, LATER)
    assert (await statuses.get(message_id) or pytest.fail("no record")).state == "queued"
    other = secrets.token_hex(16)
    await statuses.put(other, MessageStatus("queued", NOW))
    await statuses.abandon(other, LATER)
    assert await statuses.get(other) == MessageStatus("failed", LATER)
    assert (await first(repository, other)).state == "failed"


@pytest.mark.parametrize("state", ["failed", "limited", "expired"])
async def test_a_message_that_ended_without_an_acceptance_can_be_reopened(
    repository: MessageRepository, message_id: str, state: str
) -> None:
    await first(repository, message_id)
    await repository.record_outcome(message_id, Outcome(state, 1, "5"), attempt())  # type: ignore[arg-type]
    assert await repository.reopen(message_id) == "queued"
    assert (await first(repository, message_id, "b")).granted
    assert await repository.reopen(message_id) == "attempting"


async def test_an_accepted_message_cannot_be_reopened(
    repository: MessageRepository, redis: Redis, message_id: str, sid: str
) -> None:
    await repository.record_acceptance(message_id, acceptance(sid))
    assert await repository.reopen(message_id) == "accepted"
    await repository.apply_reports([StatusReport(sid, "failed", "DB:0103", LATER)], "main")
    assert await repository.reopen(message_id) == "failed"
    assert not (await first(repository, message_id, "b")).granted
