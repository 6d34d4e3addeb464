"""What the relay publishes, in which order, and what it keeps; with a broker that refuses."""

from collections.abc import AsyncIterator, Sequence

import pytest

from deploy.local.servers import Servers
from services.auth.db.database import Database
from services.auth.outbox.publisher import EventPublisher
from services.auth.outbox.relay import Relay
from services.auth.outbox.repository import OutboxRepository, StoredEvent
from shared.contracts.events import UserDeleted
from shared.errors import Unavailable
from shared.observability.metrics import AuthMetrics
from tests.support.clock import NOW, clock
from tests.support.isolation import isolated_urls


class RefusingPublisher(EventPublisher):
    """Keeps events instead of publishing them, and refuses some, numbered as they were added."""

    def __init__(self, metrics: AuthMetrics) -> None:
        super().__init__(["amqp://unused"], metrics)
        self.published: list[StoredEvent] = []
        self.refused: set[str] = set()

    async def publish(self, event: StoredEvent) -> None:
        if event.event_id in self.refused:
            raise Unavailable
        self.published.append(event)


@pytest.fixture(scope="module")
def outbox_url(servers: Servers) -> str:
    """A database whose outbox no other relay and no other test uses."""
    return isolated_urls(servers, "relay")["MYSQL_URL"]


@pytest.fixture
async def outbox(outbox_url: str) -> AsyncIterator[OutboxRepository]:
    """An empty outbox."""
    database = Database(outbox_url, pool_size=2)
    await database.fetch_all("DELETE FROM outbox", ())
    yield OutboxRepository(database)
    await database.close()


@pytest.fixture
def publisher(auth_metrics: AuthMetrics) -> RefusingPublisher:
    return RefusingPublisher(auth_metrics)


@pytest.fixture
def relay(outbox: OutboxRepository, publisher: RefusingPublisher, auth_metrics: AuthMetrics) -> Relay:
    return Relay(outbox, outbox, publisher, clock, auth_metrics)


async def add(outbox: OutboxRepository, user_ids: Sequence[int]) -> list[str]:
    """Add an event about each user and return the ids of the events."""
    events = [UserDeleted(user_id=user_id, occurred_at=NOW) for user_id in user_ids]
    for event in events:
        await outbox.add(event)
    return [event.event_id for event in events]


async def waiting(outbox: OutboxRepository) -> list[str]:
    return [event.event_id for event in await outbox.next(1000)]


async def test_all_events_are_published_in_the_order_of_their_user_and_removed(
    outbox: OutboxRepository, relay: Relay, publisher: RefusingPublisher
) -> None:
    ids = await add(outbox, [number % 3 for number in range(300)])
    await relay.relay_all()
    assert await waiting(outbox) == []
    for user_id in range(3):
        published = [event.event_id for event in publisher.published if event.user_id == user_id]
        assert published == ids[user_id::3]


async def test_a_refused_event_holds_back_the_later_ones_of_its_user_and_no_others(
    outbox: OutboxRepository, relay: Relay, publisher: RefusingPublisher
) -> None:
    ids = await add(outbox, [1, 1, 2, 1])
    publisher.refused = {ids[1]}
    with pytest.raises(Unavailable):
        await relay.relay_all()
    assert {event.event_id for event in publisher.published} == {ids[0], ids[2]}
    assert await waiting(outbox) == [ids[1], ids[3]]


async def test_a_refused_event_is_published_by_the_next_try(
    outbox: OutboxRepository, relay: Relay, publisher: RefusingPublisher
) -> None:
    ids = await add(outbox, [1, 1])
    publisher.refused = {ids[0]}
    with pytest.raises(Unavailable):
        await relay.relay_all()
    publisher.refused.clear()
    await relay.relay_all()
    assert [event.event_id for event in publisher.published] == ids
