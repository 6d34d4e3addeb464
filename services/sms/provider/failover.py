"""Failover between several Yunpian accounts.

The next account is called only if the one before has certainly not accepted the message: there was no
connection, or the refusal concerns the account. It is never called after an unknown outcome, because its
duplicate filter does not know the text.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import structlog

from services.sms.provider.admission import AdmissionControl, Deferred
from services.sms.provider.base import (
    UNAVAILABLE,
    Answer,
    OnFailover,
    Outgoing,
    SearchResult,
    SendStatus,
)
from services.sms.provider.circuit_breaker import (
    UNREACHABLE,
    AccountChannel,
    AccountCircuits,
    CircuitBreaker,
)
from services.sms.provider.yunpian.client import YunpianClient
from services.sms.provider.yunpian.error_codes import RULES
from services.sms.provider.yunpian.transport import NOT_SENT_REASONS
from shared.redis.client import REDIS_FAILURES

_UNREACHABLE_AFTER = 5
_NEXT_ACCOUNT_CODES = NOT_SENT_REASONS | {str(code) for code, rule in RULES.items() if rule.next_account}
_HEALTHY = frozenset({SendStatus.ACCEPTED, SendStatus.LIMITED, SendStatus.REJECTED})

log = structlog.get_logger()


class FailoverProvider:
    """Sends by the first account whose circuit is not open, and opens and closes circuits by the answers.

    Args:
        accounts: in order of preference.
        circuits: their circuits.
        admission: sends within the spend cap and the rate limit.
        breaker: refreshed when a circuit may have changed.
    """

    def __init__(
        self,
        accounts: Sequence[YunpianClient],
        circuits: AccountCircuits,
        admission: AdmissionControl,
        breaker: CircuitBreaker,
    ) -> None:
        self._accounts: Mapping[str, YunpianClient] = {account.name: account for account in accounts}
        self._circuits = circuits
        self._admission = admission
        self._breaker = breaker
        self._failures: dict[AccountChannel, int] = {}

    @property
    def accounts(self) -> Sequence[str]:
        """The names of the accounts, in order of preference."""
        return tuple(self._accounts)

    async def send(
        self, message: Outgoing, on_failover: OnFailover, *, only_account: str | None = None
    ) -> Answer:
        """Send one message; see `Provider.send`."""
        recorded = only_account or self.accounts[0]
        answer = Answer(SendStatus.DEFERRED, "halted")
        try:
            for account, half_open in self._usable(message, only_account):
                if account.name != recorded:
                    await on_failover(account.name)
                answer = await self._admission.send(account, message)
                channel = AccountChannel(account.name, message.channel)
                await self._update_circuit(channel, answer, half_open=half_open)
                if not _may_fail_over(answer):
                    break
        except Deferred as error:
            answer = Answer(SendStatus.DEFERRED, error.reason)
        self._breaker.refresh()
        return answer

    async def find(self, account: str, mobile: str, text: str, since: datetime) -> SearchResult:
        """Search for a text that an account accepted for a number at `since` or later."""
        client = self._accounts.get(account)
        return await client.find(mobile, text, since) if client else UNAVAILABLE

    def _usable(self, message: Outgoing, only_account: str | None) -> Iterator[tuple[YunpianClient, bool]]:
        """Yield the accounts that may be called, and whether their circuit is half-open."""
        for name, account in self._accounts.items():
            channel = AccountChannel(name, message.channel)
            if only_account not in {None, name}:
                continue
            if not self._circuits.code(channel):
                yield account, False
            elif self._circuits.try_half_open(channel):
                self._breaker.refresh()  # to consume no other message
                yield account, True

    async def _update_circuit(self, channel: AccountChannel, answer: Answer, *, half_open: bool) -> None:
        self._failures[channel] = self._failures.get(channel, 0) + 1 if answer.code in NOT_SENT_REASONS else 0
        try:
            if answer.status is SendStatus.DEFERRED:
                await self._circuits.open(channel, answer.code)
            elif self._failures[channel] >= _UNREACHABLE_AFTER:
                await self._circuits.open(channel, UNREACHABLE)
            elif half_open and answer.status in _HEALTHY:
                await self._circuits.close(channel)
        except REDIS_FAILURES as error:
            log.warning("halt_not_shared", account=channel.account, error=type(error).__name__)


def _may_fail_over(answer: Answer) -> bool:
    return answer.status is SendStatus.DEFERRED or answer.code in _NEXT_ACCOUNT_CODES
