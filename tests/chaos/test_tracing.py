"""Traces as a collector gets them, from the client's request to the call of the provider."""

import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import aiohttp
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from deploy.local.ports import free_port
from deploy.local.servers import Servers
from tests.support.client import Api, Phone, eventually, new_mobile, sign_up
from tests.support.system import API_KEY, System, make_system

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CLIENT = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
PASSWORD = "correct horse 电池"


@dataclass
class Collector:
    """Takes spans by OTLP over HTTP, as a real collector does."""

    url: str
    bodies: list[bytes] = field(default_factory=list)

    def spans(self, trace: str = TRACE) -> dict[str, dict[str, Any]]:
        """Return a trace's spans by their id."""
        found: dict[str, dict[str, Any]] = {}
        for body in list(self.bodies):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                service = next(
                    each.value.string_value
                    for each in resource.resource.attributes
                    if each.key == "service.name"
                )
                for span in (span for scope in resource.scope_spans for span in scope.spans):
                    if span.trace_id.hex() == trace:
                        found[span.span_id.hex()] = {
                            "service": service, "name": span.name, "parent": span.parent_span_id.hex(),
                            "failed": span.status.code == span.status.STATUS_CODE_ERROR,
                        }  # fmt: skip
        return found

    def names(self, trace: str = TRACE) -> list[str]:
        return sorted(span["name"] for span in self.spans(trace).values())


@pytest.fixture(name="collector", scope="module")
def _collector() -> Iterator[Collector]:
    collector = Collector("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                collector.bodies.append(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        log_message = lambda *_: None  # noqa: E731

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield collector
    server.shutdown()
    server.server_close()


@pytest.fixture(name="traced", scope="module")
def _traced(
    servers: Servers, mysql_url: str, collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("traced")
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
    system = make_system(servers, mysql_url, folder, SMS_RETRY_DELAYS="1,2,3", **settings)
    with system.running():
        yield system


@pytest.fixture(name="client")
async def _client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


@pytest.fixture(name="traced_api")
def _traced_api(client: aiohttp.ClientSession, traced: System) -> Api:
    return Api(client, traced.url)


@pytest.fixture(name="traced_phone")
def _traced_phone(client: aiohttp.ClientSession, traced: System) -> Phone:
    return Phone(client, traced.simulator_url)


async def test_one_trace_leads_from_the_client_to_the_provider(
    collector: Collector, traced_api: Api, traced_phone: Phone
) -> None:
    mobile = new_mobile()
    assert (await traced_api.post("/code/", {"mobile": mobile}, headers=CLIENT)).status == 200
    await traced_phone.code(mobile)
    await eventually(lambda: len(collector.spans()) >= 5)
    spans = collector.spans()
    (last,) = (number for number, span in spans.items() if span["name"] == "POST /v2/sms/single_send.json")
    way = []
    while last != PARENT:
        way.append((spans[last]["service"], spans[last]["name"]))
        last = spans[last]["parent"]
    assert way[::-1] == [
        ("dialpass-gateway", "POST /code"),
        ("dialpass-auth", "POST /code/"),
        ("dialpass-auth", "publish sms.send_code"),
        ("dialpass-sms", "process sms.send_code"),
        ("dialpass-sms", "POST /v2/sms/single_send.json"),
    ]
    assert not any(span["failed"] for span in spans.values())


async def test_a_message_that_waits_for_its_second_try_stays_in_its_trace(
    collector: Collector, traced_api: Api, traced_phone: Phone
) -> None:
    mobile, trace = new_mobile(), "1" * 32
    await traced_phone.fault(fault="code", code=-51, mobile=mobile, times=1)
    headers = {"traceparent": f"00-{trace}-{PARENT}-01"}
    await traced_api.post("/code/", {"mobile": mobile}, headers=headers)
    await traced_phone.code(mobile)
    await eventually(lambda: collector.names(trace).count("process sms.send_code") == 2)
    await eventually(lambda: collector.names(trace).count("POST /v2/sms/single_send.json") == 2)


async def test_logs_name_the_trace(traced: System, traced_api: Api) -> None:
    trace = "2" * 32
    await traced_api.post("/login/", {}, headers={"traceparent": f"00-{trace}-{PARENT}-01"})
    await eventually(lambda: f'"trace_id": "{trace}"' in traced.auth.log.read_text())


async def test_no_span_holds_a_secret(collector: Collector, traced_api: Api, traced_phone: Phone) -> None:
    mobile, trace = new_mobile(), "3" * 32
    await sign_up(traced_api, traced_phone, mobile, PASSWORD)
    signed_in = await traced_api.post(
        "/login/",
        {"mobile": mobile, "password": PASSWORD},
        headers={"traceparent": f"00-{trace}-{PARENT}-01"},
    )
    await eventually(lambda: len(collector.spans(trace)) == 2)
    code = await traced_phone.code(mobile)
    sent = b"".join(collector.bodies)
    for secret in (
        mobile,
        mobile[3:],
        code,
        PASSWORD,
        API_KEY,
        signed_in["token"],
        signed_in["refresh_token"],
    ):
        assert secret.encode() not in sent


@pytest.mark.long
async def test_a_collector_that_is_gone_costs_nothing_but_the_spans(
    traced: System, traced_api: Api, traced_phone: Phone
) -> None:
    assert set(traced.stop().values()) == {0}
    nowhere = f"http://127.0.0.1:{free_port()}"
    for process in traced.all:
        process.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = nowhere
    traced.start()
    await sign_up(traced_api, traced_phone, new_mobile())
    began = time.monotonic()
    assert set(traced.stop().values()) == {0}
    assert time.monotonic() - began < 30
