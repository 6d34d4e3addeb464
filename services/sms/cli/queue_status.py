"""How full the queues are, asked of the broker without taking a message."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import ChannelNotFoundEntity
from yarl import URL

from services.sms.cli.output import CommandFailed

_MANAGEMENT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """One queue.

    Attributes:
        name: the queue's name.
        ready: messages that wait; None where there is no such queue.
        consumers: who takes them.
        unacked: messages that consumers hold, where the management plug-in tells.
        published: messages a second that come in, likewise.
        acknowledged: messages a second that are done, likewise.
    """

    name: str
    ready: int | None
    consumers: int | None
    unacked: int | None = None
    published: float | None = None
    acknowledged: float | None = None


async def ask_broker(connection: AbstractConnection, names: Sequence[str]) -> list[QueueStatus]:
    """Return each queue's depth by passive declarations, which change nothing."""
    return [await _declare(connection, name) for name in names]


async def _declare(connection: AbstractConnection, name: str) -> QueueStatus:
    channel = await connection.channel()  # a missing queue closes it
    try:
        declared = (await channel.declare_queue(name, passive=True)).declaration_result
    except ChannelNotFoundEntity:
        return QueueStatus(name, None, None)
    await channel.close()
    return QueueStatus(name, declared.message_count, declared.consumer_count)


async def ask_management(url: str, vhost: str, statuses: Sequence[QueueStatus]) -> list[QueueStatus]:
    """Return the statuses with what the management plug-in adds: rates, and what consumers hold.

    Raises:
        CommandFailed: it cannot be asked.
    """
    try:
        async with _session(url) as session:
            return [await _add(session, vhost, status) for status in statuses]
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        status = getattr(error, "status", type(error).__name__)
        raise CommandFailed(f"RABBITMQ_MANAGEMENT_URL does not answer as hoped ({status})") from error


@asynccontextmanager
async def _session(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    parts = urlsplit(url)
    auth = aiohttp.BasicAuth(parts.username or "guest", parts.password or "")
    host = parts.netloc.rpartition("@")[2]
    async with aiohttp.ClientSession(
        f"{parts.scheme}://{host}{parts.path.rstrip('/')}/",
        auth=auth,
        timeout=aiohttp.ClientTimeout(total=_MANAGEMENT_SECONDS),
        raise_for_status=True,
    ) as session:
        yield session


async def _add(session: aiohttp.ClientSession, vhost: str, status: QueueStatus) -> QueueStatus:
    if status.ready is None:
        return status
    path = f"api/queues/{quote(vhost, safe='')}/{quote(status.name, safe='')}"
    async with session.get(URL(path, encoded=True)) as response:
        document = await response.json()
    counts = document.get("message_stats", {})
    return replace(
        status,
        unacked=document.get("messages_unacknowledged"),
        published=_rate(counts, "publish"),
        acknowledged=_rate(counts, "ack"),
    )


def _rate(counts: Mapping[str, Any], name: str) -> float:
    return float(counts.get(f"{name}_details", {}).get("rate", 0.0))
