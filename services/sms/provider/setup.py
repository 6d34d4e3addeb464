"""Constructs the provider: the accounts, and the state that they share with other workers."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Literal

import aiohttp
from redis.asyncio import Redis

from services.sms.provider.admission import AdmissionControl
from services.sms.provider.base import Destination
from services.sms.provider.circuit_breaker import AccountChannel, AccountCircuits, CircuitBreaker
from services.sms.provider.failover import FailoverProvider
from services.sms.provider.monitor import ProviderMonitor
from services.sms.provider.rate_limit import RateLimiter
from services.sms.provider.spend_cap import SpendCap
from services.sms.provider.yunpian.client import YunpianClient
from services.sms.provider.yunpian.transport import YunpianTransport, new_session
from services.sms.provider.yunpian.voice import voice_url
from services.sms.settings import FIRST_ACCOUNT, AccountEntry, ProviderSettings
from services.sms.tracing import provider_trace_configs
from shared.clock import now
from shared.observability.metrics import ProviderMetrics
from shared.observability.tracing import OFF, Tracer
from shared.voice import VoiceHours


@dataclass(frozen=True, slots=True)
class ProviderParts:
    """The parts that the worker uses.

    Attributes:
        provider: sends messages and finds them.
        breaker: tells when to consume.
        monitor: updates the breaker.
        accounts: the clients, in order of preference.
    """

    provider: FailoverProvider
    breaker: CircuitBreaker
    monitor: ProviderMonitor
    accounts: Sequence[YunpianClient]


async def open_provider(
    settings: ProviderSettings,
    redis: Redis,
    metrics: ProviderMetrics,
    stack: AsyncExitStack,
    tracer: Tracer = OFF,
) -> ProviderParts:
    """Construct the parts and start the monitor; the stack closes them."""
    session = await stack.enter_async_context(new_session(provider_trace_configs(tracer)))
    accounts = open_accounts(settings, session, metrics)
    circuits = AccountCircuits(redis, _channels(accounts), metrics)
    spend_cap = SpendCap(redis, settings.sms_daily_spend_cap, settings.sms_price, metrics)
    breaker = CircuitBreaker(circuits, spend_cap, metrics)
    monitor = ProviderMonitor(accounts, circuits, spend_cap, breaker, settings.sms_price, metrics)
    stack.push_async_callback(monitor.close)
    monitor.start()
    rate = settings.sends_per_second
    limiter = None if rate is None else RateLimiter(redis, rate, metrics)
    admission = AdmissionControl(spend_cap, limiter, settings.sms_price, now)
    provider = FailoverProvider(accounts, circuits, admission, breaker)
    return ProviderParts(provider, breaker, monitor, accounts)


def _channels(accounts: Sequence[YunpianClient]) -> list[AccountChannel]:
    destinations: Sequence[Destination | Literal[""]] = ("", "home", "foreign")
    return [
        AccountChannel(account.name, channel, destination)
        for account in accounts
        for channel in ("sms", "voice")
        for destination in destinations
    ]


def open_accounts(
    settings: ProviderSettings, session: aiohttp.ClientSession, metrics: ProviderMetrics
) -> list[YunpianClient]:
    """Return clients for the accounts in the settings, in order of preference."""

    def open_account(entry: AccountEntry) -> YunpianClient:
        url = entry.base_url or settings.yunpian_base_url
        voice = settings.yunpian_voice_base_url or voice_url(url)
        transport = YunpianTransport(session, entry.api_key)
        return YunpianClient(entry.name, transport, url, voice, settings.sms_price, hours, metrics)

    hours = VoiceHours.parse(settings.voice_hours)
    first = AccountEntry(FIRST_ACCOUNT, settings.yunpian_api_key)
    return [open_account(entry) for entry in (first, *settings.yunpian_accounts)]
