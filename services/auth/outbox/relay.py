"""The relay: takes events from the outbox to the broker, one replica at a time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from itertools import groupby
from operator import attrgetter
from typing import Protocol

import structlog

from services.auth.outbox.repository import Backlog, StoredEvent
from shared.clock import Clock
from shared.errors import Unavailable
from shared.observability.metrics import AuthMetrics

_BATCH = 200
# Events written by other replicas are found by looking, those of this one wake the relay.
_POLL_SECONDS = 0.25
# After a failure the turn is given up: another replica may reach the broker.
_PAUSE_SECONDS = 0.5
_MEASURE_SECONDS = 5.0

log = structlog.get_logger()


class Outbox(Protocol):
    """Where committed events wait; every method may raise `Unavailable`."""

    def turn(self) -> AbstractAsyncContextManager[bool]:
        """Become the one process that publishes; yields whether it worked."""

    async def next(self, limit: int) -> list[StoredEvent]:
        """Return the oldest events."""

    async def remove(self, ids: Sequence[int]) -> None:
        """Forget events that are published."""

    async def backlog(self) -> Backlog:
        """Return how much waits."""


class EventPublisher(Protocol):
    """The broker's exchange."""

    async def publish(self, event: StoredEvent) -> None:
        """Return once the broker has the event in every queue that is bound for it.

        Raises:
            Unavailable: it has not, or nobody knows.
        """


class Relay:
    """Publishes every committed event at least once, each user's in their order.

    What could not be published stays and is tried again without end, so that a broker that is down
    delays events and loses none. Copies happen where a process dies between publishing and forgetting.
    """

    def __init__(
        self, outbox: Outbox, watched: Outbox, publisher: EventPublisher, clock: Clock, metrics: AuthMetrics
    ) -> None:
        self._outbox = outbox
        self._watched = watched
        self._publisher = publisher
        self._clock = clock
        self._metrics = metrics
        self._written = asyncio.Event()

    def wake(self) -> None:
        """Look into the outbox now: an event has been committed."""
        self._written.set()

    async def run(self) -> None:
        """Relay until cancelled."""
        while True:
            async with _going_on(_PAUSE_SECONDS), self._outbox.turn() as mine:
                while mine:
                    await self.relay_all()
                    await self._wait()

    async def measure(self) -> None:
        """Keep the gauges of what waits up to date until cancelled; every replica does."""
        while True:
            async with _going_on(0):
                backlog = await self._watched.backlog()
                age = (self._clock() - backlog.oldest).total_seconds() if backlog.oldest else 0.0
                self._metrics.outbox_depth.set(backlog.depth)
                self._metrics.outbox_age.set(max(age, 0.0))
            await asyncio.sleep(_MEASURE_SECONDS)

    async def relay_all(self) -> None:
        """Publish and forget until the outbox is empty.

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
        """Publish users side by side and each user's events one after the other; returns what worked."""
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
async def _going_on(pause: float) -> AsyncIterator[None]:
    """Pause after a failure of the block instead of ending with it, whatever it was."""
    try:
        yield
    except Unavailable:
        await asyncio.sleep(pause)
    except Exception:
        log.exception("relay_failed")
        await asyncio.sleep(pause)
