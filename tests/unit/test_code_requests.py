"""The use cases of asking for a code and for its fate."""

from datetime import timedelta

import pytest

from services.auth.code_requests import CodePolicy, message_status, request_code
from services.auth.domain import CodeRequested
from services.auth.errors import SmsUnavailable
from shared.errors import NotFound
from shared.message_status import MessageStatus
from tests.fakes import NOW, FakeCodes, FakeSmsQueue, FakeStatuses, clock

MOBILE = "13800000000"


async def ask(codes: FakeCodes, statuses: FakeStatuses, queue: FakeSmsQueue) -> CodeRequested:
    policy = CodePolicy(ttl=600, cooldown=60)
    return await request_code(
        MOBILE, "login", codes=codes, statuses=statuses, queue=queue, policy=policy, clock=clock
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


async def test_an_unknown_message_is_not_found() -> None:
    with pytest.raises(NotFound):
        await message_status("0" * 32, statuses=FakeStatuses())


async def test_two_requests_have_two_message_ids() -> None:
    ids = {(await ask(FakeCodes(), FakeStatuses(), FakeSmsQueue())).message_id for _ in range(2)}
    assert len(ids) == 2
