"""The provider, put together: accounts, and what they share with the other workers."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp
from redis.asyncio import Redis

from services.sms.account_settings import FIRST, AccountEntry
from services.sms.provider.admission import Guard
from services.sms.provider.breaker import Breaker
from services.sms.provider.circuit_breaker import Halts, Line, describe
from services.sms.provider.failover import Accounts
from services.sms.provider.monitor import Watch
from services.sms.provider.rate_limit import NoBudget, SendBudget, SharedBudget
from services.sms.provider.spend_cap import Spend
from services.sms.provider.yunpian.client import Yunpian
from services.sms.provider.yunpian.transport import YunpianHttp, new_session
from services.sms.provider.yunpian.voice import voice_url
from services.sms.settings import ProviderSettings
from services.sms.tracing import provider_calls
from shared.clock import now
from shared.observability.metrics import ProviderMetrics
from shared.observability.tracing import OFF, Tracer


@dataclass(frozen=True, slots=True)
class ProviderParts:
    """What the pipeline uses of it.

    Attributes:
        provider: sends and finds.
        breaker: says when to consume.
        watch: looks after both; nothing resumes without it.
        accounts: what else is asked of Yunpian, in order of preference.
    """

    provider: Accounts
    breaker: Breaker
    watch: Watch
    accounts: Sequence[Yunpian]


async def open_provider(
    settings: ProviderSettings,
    redis: Redis,
    metrics: ProviderMetrics,
    stack: AsyncExitStack,
    tracer: Tracer = OFF,
) -> ProviderParts:
    """Construct everything between the pipeline and Yunpian, closed with the stack."""
    session = await stack.enter_async_context(new_session(provider_calls(tracer)))
    accounts = open_accounts(settings, session, metrics)
    halts = Halts(
        redis,
        [Line(account.name, channel) for account in accounts for channel in ("sms", "voice")],
        metrics,
    )
    spend = Spend(redis, settings.sms_daily_spend_cap, settings.sms_price, metrics)
    breaker = _new_breaker(halts, spend, metrics)
    watch = Watch(accounts, halts, spend, breaker, settings.sms_price, metrics)
    stack.push_async_callback(watch.close)
    watch.start()
    guard = Guard(spend, _new_budget(settings, redis, metrics), settings.sms_price, now)
    return ProviderParts(Accounts(accounts, halts, guard, breaker), breaker, watch, accounts)


def open_accounts(
    settings: ProviderSettings, session: aiohttp.ClientSession, metrics: ProviderMetrics
) -> list[Yunpian]:
    """Return the accounts that the settings name, in order of preference."""

    def account(entry: AccountEntry) -> Yunpian:
        url = entry.base_url or settings.yunpian_base_url
        voice = settings.yunpian_voice_base_url or voice_url(url)
        http = YunpianHttp(session, entry.api_key)
        return Yunpian(entry.name, http, url, voice, settings.sms_price, metrics)

    first = AccountEntry(FIRST, settings.yunpian_api_key)
    return [account(entry) for entry in (first, *settings.yunpian_accounts)]


def _new_budget(settings: ProviderSettings, redis: Redis, metrics: ProviderMetrics) -> SendBudget:
    rate = settings.sends_per_second
    return NoBudget() if rate is None else SharedBudget(redis, rate, metrics)


def _new_breaker(halts: Halts, spend: Spend, metrics: ProviderMetrics) -> Breaker:
    # Texts are what nearly all messages are: while none passes, calls wait with them in the queue.
    lines = [line for line in halts.lines if line.channel == "sms"]

    def find_reason() -> str:
        codes = {line.account: halts.code(line) for line in lines}
        if spend.reason or not all(codes.values()):
            return spend.reason
        return "; ".join(f"{account}: {describe(code)}" for account, code in codes.items())

    def may_probe() -> bool:
        return not spend.reason and any(halts.on_trial(line) for line in lines)

    return Breaker(find_reason, may_probe, metrics)
