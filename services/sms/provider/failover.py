"""The pipeline's provider: several Yunpian accounts, in order of preference.

The next account is asked only where the one before has certainly not accepted the message: no connection,
or a refusal that concerns the account. Never in doubt: its filter of repeated texts would not know.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import structlog

from services.sms.provider.admission import Guard, NotNow
from services.sms.provider.base import UNKNOWN, Announce, Answer, Found, Outgoing, Verdict
from services.sms.provider.breaker import Breaker
from services.sms.provider.circuit_breaker import UNREACHABLE, Halts, Line
from services.sms.provider.yunpian.client import Yunpian
from services.sms.provider.yunpian.error_codes import CODES
from services.sms.provider.yunpian.transport import NOT_SENT
from shared.redis.client import REDIS_FAILURES

_UNREACHABLE_AFTER = 5
_NEXT_ACCOUNT = NOT_SENT | {str(code) for code, rule in CODES.items() if rule.next_account}
_ANSWERED = frozenset({Verdict.ACCEPTED, Verdict.LIMITED, Verdict.PERMANENT})

log = structlog.get_logger()


class Accounts:
    """Sends by the first account that is not halted; learns from the answers which one is.

    Args:
        accounts: in order of preference.
        halts: which of their lines are halted.
        guard: lets calls pass.
        breaker: told when a halt may have changed it.
    """

    def __init__(self, accounts: Sequence[Yunpian], halts: Halts, guard: Guard, breaker: Breaker) -> None:
        self._accounts: Mapping[str, Yunpian] = {account.name: account for account in accounts}
        self._halts = halts
        self._guard = guard
        self._breaker = breaker
        self._failures: dict[Line, int] = {}

    @property
    def accounts(self) -> Sequence[str]:
        """The names of the accounts, in order of preference."""
        return tuple(self._accounts)

    async def send(self, message: Outgoing, announce: Announce, *, only_account: str | None = None) -> Answer:
        """Send one message; every failure is an answer, none is raised."""
        on_record = only_account or self.accounts[0]
        answer = Answer(Verdict.HALTED, "halted")
        try:
            for account, trial in self._usable(message, only_account):
                if account.name != on_record:
                    await announce(account.name)
                answer = await self._guard.send(account, message)
                await self._learn(Line(account.name, message.channel), answer, trial=trial)
                if not _next_may_try(answer):
                    break
        except NotNow as error:
            answer = Answer(Verdict.HALTED, error.why)
        self._breaker.refresh()
        return answer

    async def find(self, account: str, mobile: str, text: str, since: datetime) -> Found:
        """Look up whether an account accepted a text for a number at `since` or later."""
        known = self._accounts.get(account)
        return await known.find(mobile, text, since) if known else UNKNOWN

    def _usable(self, message: Outgoing, only: str | None) -> Iterator[tuple[Yunpian, bool]]:
        """Yield the accounts that may be asked, and whether it is for a trial."""
        for name, account in self._accounts.items():
            line = Line(name, message.channel)
            if only not in {None, name}:
                continue
            if not self._halts.code(line):
                yield account, False
            elif self._halts.use_trial(line):
                self._breaker.refresh()  # one message, not more
                yield account, True

    async def _learn(self, line: Line, answer: Answer, *, trial: bool) -> None:
        self._failures[line] = self._failures.get(line, 0) + 1 if answer.code in NOT_SENT else 0
        try:
            if answer.verdict is Verdict.HALTED:
                await self._halts.halt(line, answer.code)
            elif self._failures[line] >= _UNREACHABLE_AFTER:
                await self._halts.halt(line, UNREACHABLE)
            elif trial and answer.verdict in _ANSWERED:
                await self._halts.resume(line)
        except REDIS_FAILURES as error:
            log.warning("halt_not_shared", account=line.account, error=type(error).__name__)


def _next_may_try(answer: Answer) -> bool:
    return answer.verdict is Verdict.HALTED or answer.code in _NEXT_ACCOUNT
