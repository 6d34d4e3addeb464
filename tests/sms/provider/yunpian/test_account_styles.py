"""The client with accounts that answer in other types and units."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.sms.provider.base import DuplicateHint, SendStatus
from services.sms.provider.setup import open_accounts
from services.sms.provider.yunpian.client import QueryFailed, YunpianClient
from services.sms.provider.yunpian.transport import new_session
from shared.observability.metrics import ProviderMetrics
from tests.support.provider import FOREIGN_MOBILE, MOBILE, Simulator, outgoing, provider_settings

CHINA = timedelta(hours=8)


@pytest.fixture
async def open_client(simulator: Simulator) -> AsyncIterator[Callable[..., YunpianClient]]:
    async with new_session() as session:

        def open_client(**settings: Any) -> YunpianClient:
            metrics = ProviderMetrics(CollectorRegistry())
            return open_accounts(provider_settings(simulator.url, **settings), session, metrics)[0]

        yield open_client


@pytest.fixture
def yunpian(open_client: Callable[..., YunpianClient]) -> YunpianClient:
    return open_client()


async def test_codes_may_be_strings(yunpian: YunpianClient, simulator: Simulator) -> None:
    await simulator.set_account(codes_as_text=True)

    first, second = await yunpian.send(outgoing()), await yunpian.send(outgoing())
    await simulator.set_account(ip_whitelist=["192.0.2.1"])
    with pytest.raises(QueryFailed) as refused:
        await yunpian.info()

    assert (first.status, first.code) == (SendStatus.ACCEPTED, "0")
    assert (second.status, second.code) == (SendStatus.LIMITED, "8")
    assert second.duplicate_hint is DuplicateHint.CERTAIN
    assert (refused.value.reason, refused.value.answered) == ("-3", True)


@pytest.mark.parametrize("style", ["null", "missing"])
@pytest.mark.parametrize("channel", ["sms", "voice"])
async def test_an_acceptance_may_have_no_sid(
    yunpian: YunpianClient, simulator: Simulator, style: str, channel: Any
) -> None:
    await simulator.set_account(answer_sids=style)

    answer = await yunpian.send(outgoing(channel=channel))

    assert (answer.status, answer.code, answer.sid, answer.parts) == (SendStatus.ACCEPTED, "0", "", 1)


async def test_a_balance_in_pieces_is_shown_in_money(
    open_client: Callable[..., YunpianClient], simulator: Simulator
) -> None:
    yunpian = open_client(sms_price=Decimal("0.04"))
    await simulator.set_account(unit="COUNT", balance=1001)

    answer = await yunpian.send(outgoing())
    info = await yunpian.info()

    assert (answer.fee, answer.parts) == (Decimal("0.04"), 1)
    assert (info.balance, info.alarm_balance) == (Decimal(40), Decimal(4))


async def test_a_calls_fee_does_not_tell_what_the_account_is_billed_in(
    yunpian: YunpianClient, simulator: Simulator
) -> None:
    await simulator.set_account(limits=False, balance=100)

    await yunpian.send(outgoing())
    await yunpian.send(outgoing(channel="voice"))

    assert (await yunpian.info()).balance == Decimal("99.9")


def closed_hours() -> str:
    """Return hours, China time, that begin in about six hours and end before now comes again."""
    opens = (datetime.now(UTC) + CHINA + timedelta(hours=6)).replace(minute=0)
    return f"{min(opens.hour, 22):02}:00-{min(opens.hour, 22) + 1:02}:00"


async def test_a_mainland_number_is_not_called_at_night(
    open_client: Callable[..., YunpianClient], simulator: Simulator
) -> None:
    yunpian = open_client(voice_hours=closed_hours())

    home = await yunpian.send(outgoing(channel="voice"))
    foreign = await yunpian.send(outgoing(FOREIGN_MOBILE, channel="voice"))
    text = await yunpian.send(outgoing())

    assert (home.status, home.code, home.of_number) == (SendStatus.REJECTED, "not called now", True)
    assert foreign.status is text.status is SendStatus.ACCEPTED
    assert [message["mobile"] for message in await simulator.inbox()] == [FOREIGN_MOBILE, MOBILE]


async def test_a_call_waits_for_the_morning_where_its_code_lives_long_enough(
    open_client: Callable[..., YunpianClient], simulator: Simulator
) -> None:
    yunpian = open_client(voice_hours=closed_hours())

    answer = await yunpian.send(outgoing(channel="voice", life=timedelta(days=2)))

    assert (answer.status, answer.code) == (SendStatus.RETRY, "not called now")
    assert await simulator.inbox() == []
