"""The relay's own rules; what it does on real servers is in tests/auth/outbox/test_events.py."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from services.auth.outbox.relay import Relay
from services.auth.outbox.repository import Backlog, StoredEvent
from shared.errors import Unavailable
from shared.observability.metrics import AuthMetrics, new_registry
from tests.support.fakes import NOW, clock


def event(number: int, user_id: int) -> StoredEvent:
    return StoredEvent(number, user_id, f"{number:032x}", "user.deleted.v1", "{}", "", NOW)


@dataclass
class FakeOutbox:
    rows: list[StoredEvent]

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[bool]:
        yield True

    async def next(self, limit: int) -> list[StoredEvent]:
        return self.rows[:limit]

    async def remove(self, ids: Sequence[int]) -> None:
        self.rows = [row for row in self.rows if row.id not in ids]

    async def backlog(self) -> Backlog:
        return Backlog(len(self.rows), None)


@dataclass
class FakePublisher:
    refused: set[int] = field(default_factory=set)
    published: list[StoredEvent] = field(default_factory=list)

    async def publish(self, event: StoredEvent) -> None:
        if event.id in self.refused:
            raise Unavailable
        self.published.append(event)


def relay(outbox: FakeOutbox, publisher: FakePublisher) -> Relay:
    return Relay(outbox, outbox, publisher, clock, AuthMetrics(new_registry()))


async def test_everything_is_published_in_the_order_of_its_user_and_forgotten() -> None:
    outbox, publisher = FakeOutbox([event(n, user_id=n % 3) for n in range(1000)]), FakePublisher()
    await relay(outbox, publisher).relay_all()
    assert outbox.rows == []
    for user in range(3):
        numbers = [event.id for event in publisher.published if event.user_id == user]
        assert numbers == list(range(user, 1000, 3))


async def test_what_is_refused_holds_back_what_its_user_did_later_and_nothing_else() -> None:
    outbox = FakeOutbox([event(1, 1), event(2, 1), event(3, 2), event(4, 1)])
    publisher = FakePublisher(refused={2})
    with pytest.raises(Unavailable):
        await relay(outbox, publisher).relay_all()
    assert {event.id for event in publisher.published} == {1, 3}
    assert [row.id for row in outbox.rows] == [2, 4]


async def test_what_was_refused_is_published_by_the_next_try() -> None:
    outbox, publisher = FakeOutbox([event(1, 1), event(2, 1)]), FakePublisher(refused={1})
    with pytest.raises(Unavailable):
        await relay(outbox, publisher).relay_all()
    publisher.refused.clear()
    await relay(outbox, publisher).relay_all()
    assert [event.id for event in publisher.published] == [1, 2]
