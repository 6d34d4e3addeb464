"""Failover between several Yunpian accounts.

The next account is called only if the one before has certainly not accepted the message: there was no
connection, or the refusal concerns the account. It is never called after an unknown outcome, because its
duplicate filter does not know the text.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
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
from services.sms.provider.yunpian.error_codes import RULES, Rule, find_rule
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
        answers = [Answer(SendStatus.DEFERRED, "halted")]
        if message.channel == "sms":
            self._breaker.see(message.destination)
        try:
            for account, probed in self._usable(message, only_account):
                if account.name != recorded:
                    await on_failover(account.name)
                given = await self._admission.send(account, message, again=only_account is not None)
                answers.append(await self._update_circuits(message, given, probed))
                if not _may_fail_over(given):
                    break
            else:
                answers.append(self._last(answers, only_account))
        except Deferred as error:
            answers.append(Answer(SendStatus.DEFERRED, error.reason))
        self._breaker.refresh()
        return replace(answers[-1], halted=message.halted.union(*(answer.halted for answer in answers)))

    async def find(self, account: str, message: Outgoing, since: datetime) -> SearchResult:
        """Search for a text that an account accepted at `since` or later."""
        client = self._accounts.get(account)
        return await client.find(message, since) if client else UNAVAILABLE

    def _usable(
        self, message: Outgoing, only_account: str | None
    ) -> Iterator[tuple[YunpianClient, list[AccountChannel]]]:
        """Yield the accounts that may be called, and the half-open circuits that this message probes."""
        for name, account in self._accounts.items():
            if only_account not in {None, name}:
                continue
            blocking = self._circuits.blocking(AccountChannel(name, message.channel, message.destination))
            if not blocking:
                yield account, []
            elif self._circuits.try_half_open(blocking, yielding=name in message.halted):
                self._breaker.refresh()  # to consume no other message
                yield account, blocking

    async def _update_circuits(
        self, message: Outgoing, answer: Answer, probed: Sequence[AccountChannel]
    ) -> Answer:
        """Open and close circuits by an answer; return it as it is to be understood."""
        whole = AccountChannel(answer.account, message.channel)
        self._failures[whole] = self._failures.get(whole, 0) + 1 if answer.code in NOT_SENT_REASONS else 0
        try:
            if answer.status is SendStatus.DEFERRED:
                return await self._halt(message, answer, probed)
            if self._failures[whole] >= _UNREACHABLE_AFTER:
                await self._circuits.open(whole, UNREACHABLE)
            elif answer.status in _HEALTHY:
                for circuit in probed:
                    await self._circuits.close(circuit)
        except REDIS_FAILURES as error:
            log.warning("halt_not_shared", account=answer.account, error=type(error).__name__)
        return answer

    async def _halt(self, message: Outgoing, answer: Answer, probed: Sequence[AccountChannel]) -> Answer:
        """Open the circuit of a refusal, unless it is this message alone that is refused.

        That is so where the message has halted the account before and others were sent since.
        """
        rule = find_rule(int(answer.code))
        whole = AccountChannel(answer.account, message.channel)
        circuit = replace(whole, destination=message.destination) if rule.of_destination else whole
        if rule.of_destination and not probed and answer.account in message.halted:
            await self._circuits.refresh()  # another worker may have halted it meanwhile
            if not self._circuits.code(circuit):
                return _refused_alone(answer, rule)
        halted = frozenset({answer.account}) if rule.of_destination else frozenset()
        answer = replace(answer, halted=halted)
        await self._circuits.open(circuit, answer.code, answer.detail)
        if whole in probed and circuit != whole:  # its reason is gone, or was that of a destination
            await self._circuits.close(whole)
        return answer

    def _last(self, answers: Sequence[Answer], only_account: str | None) -> Answer:
        """Return the last account's answer; a rejection of the template holds if all have rejected it."""
        answer, called = answers[-1], answers[1:]
        if answer.status is not SendStatus.REJECTED or answer.of_number:
            return answer
        all_called = len(called) == (1 if only_account else len(self._accounts))
        if all_called and all(one.status is SendStatus.REJECTED for one in called):
            return answer
        return replace(answer, status=SendStatus.RETRY)


def _refused_alone(answer: Answer, rule: Rule) -> Answer:
    log.error(
        "provider_refused",
        account=answer.account,
        provider_code=int(answer.code),
        meaning=rule.meaning,
        detail=answer.detail,
    )
    return replace(answer, status=SendStatus.REJECTED if rule.of_template else SendStatus.RETRY)


def _may_fail_over(answer: Answer) -> bool:
    return answer.status is SendStatus.DEFERRED or answer.code in _NEXT_ACCOUNT_CODES
