"""Reconciling attempts of unknown outcome with what the provider has on record."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from services.sms.delivery.models import UnknownOutcome, to_outgoing
from services.sms.provider.base import (
    UNAVAILABLE,
    Answer,
    DuplicateHint,
    Provider,
    SearchResult,
    SearchStatus,
    SendStatus,
)
from shared.clock import Clock
from shared.contracts.messages import SendCode


@dataclass(frozen=True, slots=True)
class ReconciliationPolicy:
    """The provider's timing that reconciliation relies on.

    Attributes:
        filter_window: seconds after the first unknown attempt during which the provider's duplicate
            filter refuses the same text, less the duration of a call.
        record_lag: seconds until an accepted message is certain to be in the provider's records.
    """

    filter_window: float
    record_lag: float


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What the provider's records say about an attempt of unknown outcome.

    Attributes:
        found: whether the message was accepted.
        available: whether every account could be asked.
        certain: whether a later lookup can give no other result.
        account: the account that accepted it.
        sid: the provider's id of the message.
    """

    found: bool
    available: bool
    certain: bool
    account: str = ""
    sid: str = ""

    def confirms(self, hint: DuplicateHint) -> bool:
        """Return whether a refusal as a duplicate means that the attempt was accepted.

        A limit of the number may have been reached by other texts, so it only counts if the provider's
        records could not be read.
        """
        return hint is DuplicateHint.CERTAIN or (hint is DuplicateHint.LIKELY and not self.available)

    def as_answer(self) -> Answer:
        """Return the answer that the attempt would have had, if it was accepted."""
        return Answer(SendStatus.ACCEPTED, "0", self.account, self.sid)


class Reconciler:
    """Finds out what became of attempts of unknown outcome.

    Args:
        provider: where messages are looked up.
        compose: returns the text of a message.
        policy: the provider's timing.
        clock: the current time, UTC.
    """

    def __init__(
        self,
        provider: Provider,
        compose: Callable[[SendCode], str],
        policy: ReconciliationPolicy,
        clock: Clock,
    ) -> None:
        self._provider = provider
        self._compose = compose
        self._policy = policy
        self._clock = clock

    def filter_applies(self, message: SendCode, unknown: UnknownOutcome) -> bool:
        """Return whether the provider would refuse the text now as a duplicate, had it been accepted.

        The filter works per account and only for texts.
        """
        account_known = bool(unknown.account) or len(self._provider.accounts) == 1
        return account_known and message.channel == "sms" and self._age(unknown) < self._policy.filter_window

    async def look_up(self, message: SendCode, unknown: UnknownOutcome) -> LookupResult:
        """Look a message up in the account of the attempt, or in all where the account is not known.

        A message that is not found may still show up until the provider's records have caught up. While a
        record may be the message's, nothing is certain: it is not sent again.
        """
        available = clear = True
        for account in [unknown.account] if unknown.account else self._provider.accounts:
            search = await self._search(account, message, unknown)
            if search.status is SearchStatus.FOUND:
                return LookupResult(found=True, available=True, certain=True, account=account, sid=search.sid)
            available = available and search.status is not SearchStatus.UNAVAILABLE
            clear = clear and search.status is SearchStatus.NOT_FOUND
        certain = clear and self._age(unknown) >= self._policy.record_lag
        return LookupResult(found=False, available=available, certain=certain, account=unknown.account)

    def may_wait(self, message: SendCode) -> bool:
        """Return whether to look again later: only for a short time after the code has expired."""
        return self._clock() < message.expires_at + timedelta(seconds=2 * self._policy.record_lag)

    async def _search(self, account: str, message: SendCode, unknown: UnknownOutcome) -> SearchResult:
        if message.channel != "sms":  # the records hold no calls, and a text of the same words is another
            return UNAVAILABLE
        outgoing = to_outgoing(message, self._compose(message))
        return await self._provider.find(account, outgoing, unknown.since)

    def _age(self, unknown: UnknownOutcome) -> float:
        return (self._clock() - unknown.since).total_seconds()
