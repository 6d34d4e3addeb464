"""Alerts, dashboards and the cases of alerts name series that the running services expose."""

import asyncio
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.monitoring.dashboards import queries
from tests.support.client import Api, Phone, log_in, new_mobile, sign_up
from tests.support.system import System

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "monitoring" / "alerts.yaml"
CASES = sorted((Path(__file__).parent / "alerts").glob("*.yaml"))
JOBS = {"gateway": "GATEWAY_OPS_PORT", "auth": "AUTH_PORT", "sms": "SMS_PORT"}
# What the provider, the operator or the client chooses; every other value is from a closed set.
OPEN = {"account", "code", "dial_code", "prefix", "status"}
SELECTOR = re.compile(r"([a-z_:][a-z0-9_:]*)\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')

Series = tuple[str, str, Mapping[str, str]]
"""Job, name and labels."""


def expressions() -> Iterator[str]:
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        yield from (rule["expr"] for rule in group["rules"])
    yield from queries()


def selectors() -> list[str]:
    return sorted({found.group() for expression in expressions() for found in SELECTOR.finditer(expression)})


def case_series() -> list[str]:
    return sorted(
        {
            series["series"]
            for path in CASES
            for test in yaml.safe_load(path.read_text())["tests"]
            for series in test["input_series"]
        }
    )


async def scrape(session: aiohttp.ClientSession, system: System) -> list[Series]:
    found: list[Series] = [("", "up", {})]
    for job, port in JOBS.items():
        async with session.get(f"http://127.0.0.1:{system.env[port]}/metrics") as response:
            families = text_string_to_metric_families(await response.text())
        samples = [sample for family in families for sample in family.samples]
        found += [(job, sample.name, sample.labels) for sample in samples]
    return found


@pytest.fixture(name="scraped")
async def _scraped(system: System, session: aiohttp.ClientSession, api: Api, phone: Phone) -> list[Series]:
    """Sign up and fail in the ways that no closed set of labels tells of, then scrape all services."""
    mobile = new_mobile()
    await sign_up(api, phone, mobile)
    token = (await log_in(api, mobile))["token"]
    assert (await api.get("/me/", token)).status == 200
    assert (await api.post("/login/", {"mobile": mobile, "password": "not the password"})).status == 400
    number = new_mobile()
    assert (await api.post("/code/", {"mobile": number, "purpose": "login"})).status == 200
    wrong = "000000" if await phone.code(number) != "000000" else "111111"
    assert (await api.post("/login/code/", {"mobile": number, "code": wrong})).status == 400
    wanted = {
        "request_error", "rejected", "unknown_code", "unknown_outcome", "delivered", "failed",
        "dialpass_sms_queue_depth", "dialpass_sms_account_halted", "dialpass_sms_account_balance",
    }  # fmt: skip
    faults: list[dict[str, Any]] = [
        {"fault": "code", "code": 4}, {"fault": "code", "code": 10}, {"fault": "code", "code": 4711},
        {"fault": "accept_then_drop"}, {"fault": "code", "code": -5},
    ]  # fmt: skip
    for fault in faults:
        number = new_mobile()
        await phone.fault(mobile=number, times=1, **fault)
        assert (await api.post("/code/", {"mobile": number})).status == 200
    for status in ("FAIL", "SUCCESS"):
        number = new_mobile()
        await phone.outcome(mobile=number, status=status, delay=0, times=1)
        assert (await api.post("/code/", {"mobile": number})).status == 200

    deadline = time.monotonic() + 60
    while True:
        scraped = await scrape(session, system)
        seen = {name for _, name, _ in scraped}
        seen |= {labels["class"] for _, _, labels in scraped if "class" in labels}
        seen |= {labels["outcome"] for _, name, labels in scraped if name == "dialpass_sms_ended_total"}
        if wanted <= seen:
            return scraped
        assert time.monotonic() < deadline, wanted - seen
        await asyncio.sleep(0.2)


def comparable(label: str, value: str) -> str:
    """Return a value as it is compared: Prometheus writes the bounds of buckets in its own way."""
    return str(float(value)) if label == "le" else value


def wrong_values(scraped: list[Series], job: str, name: str, label: str, values: list[str]) -> set[str]:
    exposed = {
        comparable(label, labels[label])
        for exposing, series, labels in scraped
        if series == name and job in {"", exposing} and label in labels
    }
    return {comparable(label, value) for value in values} - exposed


async def test_alerts_and_dashboards_select_series_that_exist(scraped: list[Series]) -> None:
    wrong = []
    names = {(job, name) for job, name, _ in scraped} | {("", name) for _, name, _ in scraped}
    for selector in selectors():
        found = SELECTOR.fullmatch(selector)
        assert found is not None
        matchers = [(label, value.split("|")) for label, _, value in MATCHER.findall(found[2])]
        (jobs,) = [values for label, values in matchers if label == "job"] or [[""]]
        wrong += [selector for job in jobs if (job, found[1]) not in names and found[1] != "up"]
        assert set(jobs) - {""} <= set(JOBS), selector
        wrong += [
            selector
            for label, values in matchers
            if label not in OPEN | {"job"}
            and not (label == "route" and "~" in selector)
            and wrong_values(scraped, "", found[1], label, values)
        ]
    assert wrong == [], "\n".join(map(str, wrong))


async def test_cases_of_alerts_are_fed_with_series_that_exist(scraped: list[Series]) -> None:
    """An alert that never fires would pass with series that only its case has."""
    wrong = []
    for series in case_series():
        name, _, rest = series.partition("{")
        labels = {label: value for label, _, value in MATCHER.findall(rest)}
        job = labels.pop("job")
        labels.pop("instance", None)  # given only where a case has several
        exposed = [labels for exposing, found, labels in scraped if found == name and exposing in {job, ""}]
        if not exposed or set(labels) != set(exposed[0]):
            wrong.append((series, sorted(exposed[0]) if exposed else "not exposed"))
        elif any(
            wrong_values(scraped, job, name, label, [value])
            for label, value in labels.items()
            if label not in OPEN
        ):
            wrong.append((series, "value not exposed"))
    assert wrong == [], "\n".join(map(str, wrong))
