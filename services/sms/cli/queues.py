"""`python -m services.sms queue …`."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import aiohttp
import typer
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import ChannelNotFoundEntity
from yarl import URL

from services.sms.cli import broker
from services.sms.cli.output import AsJson, CommandFailed, Row, redis_errors, run, show_record, show_rows
from services.sms.delivery.repository import MessageRepository
from services.sms.settings import QueueSettings
from shared.amqp.topology import sms_queues
from shared.clock import now
from shared.redis import client as redis_client

cli = typer.Typer(no_args_is_help=True, help="The queues between auth and the provider.")

_MANAGEMENT_SECONDS = 5.0
_COLUMNS = ("name", "ready", "unacked", "consumers", "published", "acknowledged")


@dataclass(frozen=True, slots=True)
class _QueueStatus:
    """The state of one queue.

    Attributes:
        name: the queue's name.
        ready: messages that wait, or None if there is no such queue.
        consumers: how many consumers it has.
        unacked: messages that consumers hold, from the management plug-in.
        published: messages per second published, likewise.
        acknowledged: messages per second acknowledged, likewise.
    """

    name: str
    ready: int | None
    consumers: int | None
    unacked: int | None = None
    published: float | None = None
    acknowledged: float | None = None


@cli.callback()
def main() -> None:
    """Keep `status` a command of its own."""


@cli.command()
def status(*, as_json: AsJson = False) -> None:
    """Show how many messages wait, where, for how long, and who takes them.

    Rates, and what consumers hold, need RABBITMQ_MANAGEMENT_URL.
    """
    settings = QueueSettings.load("sms")
    found = run(_status(settings))
    if as_json:
        show_record(found, as_json=True)
        return
    show_rows(found["queues"], _COLUMNS, as_json=False)
    show_record({name: found[name] for name in ("open_messages", "oldest_seconds")}, as_json=False)


async def _status(settings: QueueSettings) -> dict[str, Any]:
    queues = await _queues(settings)
    redis = redis_client.connect(settings.redis_url.get_secret_value())
    try:
        with redis_errors():
            messages = await MessageRepository(redis).open_messages(now())
    finally:
        await redis.aclose()
    return {"queues": queues, "open_messages": messages.count, "oldest_seconds": messages.oldest_seconds}


async def _queues(settings: QueueSettings) -> list[Row]:
    async with broker.open_connection(settings.amqp_urls) as connection:
        statuses = await _query_broker(connection, sms_queues(settings.sms_retry_delays))
    if settings.rabbitmq_management_url is not None:
        path = urlsplit(settings.amqp_urls[0]).path
        vhost = unquote(path.removeprefix("/")) or "/"
        statuses = await _query_management(
            settings.rabbitmq_management_url.get_secret_value(), vhost, statuses
        )
    return [asdict(status) for status in statuses]


async def _query_broker(connection: AbstractConnection, names: Sequence[str]) -> list[_QueueStatus]:
    """Return the depth of each queue, from passive declarations, which change nothing."""
    return [await _query_queue(connection, name) for name in names]


async def _query_queue(connection: AbstractConnection, name: str) -> _QueueStatus:
    channel = await connection.channel()  # a missing queue closes it
    try:
        declared = (await channel.declare_queue(name, passive=True)).declaration_result
    except ChannelNotFoundEntity:
        return _QueueStatus(name, None, None)
    await channel.close()
    return _QueueStatus(name, declared.message_count, declared.consumer_count)


async def _query_management(url: str, vhost: str, statuses: Sequence[_QueueStatus]) -> list[_QueueStatus]:
    """Return the statuses with the figures of the management plug-in: rates and unacknowledged messages.

    Raises:
        CommandFailed: the plug-in is unavailable.
    """
    try:
        async with _session(url) as session:
            return [await _add_rates(session, vhost, status) for status in statuses]
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


async def _add_rates(session: aiohttp.ClientSession, vhost: str, status: _QueueStatus) -> _QueueStatus:
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
