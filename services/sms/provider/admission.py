"""What stands before each call that costs money: the daily spend cap and the shared send budget."""

from decimal import Decimal

from services.sms.provider.base import Answer, Outgoing, Verdict
from services.sms.provider.rate_limit import SendBudget
from services.sms.provider.spend_cap import Spend
from services.sms.provider.yunpian.client import Yunpian
from shared.clock import Clock

# A resend after an attempt in doubt has to arrive while the provider's filter knows the first text.
_LONGEST_WAIT_SECONDS = 5.0
_ONE_PART, _PER_PART = 70, 67


class NotNow(Exception):
    """The message may not be sent now; `why` says so."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Guard:
    """Lets a call pass when there is money and a slot for it, and keeps account of both.

    Args:
        spend: the daily spend cap.
        budget: the sends per second that all workers share.
        price: RMB that a part is expected to cost.
        clock: tells whether a code has expired while it waited.
    """

    def __init__(self, spend: Spend, budget: SendBudget, price: Decimal, clock: Clock) -> None:
        self._spend = spend
        self._budget = budget
        self._price = price
        self._clock = clock

    async def send(self, account: Yunpian, message: Outgoing) -> Answer:
        """Send one message by an account.

        Raises:
            NotNow: the cap is reached, no slot came in time, or the code has expired meanwhile.
        """
        parts = count_parts(message)
        reservation = await self._spend.reserve(parts)
        if reservation is None:
            raise NotNow("spend cap")
        spent = Decimal(0)
        try:
            await self._wait(message)
            spent = parts * self._price  # unless the answer tells more
            answer = await account.send(message)
            if answer.verdict is not Verdict.AMBIGUOUS:
                spent = answer.fee
        finally:
            self._spend.settle(reservation, account.name, spent)
        return answer

    async def _wait(self, message: Outgoing) -> None:
        if not await self._budget.take(_LONGEST_WAIT_SECONDS):
            raise NotNow("send budget")
        if self._clock() >= message.expires_at:
            raise NotNow("expired")


def count_parts(message: Outgoing) -> int:
    """Return how many messages one is billed as."""
    if message.channel == "voice" or len(message.text) <= _ONE_PART:
        return 1
    return -(-len(message.text) // _PER_PART)
