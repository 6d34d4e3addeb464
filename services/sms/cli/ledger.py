"""`python -m services.sms ledger …`."""

from collections.abc import Mapping

import typer

from services.sms.cli.output import AsJson, fail, redis_errors, run, show_record
from services.sms.delivery.repository import MessageRepository
from shared.redis import client as redis_client
from shared.settings import RedisSettings

cli = typer.Typer(no_args_is_help=True, help="The record of each message.")


@cli.callback()
def main() -> None:
    """Keep `show` a command of its own."""


@cli.command()
def show(message_id: str, *, as_json: AsJson = False) -> None:
    """Show what is on record about a message; it holds neither number nor code."""
    settings = RedisSettings.load("sms")
    record = run(_record(settings, message_id))
    if not record:
        fail("no such message, or it is older than a day")
    show_record({"message_id": message_id, **record}, as_json=as_json)


async def _record(settings: RedisSettings, message_id: str) -> Mapping[str, str]:
    redis = redis_client.connect(settings.redis_url.get_secret_value())
    try:
        with redis_errors():
            return await MessageRepository(redis).fields(message_id)
    finally:
        await redis.aclose()
