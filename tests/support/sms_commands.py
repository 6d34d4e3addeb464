"""The worker's commands, run as an operator runs them, and dead letters to run them on."""

import json
import os
import secrets
import subprocess
import sys
from datetime import timedelta
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel

from services.sms.messaging import headers
from shared.amqp.topology import DEAD_KEY, DEAD_QUEUE
from shared.clock import now
from shared.contracts.messages import SendCode, SendCodeV2, encode_send_code
from shared.security.sealing import Sealer
from tests.support.system import MESSAGE_SECRET, ROOT, System

SEALER = Sealer([MESSAGE_SECRET])
CODE = "975318"
Done = subprocess.CompletedProcess[str]


def sms(system: System, *command: str, answer: str = "", **env: str) -> Done:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "services.sms", *command],
        cwd=ROOT, env=os.environ | system.env | env, input=answer, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip


def rows(done: Done) -> Any:
    """Return what a command printed as JSON."""
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def message(mobile: str, lifetime: timedelta = timedelta(minutes=5)) -> SendCode:
    return SendCode(
        message_id=secrets.token_hex(16), mobile=mobile, code=CODE, purpose="login",
        created_at=now() - timedelta(minutes=10), expires_at=now() + lifetime,
    )  # fmt: skip


async def put_dead(channel: AbstractChannel, dead: SendCode, reason: str = "refused") -> str:
    """Put a message into the dead letter queue as the worker does, and return its id."""
    letter_headers = headers.dead_letter_headers(
        "request-1", reason=reason, code="5", attempts=2, died_at=now()
    )
    exchange = await channel.get_exchange("sms", ensure=False)
    body = encode_send_code(dead, SEALER)
    letter = aio_pika.Message(
        body, type=SendCodeV2.TYPE, message_id=dead.message_id, headers=dict(letter_headers)
    )
    await exchange.publish(letter, DEAD_KEY)
    return dead.message_id


async def depth(channel: AbstractChannel) -> int:
    declared = (await channel.declare_queue(DEAD_QUEUE, passive=True)).declaration_result
    return declared.message_count or 0
