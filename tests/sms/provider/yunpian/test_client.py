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
from services.sms.provider.base import (
    NOT_FOUND,
    UNAVAILABLE,
    UNCLEAR,
    Answer,
    DuplicateHint,
    SearchResult,
    SearchStatus,
    SendStatus,
)
from services.sms.provider.setup import open_accounts
from services.sms.provider.yunpian.client import QueryFailed, YunpianClient
from services.sms.provider.yunpian.error_codes import RULES, ErrorClass
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

REFUSALS = [code for code in RULES if code != 0]
# The simulator words the scripted codes 2 and 11 as request errors.
SCRIPTED_CLASS = {2: ErrorClass.REQUEST_ERROR, 11: ErrorClass.REQUEST_ERROR}
UNKNOWN_OUTCOMES = ["drop", "reset", "accept_then_drop", "accept_then_reset", "bad_gateway_html",
            "accept_then_bad_gateway", "empty_503"]  # fmt: skip


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def yunpian(simulator: Simulator, registry: CollectorRegistry) -> AsyncIterator[YunpianClient]:
    async with new_session() as session:
        yield open_accounts(provider_settings(simulator.url), session, ProviderMetrics(registry))[0]


@pytest.fixture
async def impatient(simulator: Simulator) -> AsyncIterator[YunpianClient]:
    """A client that waits half a second for an answer."""
    timeout = aiohttp.ClientTimeout(total=1, sock_read=0.5)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        metrics = ProviderMetrics(CollectorRegistry())
        yield open_accounts(provider_settings(simulator.url), session, metrics)[0]


async def test_an_accepted_text_has_its_number_its_parts_and_its_price(
    yunpian: YunpianClient, simulator: Simulator, registry: CollectorRegistry
) -> None:
    answer = await yunpian.send(outgoing())

    [message] = await simulator.inbox()
    assert answer == Answer(SendStatus.ACCEPTED, "0", "main", str(message["sid"]), 1, Decimal("0.05"))
    assert message["text"] == TEXT
    labels = {"account": "main", "channel": "sms", "code": "0", "class": "accepted"}
    assert registry.get_sample_value("dialpass_sms_provider_answers_total", labels) == 1


@pytest.mark.parametrize("code", REFUSALS)
async def test_a_refusal_means_what_the_table_says(
    yunpian: YunpianClient, simulator: Simulator, code: int
) -> None:
    await simulator.fault(fault="code", code=code)

    answer = await yunpian.send(outgoing())

    error_class = SCRIPTED_CLASS.get(code, RULES[code].error_class)
    hint = RULES[code].duplicate_hint
    assert answer == Answer(error_class.status, str(code), "main", duplicate_hint=hint)
    assert await simulator.inbox() == []


async def test_an_unknown_code_is_a_doubt_and_logged(yunpian: YunpianClient, simulator: Simulator) -> None:
    await simulator.fault(fault="code", code=4711)

    with capture_logs() as logs:
        answer = await yunpian.send(outgoing())

    assert answer == Answer(SendStatus.UNKNOWN, "4711", "main")
    assert [(log["event"], log["provider_code"]) for log in logs] == [("provider_refused", 4711)]
    assert MOBILE not in str(logs)


async def test_a_bad_number_is_the_users_mistake(yunpian: YunpianClient) -> None:
    with capture_logs() as logs:
        answer = await yunpian.send(outgoing("12345"))

    assert (answer.status, answer.code) == (SendStatus.REJECTED, "2")
    assert logs == []


async def test_the_duplicate_filter_is_recognised(yunpian: YunpianClient) -> None:
    await yunpian.send(outgoing())

    with capture_logs() as logs:
        answer = await yunpian.send(outgoing())

    assert (answer.status, answer.code, answer.duplicate_hint) == (
        SendStatus.LIMITED,
        "8",
        DuplicateHint.CERTAIN,
    )
    assert [(log["event"], log["seconds"]) for log in logs] == [("number_limited", 30)]


@pytest.mark.parametrize("kind", UNKNOWN_OUTCOMES)
async def test_without_an_answer_the_outcome_is_unknown(
    yunpian: YunpianClient, simulator: Simulator, kind: str
) -> None:
    await simulator.fault(fault=kind)

    answer = await yunpian.send(outgoing())

    assert answer.status is SendStatus.UNKNOWN
    assert len(await simulator.inbox()) == kind.startswith("accept_then")


@pytest.mark.parametrize("kind", ["hang", "accept_then_hang"])
async def test_a_timeout_is_an_unknown_outcome(
    impatient: YunpianClient, simulator: Simulator, kind: str
) -> None:
    await simulator.fault(fault=kind)

    answer = await impatient.send(outgoing())

    assert (answer.status, answer.code) == (SendStatus.UNKNOWN, "timeout")


async def test_an_answer_that_trickles_times_out(impatient: YunpianClient, simulator: Simulator) -> None:
    await simulator.fault(fault="slow_read", seconds=20)

    answer = await impatient.send(outgoing())

    assert (answer.status, answer.code) == (SendStatus.UNKNOWN, "timeout")


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

    assert (answer.status, answer.code) == (SendStatus.RETRY, code)


async def test_a_broken_tls_handshake_sends_nothing() -> None:
    async def speak_plainly(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 this is not TLS\r\n")
        writer.close()

    async with await asyncio.start_server(speak_plainly, "127.0.0.1", 0) as server, new_session() as session:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yunpian = open_accounts(provider_settings(url), session, ProviderMetrics(CollectorRegistry()))[0]
        answer = await yunpian.send(outgoing())

    assert (answer.status, answer.code) == (SendStatus.RETRY, "tls")


async def test_a_call_reads_the_code_out(yunpian: YunpianClient, simulator: Simulator) -> None:
    answer = await yunpian.send(outgoing(channel="voice"))

    [message] = await simulator.inbox()
    assert message["channel"] == "voice"
    assert "123456" in message["text"]
    assert answer == Answer(SendStatus.ACCEPTED, "0", "main", message["sid"], 1, Decimal("0.05"))


async def test_a_refused_call_means_what_a_refused_text_does(
    yunpian: YunpianClient, simulator: Simulator
) -> None:
    await simulator.fault(fault="code", code=-11, endpoint="voice_send")

    answer = await yunpian.send(outgoing(channel="voice"))

    assert (answer.status, answer.code) == (SendStatus.DEFERRED, "-11")


async def test_a_code_that_cannot_be_read_out_is_not_sent(
    yunpian: YunpianClient, simulator: Simulator
) -> None:
    answer = await yunpian.send(outgoing(channel="voice", code="12345678"))

    assert answer.status is SendStatus.REJECTED
    assert await simulator.inbox() == []


@pytest.mark.parametrize("uid", [True, False], ids=["uid", "words"])
async def test_an_accepted_text_is_found_by_its_uid_or_its_words(
    yunpian: YunpianClient, simulator: Simulator, *, uid: bool
) -> None:
    since = now()
    await simulator.set_account(uid=uid)
    await simulator.fault(fault="accept_then_drop")
    await yunpian.send(outgoing())

    found = await yunpian.find(outgoing(), since)

    [message] = await simulator.inbox()
    assert found == SearchResult(SearchStatus.FOUND, str(message["sid"]))


async def test_the_record_of_another_message_is_not_taken_for_this_one(
    yunpian: YunpianClient, simulator: Simulator
) -> None:
    await yunpian.send(outgoing(message_id="another"))

    assert await yunpian.find(outgoing(), now()) == NOT_FOUND
    await simulator.set_account(uid=False, limits=False)
    await yunpian.send(outgoing(message_id="another"))
    assert await yunpian.find(outgoing(text="【Dialpass】您的验证码是654321"), now()) == UNCLEAR
    assert await yunpian.find(outgoing(), now() + timedelta(seconds=8)) == NOT_FOUND


async def test_a_search_without_an_answer_is_unavailable(
    yunpian: YunpianClient, simulator: Simulator
) -> None:
    await simulator.fault(fault="empty_503", endpoint="get_record")

    assert await yunpian.find(outgoing(), now()) == UNAVAILABLE


async def test_the_account_shows_its_balance_and_white_list(
    yunpian: YunpianClient, simulator: Simulator
) -> None:
    await simulator.set_account(balance=12.34, ip_whitelist=["127.0.0.1"])

    info = await yunpian.info()

    assert (info.balance, info.ip_whitelist) == (Decimal("12.34"), "127.0.0.1")


async def test_a_refused_query_has_a_reason(yunpian: YunpianClient, simulator: Simulator) -> None:
    await simulator.set_account(ip_whitelist=["192.0.2.1"])

    with pytest.raises(QueryFailed) as refused:
        await yunpian.info()

    assert (refused.value.reason, refused.value.answered) == ("-3", True)
