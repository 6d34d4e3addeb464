"""Doubts: what can be found out about an attempt that may have been accepted."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from services.sms.delivery.models import Doubt
from services.sms.provider.base import UNKNOWN, Found, Provider, Search
from shared.clock import Clock
from shared.contracts.messages import SendCode


@dataclass(frozen=True, slots=True)
class DoubtPolicy:
    """How doubts are settled.

    Attributes:
        window: seconds after the first attempt in doubt during which the provider's filter of
            repeated texts catches a second one, with room for the call itself.
        lag: seconds until what the provider has accepted can be looked up for certain.
    """

    window: float
    lag: float


@dataclass(frozen=True, slots=True)
class Finding:
    """What the provider says of an attempt in doubt.

    Attributes:
        found: whether it has accepted it.
        answered: whether it could be asked.
        certain: whether its answer is the last word.
        account: the account that it was found in.
        sid: the provider's number of it.
    """

    found: bool
    answered: bool
    certain: bool
    account: str = ""
    sid: str = ""


@dataclass(frozen=True, slots=True)
class Doubts:
    """Tells what is known of attempts in doubt."""

    provider: Provider
    compose: Callable[[SendCode], str]
    policy: DoubtPolicy
    clock: Clock

    def filter_catches(self, message: SendCode, doubt: Doubt) -> bool:
        """Tell whether the provider would refuse the text now, had it accepted it in that attempt.

        Only the account that was called knows, and only for texts.
        """
        known = bool(doubt.account) or len(self.provider.accounts) == 1
        return known and message.channel == "sms" and self._age(doubt) < self.policy.window

    async def find(self, message: SendCode, doubt: Doubt) -> Finding:
        """Look a message up in the account of the doubt, or in all where nobody knows which it was.

        That it is not there is certain only once the provider's records have caught up.
        """
        answered = True
        for account in [doubt.account] if doubt.account else self.provider.accounts:
            found = await self._ask(account, message, doubt)
            if found.search is Search.FOUND:
                return Finding(found=True, answered=True, certain=True, account=account, sid=found.sid)
            answered = answered and found.search is Search.NOT_FOUND
        certain = answered and self._age(doubt) >= self.policy.lag
        return Finding(found=False, answered=answered, certain=certain, account=doubt.account)

    def may_wait(self, message: SendCode) -> bool:
        """Tell whether a doubt may still be open: not for long after the code has died."""
        return self.clock() < message.expires_at + timedelta(seconds=2 * self.policy.lag)

    async def _ask(self, account: str, message: SendCode, doubt: Doubt) -> Found:
        if message.channel != "sms":  # calls are in no record, and a text of the same words is none
            return UNKNOWN
        return await self.provider.find(account, message.mobile, self.compose(message), doubt.since)

    def _age(self, doubt: Doubt) -> float:
        return (self.clock() - doubt.since).total_seconds()
