"""What happens beside the messages: sharing halts, probing halted accounts, writing what was spent."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal

import structlog

from services.sms.provider.breaker import Breaker
from services.sms.provider.circuit_breaker import UNREACHABLE, Halts, Line
from services.sms.provider.spend_cap import Spend
from services.sms.provider.yunpian.client import CannotAsk, Yunpian
from services.sms.provider.yunpian.error_codes import CODES
from shared.observability.metrics import ProviderMetrics
from shared.redis.client import REDIS_FAILURES

_SECONDS = 1.0
_BALANCE_EVERY = 300
_BALANCE_TOO_LOW = "3"

log = structlog.get_logger()


class Watch:
    """Looks after halts, spend and breaker once a second.

    Args:
        accounts: in order of preference.
        halts: which of their lines are halted.
        spend: the daily spend cap.
        breaker: told to look again.
        price: RMB that a part is expected to cost; with less an account stays halted.
        metrics: shows balances.
    """

    def __init__(
        self,
        accounts: Sequence[Yunpian],
        halts: Halts,
        spend: Spend,
        breaker: Breaker,
        price: Decimal,
        metrics: ProviderMetrics,
    ) -> None:
        self._accounts: Mapping[str, Yunpian] = {account.name: account for account in accounts}
        self._halts = halts
        self._spend = spend
        self._breaker = breaker
        self._price = price
        self._metrics = metrics
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._running = self._spawn(self._run())

    def alive(self) -> bool:
        """Tell whether it goes on."""
        return self._running is not None and not self._running.done()

    async def close(self) -> None:
        """End, after writing what was spent."""
        self._stopping.set()  # before Python 3.12 a call of Redis may swallow the cancellation
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(*REDIS_FAILURES):
            await self._spend.flush()

    async def _run(self) -> None:
        count = 0
        while not self._stopping.is_set():
            count += 1
            await self._look()
            if count % _BALANCE_EVERY == 0:
                for account in self._accounts.values():
                    self._spawn(self._read_balance(account))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _SECONDS)

    async def _look(self) -> None:
        try:
            await self._spend.flush()
            await self._halts.refresh()
            for line in self._halts.lines:
                if self._halts.code(line) and await self._halts.take_probe(line):
                    self._spawn(self._probe(line, self._halts.code(line)))
        except REDIS_FAILURES as error:
            log.warning("provider_state_not_shared", error=type(error).__name__)
        self._breaker.refresh()

    async def _probe(self, line: Line, code: str) -> None:
        if code == UNREACHABLE or CODES[int(code)].account_tells:
            if await self._recovered(self._accounts[line.account], code):
                with suppress(*REDIS_FAILURES):
                    await self._halts.resume(line)
        else:
            self._halts.grant_trial(line)
        self._breaker.refresh()

    async def _recovered(self, account: Yunpian, code: str) -> bool:
        try:
            info = await account.info()
        except CannotAsk as error:
            return code == UNREACHABLE and error.answered
        self._metrics.balance.labels(account.name).set(float(info.balance))
        return code != _BALANCE_TOO_LOW or info.balance >= self._price

    async def _read_balance(self, account: Yunpian) -> None:
        with suppress(CannotAsk):
            info = await account.info()
            self._metrics.balance.labels(account.name).set(float(info.balance))

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)
        return task

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("watch_crashed", exc_info=error)
