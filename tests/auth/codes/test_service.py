"""The use cases of asking for a code and for its fate."""

from datetime import timedelta

import pytest

from services.auth.codes.service import Asked, CodePolicy, message_status, request_code
from services.auth.errors import ChallengeRequired, SmsUnavailable
from services.auth.models import Client, CodeRequested
from shared.contracts.message_status import MessageStatus
from shared.errors import NotFound
from tests.support.fakes import NOW, FakeChallenges, FakeCodes, FakeSmsQueue, FakeStatuses, clock

MOBILE = "13800000000"


async def ask(
    codes: FakeCodes, statuses: FakeStatuses, queue: FakeSmsQueue, challenge: str | None = None
) -> CodeRequested:
    return await request_code(
        Asked(MOBILE, "login", challenge),
        Client("192.0.2.1", "test"),
        codes=codes,
        challenges=FakeChallenges(),
        statuses=statuses,
        queue=queue,
        policy=CodePolicy(ttl=600, cooldown=60),
        clock=clock,
    )


async def test_a_code_is_queued_with_its_expiry() -> None:
    queue = FakeSmsQueue()
    requested = await ask(FakeCodes(), FakeStatuses(), queue)
    (message,) = queue.published
    assert (message.mobile, message.code, message.purpose) == (MOBILE, "123456", "login")
    assert message.expires_at - message.created_at == timedelta(seconds=600)
    assert requested == CodeRequested(message.message_id, 600, 60)


async def test_the_message_is_known_as_queued_before_it_is_published() -> None:
    statuses = FakeStatuses()
    requested = await ask(FakeCodes(), statuses, FakeSmsQueue())
    assert await message_status(requested.message_id, statuses=statuses) == MessageStatus("queued", NOW)


async def test_a_message_that_was_not_queued_takes_no_cooldown() -> None:
    codes, statuses = FakeCodes(), FakeStatuses()
    with pytest.raises(SmsUnavailable):
        await ask(codes, statuses, FakeSmsQueue(down=True))
    assert codes.released == [MOBILE]
    assert [statuses.states(message_id) for message_id in statuses.history] == [["queued", "failed"]]


@pytest.mark.parametrize("challenge", [None, "13800000001"])
async def test_a_suspicious_request_gets_a_challenge_and_no_code(
    challenge: str | None,
) -> None:
    queue, statuses = FakeSmsQueue(), FakeStatuses()
    with pytest.raises(ChallengeRequired) as refusal:
        await ask(FakeCodes(suspicious=True), statuses, queue, challenge)
    assert refusal.value.members == {"challenge": {"for": MOBILE}}
    assert (queue.published, statuses.history) == ([], {})


async def test_a_suspicious_request_gets_its_code_with_the_challenge_solved() -> None:
    queue = FakeSmsQueue()
    await ask(FakeCodes(suspicious=True), FakeStatuses(), queue, challenge=MOBILE)
    assert [message.mobile for message in queue.published] == [MOBILE]


async def test_an_unknown_message_is_not_found() -> None:
    with pytest.raises(NotFound):
        await message_status("0" * 32, statuses=FakeStatuses())


async def test_two_requests_have_two_message_ids() -> None:
    ids = {(await ask(FakeCodes(), FakeStatuses(), FakeSmsQueue())).message_id for _ in range(2)}
    assert len(ids) == 2
