"""Background work for the provider: refreshing and probing circuits, settling what was spent."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import ParamSpec

import structlog

from services.sms.provider.circuit_breaker import (
    UNREACHABLE,
    AccountChannel,
    AccountCircuits,
    CircuitBreaker,
)
from services.sms.provider.spend_cap import SpendCap
from services.sms.provider.yunpian.client import QueryFailed, YunpianClient
from services.sms.provider.yunpian.error_codes import find_rule
from shared.observability.metrics import ProviderMetrics
from shared.redis.client import REDIS_FAILURES
from shared.tasks import cancel, contain, supervise

_INTERVAL_SECONDS = 1.0
_BALANCE_EVERY = 300  # intervals
# Not at once: a worker that starts again and again must not ask the provider each time.
_BALANCE_FIRST = 30
_BALANCE_TOO_LOW = "3"

_P = ParamSpec("_P")

log = structlog.get_logger()


class ProviderMonitor:
    """Updates circuits, spend and breaker once a second; no open circuit closes without it.

    Args:
        accounts: in order of preference.
        circuits: their circuits.
        spend_cap: the daily spend cap.
        breaker: refreshed after each update.
        price: expected RMB of one part; the circuit of an account with a lower balance stays open.
        metrics: shows balances.
    """

    def __init__(
        self,
        accounts: Sequence[YunpianClient],
        circuits: AccountCircuits,
        spend_cap: SpendCap,
        breaker: CircuitBreaker,
        price: Decimal,
        metrics: ProviderMetrics,
    ) -> None:
        self._accounts: Mapping[str, YunpianClient] = {account.name: account for account in accounts}
        self._circuits = circuits
        self._spend_cap = spend_cap
        self._breaker = breaker
        self._price = price
        self._metrics = metrics
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start in the background."""
        self._running = self._keep(asyncio.create_task(supervise("provider", self._run)))

    def alive(self) -> bool:
        """Return whether it is running."""
        return self._running is not None and not self._running.done()

    async def close(self) -> None:
        """Stop, and settle what was spent."""
        self._stopping.set()  # before Python 3.12 a call of Redis may swallow the cancellation
        await asyncio.gather(*map(cancel, self._tasks))
        with suppress(*REDIS_FAILURES):
            await self._spend_cap.flush()

    async def _run(self) -> None:
        count = 0
        while not self._stopping.is_set():
            count += 1
            await self._update()
            if count % _BALANCE_EVERY == _BALANCE_FIRST:
                for account in self._accounts.values():
                    self._spawn(self._read_balance, account)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _INTERVAL_SECONDS)

    async def _update(self) -> None:
        try:
            await self._spend_cap.flush()
            await self._circuits.refresh()
            for channel in self._circuits.channels:
                if self._circuits.code(channel) and (probe := await self._circuits.take_probe(channel)):
                    self._spawn(self._probe, channel, self._circuits.code(channel), flaps=probe > 1)
        except REDIS_FAILURES as error:
            log.warning("provider_state_not_shared", error=type(error).__name__)
        self._breaker.refresh()

    async def _probe(self, channel: AccountChannel, code: str, *, flaps: bool) -> None:
        """Ask the account whether it has recovered; where only sending can tell, try a message.

        That is also so where the circuit has opened again right after it was closed: the account's state
        does not show what is wrong, such as money that does not suffice for a foreign text.
        """
        shown = _is_shown(channel, code)
        if shown and not await self._has_recovered(self._accounts[channel.account], code):
            return
        if shown and not flaps:
            with suppress(*REDIS_FAILURES):
                await self._circuits.close(channel)
        else:
            self._circuits.half_open(channel)
        self._breaker.refresh()

    async def _has_recovered(self, account: YunpianClient, code: str) -> bool:
        try:
            info = await account.info()
        except QueryFailed as error:
            return code == UNREACHABLE and error.answered
        self._metrics.balance.labels(account.name).set(float(info.balance))
        return code != _BALANCE_TOO_LOW or info.balance >= self._price

    async def _read_balance(self, account: YunpianClient) -> None:
        with suppress(QueryFailed):
            info = await account.info()
            self._metrics.balance.labels(account.name).set(float(info.balance))

    def _spawn(self, work: Callable[_P, Awaitable[None]], *args: _P.args, **kwargs: _P.kwargs) -> None:
        self._keep(asyncio.create_task(contain("provider_check", work, *args, **kwargs)))

    def _keep(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _is_shown(channel: AccountChannel, code: str) -> bool:
    """Return whether the account's state shows that a circuit can be closed; calls have their own host."""
    if code == UNREACHABLE:
        return channel.channel == "sms"
    return find_rule(int(code)).shown_by_account
