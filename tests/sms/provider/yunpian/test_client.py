"""The Yunpian client against the simulator: every code, and every way in which there is none."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from deploy.local.ports import free_port
from services.sms.provider.base import NOT_FOUND, UNKNOWN, Answer, Filtered, Found, Search, Verdict
from services.sms.provider.setup import open_accounts
from services.sms.provider.yunpian.client import CannotAsk, Yunpian
from services.sms.provider.yunpian.error_codes import CODES, Class
from services.sms.provider.yunpian.transport import new_session
from shared.clock import now
from shared.observability.metrics import ProviderMetrics
from tests.support.provider import (
    MOBILE,
    TEXT,
    Simulator,
    outgoing,
    provider_settings,
)

REFUSALS = [code for code in CODES if code != 0]
# The simulator words a scripted 2 and 11 as our own mistakes.
SCRIPTED_CLASS = {2: Class.BUG, 11: Class.BUG}
IN_DOUBT = ["drop", "reset", "accept_then_drop", "accept_then_reset", "bad_gateway_html",
            "accept_then_bad_gateway", "empty_503"]  # fmt: skip


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def yunpian(simulator: Simulator, registry: CollectorRegistry) -> AsyncIterator[Yunpian]:
    async with new_session() as session:
        yield open_accounts(provider_settings(simulator.url), session, ProviderMetrics(registry))[0]


@pytest.fixture
async def impatient(simulator: Simulator) -> AsyncIterator[Yunpian]:
    """A client that waits half a second for an answer."""
    timeout = aiohttp.ClientTimeout(total=1, sock_read=0.5)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        metrics = ProviderMetrics(CollectorRegistry())
        yield open_accounts(provider_settings(simulator.url), session, metrics)[0]


async def test_an_accepted_text_has_its_number_its_parts_and_its_price(
    yunpian: Yunpian, simulator: Simulator, registry: CollectorRegistry
) -> None:
    answer = await yunpian.send(outgoing())

    [message] = await simulator.inbox()
    assert answer == Answer(Verdict.ACCEPTED, "0", "main", str(message["sid"]), 1, Decimal("0.05"))
    assert message["text"] == TEXT
    labels = {"account": "main", "channel": "sms", "code": "0", "class": "D"}
    assert registry.get_sample_value("dialpass_sms_provider_answers_total", labels) == 1


@pytest.mark.parametrize("code", REFUSALS)
async def test_a_refusal_means_what_the_table_says(yunpian: Yunpian, simulator: Simulator, code: int) -> None:
    await simulator.fault(fault="code", code=code)

    answer = await yunpian.send(outgoing())

    class_ = SCRIPTED_CLASS.get(code, CODES[code].class_)
    assert answer == Answer(class_.verdict, str(code), "main", filtered=CODES[code].filtered)
    assert await simulator.inbox() == []


async def test_a_code_that_nobody_knows_is_retried_and_reported(
    yunpian: Yunpian, simulator: Simulator
) -> None:
    await simulator.fault(fault="code", code=4711)

    with capture_logs() as logs:
        answer = await yunpian.send(outgoing())

    assert answer == Answer(Verdict.RETRY, "4711", "main", once=True)
    assert [(log["event"], log["code"]) for log in logs] == [("provider_refused", 4711)]
    assert MOBILE not in str(logs)


async def test_a_bad_number_is_the_users_mistake(yunpian: Yunpian) -> None:
    with capture_logs() as logs:
        answer = await yunpian.send(outgoing("12345"))

    assert (answer.verdict, answer.code) == (Verdict.PERMANENT, "2")
    assert logs == []


async def test_the_filter_of_repeated_texts_is_recognised(yunpian: Yunpian) -> None:
    await yunpian.send(outgoing())

    with capture_logs() as logs:
        answer = await yunpian.send(outgoing())

    assert (answer.verdict, answer.code, answer.filtered) == (Verdict.LIMITED, "8", Filtered.STRONG)
    assert [(log["event"], log["seconds"]) for log in logs] == [("number_limited", 30)]


@pytest.mark.parametrize("kind", IN_DOUBT)
async def test_without_an_answer_nobody_knows(yunpian: Yunpian, simulator: Simulator, kind: str) -> None:
    await simulator.fault(fault=kind)

    answer = await yunpian.send(outgoing())

    assert answer.verdict is Verdict.AMBIGUOUS
    assert len(await simulator.inbox()) == kind.startswith("accept_then")


@pytest.mark.parametrize("kind", ["hang", "accept_then_hang"])
async def test_an_answer_that_does_not_come_in_time_is_in_doubt(
    impatient: Yunpian, simulator: Simulator, kind: str
) -> None:
    await simulator.fault(fault=kind)

    answer = await impatient.send(outgoing())

    assert (answer.verdict, answer.code) == (Verdict.AMBIGUOUS, "timeout")


async def test_an_answer_that_trickles_is_cut_off(impatient: Yunpian, simulator: Simulator) -> None:
    await simulator.fault(fault="slow_read", seconds=20)

    answer = await impatient.send(outgoing())

    assert (answer.verdict, answer.code) == (Verdict.AMBIGUOUS, "timeout")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        (f"http://127.0.0.1:{free_port()}", "connect"),
        ("http://nowhere.invalid", "dns"),
    ],
)
async def test_without_a_connection_nothing_was_sent(url: str, code: str) -> None:
    async with new_session() as session:
        yunpian = open_accounts(provider_settings(url), session, ProviderMetrics(CollectorRegistry()))[0]
        answer = await yunpian.send(outgoing())

    assert (answer.verdict, answer.code) == (Verdict.RETRY, code)


async def test_a_broken_tls_handshake_sends_nothing() -> None:
    async def speak_plainly(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 this is not TLS\r\n")
        writer.close()

    async with await asyncio.start_server(speak_plainly, "127.0.0.1", 0) as server, new_session() as session:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yunpian = open_accounts(provider_settings(url), session, ProviderMetrics(CollectorRegistry()))[0]
        answer = await yunpian.send(outgoing())

    assert (answer.verdict, answer.code) == (Verdict.RETRY, "tls")


async def test_a_call_reads_the_code_out(yunpian: Yunpian, simulator: Simulator) -> None:
    answer = await yunpian.send(outgoing(channel="voice"))

    [message] = await simulator.inbox()
    assert message["channel"] == "voice"
    assert "123456" in message["text"]
    assert answer == Answer(Verdict.ACCEPTED, "0", "main", message["sid"], 1, Decimal("0.05"))


async def test_a_refused_call_means_what_a_refused_text_does(yunpian: Yunpian, simulator: Simulator) -> None:
    await simulator.fault(fault="code", code=-11, endpoint="voice_send")

    answer = await yunpian.send(outgoing(channel="voice"))

    assert (answer.verdict, answer.code) == (Verdict.HALTED, "-11")


async def test_a_code_that_cannot_be_read_out_is_refused_here(yunpian: Yunpian, simulator: Simulator) -> None:
    answer = await yunpian.send(outgoing(channel="voice", code="12345678"))

    assert answer.verdict is Verdict.PERMANENT
    assert await simulator.inbox() == []


async def test_an_accepted_text_is_found_by_its_words(yunpian: Yunpian, simulator: Simulator) -> None:
    since = now()
    await simulator.fault(fault="accept_then_drop")
    await yunpian.send(outgoing())

    found = await yunpian.find(MOBILE, TEXT, since)

    [message] = await simulator.inbox()
    assert found == Found(Search.FOUND, str(message["sid"]))


async def test_another_text_and_an_earlier_one_are_not_found(yunpian: Yunpian) -> None:
    await yunpian.send(outgoing())

    assert await yunpian.find(MOBILE, "【Dialpass】您的验证码是654321", now()) == NOT_FOUND
    assert await yunpian.find(MOBILE, TEXT, now() + timedelta(seconds=8)) == NOT_FOUND


async def test_a_search_without_an_answer_finds_nothing_out(yunpian: Yunpian, simulator: Simulator) -> None:
    await simulator.fault(fault="empty_503", endpoint="get_record")

    assert await yunpian.find(MOBILE, TEXT, now()) == UNKNOWN


async def test_the_account_shows_its_balance_and_white_list(yunpian: Yunpian, simulator: Simulator) -> None:
    await simulator.set_account(balance=12.34, ip_whitelist=["127.0.0.1"])

    info = await yunpian.info()

    assert (info.balance, info.ip_whitelist) == (Decimal("12.34"), "127.0.0.1")


async def test_a_refused_question_says_why(yunpian: Yunpian, simulator: Simulator) -> None:
    await simulator.set_account(ip_whitelist=["192.0.2.1"])

    with pytest.raises(CannotAsk) as refused:
        await yunpian.info()

    assert (refused.value.why, refused.value.answered) == ("-3", True)
