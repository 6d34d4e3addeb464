"""A real Prometheus scrapes the running system and answers the dashboards' queries."""

import asyncio
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from deploy.local.ports import free_port
from deploy.local.programs import ensure_programs, require
from tests.monitoring.dashboards import queries
from tests.support.client import Api, Phone, new_mobile, sign_up
from tests.support.system import ROOT, System, http_status

PORTS = {"gateway": "GATEWAY_OPS_PORT", "auth": "AUTH_PORT", "sms": "SMS_PORT"}
# The series of a sign-up and a sign-in.
SEEN = (
    'dialpass_http_requests_total{job="gateway"}', 'dialpass_http_requests_total{job="auth"}',
    "dialpass_codes_total", "dialpass_registrations_total", "dialpass_sign_ins_total",
    "dialpass_sms_messages_total", "dialpass_sms_provider_answers_total",
    "dialpass_sms_provider_seconds_bucket", "dialpass_password_hashes_total", "process_resident_memory_bytes",
)  # fmt: skip


@pytest.fixture(name="prometheus")
def _prometheus(system: System, tmp_path: Path) -> Iterator[str]:
    ensure_programs("prometheus")
    settings = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ROOT / "deploy" / "monitoring" / "alerts.yaml")],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{system.env[port]}"]}]}
            for job, port in PORTS.items()
        ],
    }
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(settings))
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        str(require("prometheus")), f"--config.file={tmp_path / 'prometheus.yaml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address={url.removeprefix('http://')}",
    ]  # fmt: skip
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while http_status(f"{url}/-/ready") != 200:
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()[-2000:]
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


async def ask(session: aiohttp.ClientSession, url: str, query: str) -> list[Any]:
    async with session.get(f"{url}/api/v1/query", params={"query": query}) as response:
        answer = await response.json()
    assert answer["status"] == "success", (query, answer)
    return list(answer["data"]["result"])


async def test_the_dashboards_show_a_sign_up_and_no_alert_fires(
    prometheus: str, session: aiohttp.ClientSession, api: Api, phone: Phone
) -> None:
    mobile = new_mobile()
    await sign_up(api, phone, mobile, "correct horse 电池")
    assert (await api.post("/login/", {"mobile": mobile, "password": "correct horse 电池"})).status == 200

    deadline = time.monotonic() + 60
    for series in SEEN:
        while not await ask(session, prometheus, f"count_over_time({series.partition('{')[0]}[5m]) > 2"):
            assert time.monotonic() < deadline, f"{series} is not there"
            await asyncio.sleep(0.2)
        assert await ask(session, prometheus, series)

    answers = {query: await ask(session, prometheus, query) for query in queries()}
    expected = [query for query in answers if any(series.partition("{")[0] in query for series in SEEN)]
    narrow = ("5..", "unsent", "!=", "wrong")  # a healthy system has none
    assert [query for query in expected if not answers[query] and not any(n in query for n in narrow)] == []
    async with session.get(f"{prometheus}/api/v1/alerts") as response:
        alerts = (await response.json())["data"]["alerts"]
    assert [alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"] == []
