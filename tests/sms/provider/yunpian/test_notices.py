"""Notices at Yunpian: a text that it has not approved must not stop the codes."""

from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from services.sms.provider.base import SendStatus
from services.sms.provider.setup import open_accounts
from services.sms.provider.yunpian.client import YunpianClient
from services.sms.provider.yunpian.error_codes import RULES
from services.sms.provider.yunpian.transport import new_session
from shared.observability.metrics import ProviderMetrics
from tests.support.provider import Simulator, outgoing, provider_settings, running_simulator

APPROVED = "您的密码已重置"
NOTICE = replace(outgoing(), code="", text=f"【Dialpass】{APPROVED}")


@pytest.fixture
async def yunpian(simulator: Simulator) -> AsyncIterator[YunpianClient]:
    async with new_session() as session:
        metrics = ProviderMetrics(CollectorRegistry())
        yield open_accounts(provider_settings(simulator.url), session, metrics)[0]


async def test_a_notice_without_an_approved_text_is_refused_alone(yunpian: YunpianClient) -> None:
    answer = await yunpian.send(NOTICE)
    assert (answer.status, answer.code) == (SendStatus.REJECTED, "5")


@pytest.mark.parametrize("code", [code for code, rule in RULES.items() if rule.of_template])
async def test_for_codes_a_refused_template_still_pauses_the_account(
    yunpian: YunpianClient, simulator: Simulator, code: int
) -> None:
    await simulator.fault(fault="code", code=code, times=2)
    assert (await yunpian.send(outgoing())).status is SendStatus.DEFERRED
    assert (await yunpian.send(NOTICE)).status is SendStatus.REJECTED


async def test_a_refused_account_pauses_for_notices_as_well(
    yunpian: YunpianClient, simulator: Simulator
) -> None:
    await simulator.fault(fault="code", code=3)
    assert (await yunpian.send(NOTICE)).status is SendStatus.DEFERRED


async def test_an_approved_notice_is_accepted(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTICE_PASSWORD_RESET", APPROVED)
    async with running_simulator(session) as simulator, new_session() as own:
        metrics = ProviderMetrics(CollectorRegistry())
        [account] = open_accounts(provider_settings(simulator.url), own, metrics)[:1]
        assert (await account.send(NOTICE)).status is SendStatus.ACCEPTED
