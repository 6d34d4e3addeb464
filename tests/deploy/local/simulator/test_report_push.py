"""Push of status reports."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote_plus

import aiohttp
import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from deploy.local.simulator.app import make_app
from deploy.local.simulator.settings import SimulatorSettings
from tests.support.client import eventually
from tests.support.simulated_account import Clock, unlimited_simulator

KEY = "0123456789abcdef0123456789abcdef"
TEXT = "【Dialpass】您的验证码是123456。如非本人操作，请忽略本短信"


class Customer:
    """Receives status reports and responds with `answers`, then with `SUCCESS`."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: list[tuple[int, str]] = []
        self.pushes: list[tuple[str, Any]] = []

    def take(self, form: dict[str, list[bytes]]) -> tuple[int, str]:
        ((name, (value,)),) = form.items()
        text = value.decode()
        self.pushes.append((name, json.loads(unquote_plus(text) if name == "voice_status" else text)))
        return self.answers.pop(0) if self.answers else (200, "SUCCESS")

    @property
    def sids(self) -> list[Any]:
        return [report["sid"] for _, reports in self.pushes for report in reports]


class Callback(RequestHandler):
    def initialize(self, customer: Customer) -> None:
        self.customer = customer

    def post(self) -> None:
        status, body = self.customer.take(self.request.body_arguments)
        self.set_status(status)
        self.finish(body)


async def serve(app: Application) -> AsyncIterator[str]:
    server = HTTPServer(app)
    sock, port = bind_unused_port()
    server.add_socket(sock)
    yield f"http://127.0.0.1:{port}"
    server.stop()
    await server.close_all_connections()


@pytest.fixture
async def customer() -> AsyncIterator[Customer]:
    customer = Customer()
    async for url in serve(Application([("/reports", Callback, {"customer": customer})])):
        customer.url = f"{url}/reports"
        yield customer


@pytest.fixture
async def url() -> AsyncIterator[str]:
    settings = SimulatorSettings(
        yunpian_api_key=KEY, simulator_report_delay=0, simulator_push_retry=0.05, voice_hours="00:00-24:00"
    )
    async for url in serve(make_app(settings)):
        yield url


async def post(session: aiohttp.ClientSession, url: str, **form: str) -> Any:
    async with session.post(url, data={"apikey": KEY, **form}) as response:
        return await response.json(content_type=None)


async def send(session: aiohttp.ClientSession, url: str, number: int = 0, **form: str) -> Any:
    mobile = f"138{number:08}"
    answer = await post(session, f"{url}/v2/sms/single_send.json", mobile=mobile, text=TEXT, **form)
    return answer["sid"]


async def pushes(session: aiohttp.ClientSession, url: str) -> list[dict[str, Any]]:
    async with session.get(f"{url}/_pushes") as response:
        tries: list[dict[str, Any]] = await response.json()
        return tries


async def script(session: aiohttp.ClientSession, url: str, **rule: Any) -> None:
    async with session.post(f"{url}/_outcomes", json=rule) as response:
        assert response.status == 201, await response.text()


async def test_a_report_is_pushed_to_the_requests_url(
    session: aiohttp.ClientSession, url: str, customer: Customer
) -> None:
    sid = await send(session, url, callback_url=customer.url, uid="u1")
    await eventually(lambda: bool(customer.pushes))
    ((name, (report,)),) = customer.pushes
    assert (name, report["sid"], report["uid"], report["report_status"]) == (
        "sms_status",
        sid,
        "u1",
        "SUCCESS",
    )


async def test_a_report_is_pushed_to_the_accounts_url(
    session: aiohttp.ClientSession, url: str, customer: Customer
) -> None:
    async with session.put(f"{url}/_account", json={"callback_url": customer.url}) as response:
        assert response.status == 200
    sid = await send(session, url)
    await eventually(lambda: customer.sids == [sid])


async def test_voice_calls_are_reported_in_a_separate_field(
    session: aiohttp.ClientSession, url: str, customer: Customer
) -> None:
    form = {"mobile": "13800000000", "code": "123456", "callback_url": customer.url}
    sid = (await post(session, f"{url}/v2/voice/send.json", **form))["sid"]
    await eventually(lambda: customer.sids == [sid])
    assert customer.pushes[0][0] == "voice_status"


async def test_without_a_url_reports_are_kept_until_pulled(
    session: aiohttp.ClientSession, url: str, customer: Customer
) -> None:
    sid = await send(session, url)
    assert [report["sid"] for report in await post(session, f"{url}/v2/sms/pull_status.json")] == [sid]
    assert await post(session, f"{url}/v2/sms/pull_status.json") == []
    assert (await post(session, f"{url}/v2/sms/pull_status.json", page_size="101"))["code"] == 2
    assert await pushes(session, url) == []


@pytest.mark.parametrize("refusal", [(200, "OK"), (200, ""), (503, "SUCCESS")])
async def test_an_unacknowledged_push_is_retried(
    session: aiohttp.ClientSession, url: str, customer: Customer, refusal: tuple[int, str]
) -> None:
    customer.answers = [refusal, (200, "0")]
    sid = await send(session, url, callback_url=customer.url)
    await eventually(lambda: customer.sids == [sid, sid])
    await asyncio.sleep(0.3)
    assert [(push["try"], push["acknowledged"]) for push in await pushes(session, url)] == [
        (1, False),
        (2, True),
    ]


async def test_after_three_retries_a_push_is_abandoned(
    session: aiohttp.ClientSession, url: str, customer: Customer
) -> None:
    customer.answers = [(500, "")] * 4
    await send(session, url, callback_url=customer.url)
    await eventually(lambda: len(customer.pushes) == 4)
    await asyncio.sleep(0.3)
    assert len(customer.pushes) == 4


async def test_an_unreachable_customer_is_retried(session: aiohttp.ClientSession, url: str) -> None:
    sock, port = bind_unused_port()
    sock.close()
    await send(session, url, callback_url=f"http://127.0.0.1:{port}/reports")
    for _ in range(100):
        if len(tries := await pushes(session, url)) == 4:
            break
        await asyncio.sleep(0.05)
    assert [(push["try"], push["status"]) for push in tries] == [(1, 0), (2, 0), (3, 0), (4, 0)]


async def test_a_report_can_be_pushed_twice(
    session: aiohttp.ClientSession, url: str, customer: Customer
) -> None:
    await script(session, url, copies=2, copies_after=0.2)
    sid = await send(session, url, callback_url=customer.url)
    await eventually(lambda: customer.sids == [sid, sid])
    assert len(customer.pushes) == 2


async def test_a_push_has_at_most_100_reports(
    session: aiohttp.ClientSession, url: str, customer: Customer
) -> None:
    await script(session, url, copies=10)
    await asyncio.gather(*(send(session, url, number, callback_url=customer.url) for number in range(12)))
    await eventually(lambda: len(customer.sids) == 120)
    assert max(len(reports) for _, reports in customer.pushes) <= 100
    assert len(customer.pushes) < 12


async def test_up_to_500_calls_are_reported_at_once_and_encoded_twice(customer: Customer) -> None:
    simulator = unlimited_simulator(Clock(), report_delay=0)
    calls = [simulator.first.send_voice(f"138{number:08}", "123456") for number in range(600)]
    for call in calls:
        simulator.deliver(simulator.first, call, customer.url)
    await eventually(lambda: len(customer.sids) == 600)
    assert {name for name, _ in customer.pushes} == {"voice_status"}
    assert sorted(len(reports) for _, reports in customer.pushes) == [100, 500]


async def test_a_report_of_an_unknown_fate_is_pushed(
    session: aiohttp.ClientSession, url: str, customer: Customer
) -> None:
    await script(session, url, status="UNKNOWN")
    await send(session, url, callback_url=customer.url)
    await eventually(lambda: bool(customer.pushes))
    assert customer.pushes[0][1][0]["report_status"] == "UNKNOWN"


async def test_a_reply_is_pushed_six_times_unless_it_is_acknowledged(
    session: aiohttp.ClientSession, url: str, customer: Customer
) -> None:
    customer.answers = [(400, "")] * 6
    async with session.put(f"{url}/_account", json={"callback_url": customer.url}) as response:
        assert response.status == 200
    async with session.post(f"{url}/_replies", json={"mobile": "13800000000", "text": "TD"}) as response:
        assert response.status == 202
    await eventually(lambda: len(customer.pushes) == 6)
    await asyncio.sleep(0.3)
    assert len(customer.pushes) == 6
    name, reply = customer.pushes[0]
    assert (name, reply["mobile"], reply["text"]) == ("sms_reply", "13800000000", "TD")


async def test_a_report_that_is_alone_can_come_without_an_array(
    session: aiohttp.ClientSession, url: str, customer: Customer
) -> None:
    terms = {"single_report_as_object": True, "report_sids": "missing"}
    async with session.put(f"{url}/_account", json=terms) as response:
        assert response.status == 200
    await send(session, url, callback_url=customer.url, uid="u1")
    await eventually(lambda: bool(customer.pushes))
    report = customer.pushes[0][1]
    assert isinstance(report, dict)
    assert (report.get("sid"), report["uid"]) == (None, "u1")


async def test_a_report_can_arrive_before_the_response(
    session: aiohttp.ClientSession, url: str, customer: Customer
) -> None:
    async with session.post(f"{url}/_faults", json={"fault": "slow_read", "seconds": 1}) as response:
        assert response.status == 201
    sending = asyncio.create_task(send(session, url, callback_url=customer.url))
    await eventually(lambda: bool(customer.pushes))
    assert not sending.done()
    assert customer.sids == [await sending]


async def test_the_inbox_shows_the_outcome_of_a_message(session: aiohttp.ClientSession, url: str) -> None:
    await script(session, url, status="FAIL", error_msg="UNDELIV", mobile="13800000001")
    await script(session, url, status="NONE", mobile="13800000002")
    for number in range(3):
        await send(session, url, number)
    async with session.get(f"{url}/_inbox") as response:
        shown = [(message["status"], message["error"]) for message in await response.json()]
    assert shown == [("delivered", None), ("failed", "UNDELIV"), ("accepted", None)]
