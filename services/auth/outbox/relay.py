"""The relay: publishes the events of the outbox, one replica at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import groupby
from operator import attrgetter

import structlog

from services.auth.outbox.publisher import EventPublisher
from services.auth.outbox.repository import OutboxRepository, StoredEvent
from shared.clock import Clock
from shared.errors import Unavailable
from shared.observability.metrics import AuthMetrics
from shared.tasks import count_failure

_BATCH = 200
# Events of other replicas are found by polling; those of this one wake the relay.
_POLL_SECONDS = 0.25
# After a failure the leadership is released: another replica may reach the broker.
_PAUSE_SECONDS = 0.5
_MEASURE_SECONDS = 5.0

log = structlog.get_logger()


class Relay:
    """Publishes every committed event at least once, those of each user in order.

    An event that could not be published stays and is tried again, so that a broker that is down delays
    events and loses none. An event is published twice if a process dies before removing it.

    Args:
        outbox: on a connection of its own, so that requests and events do not wait for each other.
        watched: the outbox on the connections of the requests, for the gauges.
        publisher: publishes to the broker.
        clock: returns the current time.
        metrics: counts events and shows the backlog.
    """

    def __init__(
        self,
        outbox: OutboxRepository,
        watched: OutboxRepository,
        publisher: EventPublisher,
        clock: Clock,
        metrics: AuthMetrics,
    ) -> None:
        self._outbox = outbox
        self._watched = watched
        self._publisher = publisher
        self._clock = clock
        self._metrics = metrics
        self._written = asyncio.Event()

    def wake(self) -> None:
        """Check the outbox now, because an event has been committed."""
        self._written.set()

    async def run(self) -> None:
        """Relay until cancelled."""
        while True:
            async with _survive_failures(_PAUSE_SECONDS), self._outbox.try_acquire_leader() as leader:
                while leader:
                    await self.relay_all()
                    await self._wait()

    async def measure(self) -> None:
        """Update the gauges of the backlog until cancelled, in every replica."""
        while True:
            async with _survive_failures(0):
                backlog = await self._watched.backlog()
                age = (self._clock() - backlog.oldest).total_seconds() if backlog.oldest else 0.0
                self._metrics.outbox_depth.set(backlog.depth)
                self._metrics.outbox_age.set(max(age, 0.0))
            await asyncio.sleep(_MEASURE_SECONDS)

    async def relay_all(self) -> None:
        """Publish and remove events until the outbox is empty.

        Raises:
            Unavailable: the database failed, or some event could not be published.
        """
        while events := await self._outbox.next(_BATCH):
            published = await self._publish(events)
            if published:
                await self._outbox.remove(published)
            if len(published) < len(events):
                raise Unavailable

    async def _publish(self, events: list[StoredEvent]) -> list[int]:
        """Publish each user's events in order, users concurrently, and return the ids that worked."""
        by_user = groupby(sorted(events, key=attrgetter("user_id")), key=attrgetter("user_id"))
        done = await asyncio.gather(*(self._publish_in_order(list(of_user)) for _, of_user in by_user))
        return [event_id for ids in done for event_id in ids]

    async def _publish_in_order(self, events: list[StoredEvent]) -> list[int]:
        published: list[int] = []
        for event in events:
            try:
                await self._publisher.publish(event)
            except Unavailable:
                self._metrics.events.labels(event.type, "failed").inc()
                break
            self._metrics.events.labels(event.type, "published").inc()
            published.append(event.id)
        return published

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_POLL_SECONDS):
                await self._written.wait()
        self._written.clear()


@asynccontextmanager
async def _survive_failures(pause: float) -> AsyncIterator[None]:
    """Log any failure of the block and pause instead of raising it."""
    try:
        yield
    except Unavailable:
        await asyncio.sleep(pause)
    except Exception:
        log.exception("relay_failed")
        count_failure("relay")
        await asyncio.sleep(pause)
