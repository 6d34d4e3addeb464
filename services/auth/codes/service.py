"""Asking for a code, and asking what became of it."""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from services.auth.errors import ChallengeRequired, Suspicious
from services.auth.models import Client, CodeRequested
from services.auth.ports import Challenges, Codes, SmsQueue, Statuses
from shared.clock import Clock
from shared.contracts.message_status import MessageStatus
from shared.contracts.messages import Channel, Purpose, SendCode
from shared.errors import NotFound, Unavailable


@dataclass(frozen=True, slots=True)
class CodePolicy:
    """Lifetimes in seconds."""

    ttl: int
    cooldown: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asks for; validated.

    Attributes:
        mobile: canonical number.
        purpose: what the code is to be good for.
        challenge: what the client solved, if anything.
        channel: a text, or a call that reads the code out.
    """

    mobile: str
    purpose: Purpose
    challenge: str | None = None
    channel: Channel = "sms"


async def request_code(
    asked: Asked,
    client: Client,
    *,
    codes: Codes,
    challenges: Challenges,
    statuses: Statuses,
    queue: SmsQueue,
    policy: CodePolicy,
    clock: Clock,
) -> CodeRequested:
    """Make a code for a number and hand it to the SMS worker.

    Never looks at the accounts, so the answer cannot tell whether the number has one.

    Raises:
        TooManyCodes: inside the cooldown, or a budget is used up.
        ChallengeRequired: the risk rules want a challenge solved first.
        SmsUnavailable: the broker did not store the message; no cooldown is taken.
        Unavailable: Redis is down.
    """
    message_id = secrets.token_hex(16)
    code = await _issue(asked, client, message_id, codes, challenges)
    now = clock()
    message = SendCode(
        message_id=message_id,
        mobile=asked.mobile,
        code=code,
        purpose=asked.purpose,
        channel=asked.channel,
        created_at=now,
        expires_at=now + timedelta(seconds=policy.ttl),
    )
    try:
        # Before publishing: the worker may be done before a later write gets there.
        await statuses.put(message_id, MessageStatus("queued", now))
        await queue.publish(message)
    except BaseException as error:
        await codes.release_cooldown(asked.mobile, message_id)
        if isinstance(error, Unavailable):
            await _mark_unsent(statuses, message_id, clock)
        raise
    return CodeRequested(message_id, policy.ttl, policy.cooldown)


async def _issue(asked: Asked, client: Client, request: str, codes: Codes, challenges: Challenges) -> str:
    solved = await challenges.solved(asked.challenge, asked.mobile)
    try:
        return await codes.issue(asked.mobile, asked.purpose, request, address=client.ip, solved=solved)
    except Suspicious as suspicion:
        raise ChallengeRequired(challenges.make(asked.mobile)) from suspicion


async def _mark_unsent(statuses: Statuses, message_id: str, clock: Clock) -> None:
    try:
        await statuses.abandon(message_id, clock())
    except Unavailable:
        return  # nobody knows the id: the client got an error instead of it


async def message_status(message_id: str, *, statuses: Statuses) -> MessageStatus:
    """Return the state of a message.

    Raises:
        NotFound: no such message, or it is older than a day.
    """
    status = await statuses.get(message_id)
    if status is None:
        raise NotFound
    return status
