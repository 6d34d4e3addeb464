"""Asking for a code, and asking what became of it."""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from services.auth.domain import CodeRequested
from services.auth.ports import Clock, Codes, SmsQueue, Statuses
from shared.errors import NotFound, Unavailable
from shared.message_status import MessageStatus
from shared.messages import Purpose, SendCode


@dataclass(frozen=True, slots=True)
class CodePolicy:
    """Lifetimes in seconds."""

    ttl: int
    cooldown: int


async def request_code(
    mobile: str,
    purpose: Purpose,
    *,
    codes: Codes,
    statuses: Statuses,
    queue: SmsQueue,
    policy: CodePolicy,
    clock: Clock,
) -> CodeRequested:
    """Make a code for a number and hand it to the SMS worker.

    Never looks at the accounts, so the answer cannot tell whether the number has one.

    Raises:
        TooManyCodes: inside the cooldown.
        SmsUnavailable: the broker did not store the message; no cooldown is taken.
        Unavailable: Redis is down.
    """
    message_id = secrets.token_hex(16)
    code = await codes.issue(mobile, purpose, message_id)
    now = clock()
    message = SendCode(
        message_id=message_id,
        mobile=mobile,
        code=code,
        purpose=purpose,
        created_at=now,
        expires_at=now + timedelta(seconds=policy.ttl),
    )
    try:
        # Before publishing: the worker may be done before a later write gets there.
        await statuses.put(message_id, MessageStatus("queued", now))
        await queue.publish(message)
    except BaseException as error:
        await codes.release_cooldown(mobile, message_id)
        if isinstance(error, Unavailable):
            await _mark_unsent(statuses, message_id, clock)
        raise
    return CodeRequested(message_id, policy.ttl, policy.cooldown)


async def _mark_unsent(statuses: Statuses, message_id: str, clock: Clock) -> None:
    try:
        await statuses.put(message_id, MessageStatus("failed", clock(), detail="not queued"))
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
