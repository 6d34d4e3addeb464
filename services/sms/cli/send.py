"""`python -m services.sms send`: a test of the whole way to a phone."""

import asyncio
import secrets
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

import phonenumbers
import typer
from redis.asyncio import Redis

from services.sms.cli import broker
from services.sms.cli.output import EXIT_FAILED, AsJson, Row, redis_errors, run, show_record
from services.sms.delivery.repository import MessageRepository
from services.sms.settings import MessageSettings
from shared.amqp.topology import declare_sms_topology
from shared.clock import now
from shared.contracts.message_status import MessageStatus, MessageStatuses
from shared.contracts.messages import Channel, SendCode
from shared.phone import InvalidMobile, mask_mobile, parse_mobile
from shared.redis import client as redis_client
from shared.security.sealing import Sealer

_POLL_SECONDS = 0.2
_LIFETIME = timedelta(minutes=10)
_DIGITS = 6
_SENT = frozenset({"accepted", "delivered"})
_FINAL = _SENT | {"failed", "limited", "expired"}


def send(
    mobile: Annotated[str, typer.Option(help="The number; +… where it is none of the mainland.")],
    channel: Annotated[Channel, typer.Option(help="sms or voice.")] = "sms",
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for the end.")] = 30,
    *,
    delivered: Annotated[bool, typer.Option("--delivered", help="Wait for the phone's report.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send a code that is good for nothing, through queue, worker and provider, and tell what became of it.

    Ends with status 1 where it was not sent, or has no end in time.
    """
    try:
        number = parse_mobile(mobile, phonenumbers.SUPPORTED_REGIONS)
    except InvalidMobile:
        raise typer.BadParameter("takes a mobile number", param_hint="--mobile") from None
    wanted = _FINAL - {"accepted"} if delivered else _FINAL
    record = run(_send(MessageSettings.load("sms"), _message(number, channel), wait, wanted))
    show_record(record, as_json=as_json)
    if record["state"] not in wanted & _SENT:
        raise typer.Exit(EXIT_FAILED)


def _message(mobile: str, channel: Channel) -> SendCode:
    return SendCode(
        message_id=secrets.token_hex(16),
        mobile=mobile,
        code="".join(secrets.choice("0123456789") for _ in range(_DIGITS)),
        purpose="login",
        channel=channel,
        created_at=now(),
        expires_at=now() + _LIFETIME,
    )


async def _send(settings: MessageSettings, message: SendCode, wait: float, wanted: frozenset[str]) -> Row:
    sealer = Sealer(settings.message_secrets)
    redis = redis_client.connect(settings.redis_url.get_secret_value())
    try:
        with redis_errors():
            await MessageStatuses(redis).put(message.message_id, MessageStatus("queued", now()))
        async with broker.open_channel(settings.amqp_urls) as channel:
            await declare_sms_topology(channel)
            await broker.publish(channel, sealer, message)
        with redis_errors():
            record = await _follow(redis, message.message_id, wait, wanted)
    finally:
        await redis.aclose()
    return {"message_id": message.message_id, "mobile": mask_mobile(message.mobile), **record}


async def _follow(redis: Redis, message_id: str, wait: float, wanted: frozenset[str]) -> Mapping[str, str]:
    repository, deadline = MessageRepository(redis), time.monotonic() + wait
    while (record := await repository.fields(message_id)).get("state") not in wanted:
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(_POLL_SECONDS)
    return {"state": "unknown", **record}
