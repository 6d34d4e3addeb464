"""`python -m services.sms queue …`."""

from dataclasses import asdict
from typing import Any
from urllib.parse import unquote, urlsplit

import typer

from services.sms.cli import broker
from services.sms.cli.output import AsJson, Row, redis_errors, run, show_record, show_rows
from services.sms.cli.queue_status import ask_broker, ask_management
from services.sms.delivery.open_messages import OpenMessages
from services.sms.settings import QueueSettings
from shared.amqp.topology import sms_queues
from shared.clock import now
from shared.redis import client as redis_client

cli = typer.Typer(no_args_is_help=True, help="The queues between auth and the provider.")

_COLUMNS = ("name", "ready", "unacked", "consumers", "published", "acknowledged")


@cli.callback()
def main() -> None:
    """Keep `status` a command of its own."""


@cli.command()
def status(*, as_json: AsJson = False) -> None:
    """Show how many messages wait, where, for how long, and who takes them.

    Rates, and what consumers hold, need RABBITMQ_MANAGEMENT_URL.
    """
    settings = QueueSettings.load()
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
            backlog = await OpenMessages(redis).backlog(now())
    finally:
        await redis.aclose()
    return {"queues": queues, "open_messages": backlog.count, "oldest_seconds": backlog.oldest_seconds}


async def _queues(settings: QueueSettings) -> list[Row]:
    async with broker.open_connection(settings.amqp_urls) as connection:
        statuses = await ask_broker(connection, sms_queues(settings.sms_retry_delays))
    if settings.rabbitmq_management_url is not None:
        path = urlsplit(settings.amqp_urls[0]).path
        vhost = unquote(path.removeprefix("/")) or "/"
        statuses = await ask_management(settings.rabbitmq_management_url.get_secret_value(), vhost, statuses)
    return [asdict(status) for status in statuses]
