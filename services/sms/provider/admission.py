"""Admission control: each call that costs money needs room below the spend cap and in the rate limit."""

from decimal import Decimal

from services.sms.provider.base import Answer, Outgoing, SendStatus
from services.sms.provider.rate_limit import RateLimiter
from services.sms.provider.spend_cap import SpendCap
from services.sms.provider.yunpian.client import YunpianClient
from shared.clock import Clock

# A retry after an attempt of unknown outcome has to arrive while the duplicate filter knows the first text.
_MAX_WAIT_SECONDS = 5.0
# Characters of a text that is sent in one part, and of each part of a longer one.
_SINGLE_PART, _PER_PART = 70, 67


class Deferred(Exception):
    """The message may not be sent now.

    Attributes:
        reason: why.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class AdmissionControl:
    """Sends messages within the spend cap and the rate limit, and accounts for the money.

    Args:
        spend_cap: the daily spend cap.
        rate_limiter: the calls per second that all workers share; None for no limit.
        price: expected RMB of one part.
        clock: the current time, UTC.
    """

    def __init__(
        self, spend_cap: SpendCap, rate_limiter: RateLimiter | None, price: Decimal, clock: Clock
    ) -> None:
        self._spend_cap = spend_cap
        self._rate_limiter = rate_limiter
        self._price = price
        self._clock = clock

    async def send(self, account: YunpianClient, message: Outgoing, *, again: bool = False) -> Answer:
        """Send one message by an account.

        Args:
            account: the account to be called.
            message: what to send.
            again: whether the outcome of an earlier call is unknown: its price has been counted, and the
                text costs no more than once, since the duplicate filter catches another one.

        Raises:
            Deferred: the cap is reached, no slot was free in time, or the code expired meanwhile.
        """
        parts = count_parts(message)
        reservation = await self._spend_cap.reserve(parts)
        if reservation is None:
            raise Deferred("spend cap")
        spent = Decimal(0)
        try:
            await self._wait(message)
            spent = parts * self._price  # unless the answer names a fee
            answer = await account.send(message)
            if answer.status is not SendStatus.UNKNOWN:
                spent = answer.fee
            elif again:
                spent = Decimal(0)
        finally:
            self._spend_cap.settle(reservation, account.name, spent)
        return answer

    async def _wait(self, message: Outgoing) -> None:
        if self._rate_limiter is not None and not await self._rate_limiter.acquire(_MAX_WAIT_SECONDS):
            raise Deferred("send budget")
        if self._clock() >= message.expires_at:
            raise Deferred("expired")


def count_parts(message: Outgoing) -> int:
    """Return the number of parts that a message is billed as."""
    if message.channel == "voice" or len(message.text) <= _SINGLE_PART:
        return 1
    return -(-len(message.text) // _PER_PART)
