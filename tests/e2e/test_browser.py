"""A real browser: cross-origin calls to the gateway, and the simulator's page."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from aiohttp import web

from deploy.local.private import private_environment, short_folder
from tests.support.client import Api, Phone, new_mobile
from tests.support.system import BROWSER_ORIGIN, System

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--virtual-time-budget=15000", "--dump-dom",
)  # fmt: skip


async def dom(chromium: Path, url: str) -> str:
    """Return a page's document once its scripts have come to rest."""
    with short_folder("chromium-") as profile:
        process = await asyncio.create_subprocess_exec(
            chromium, *_FLAGS, f"--user-data-dir={profile}", url, env=private_environment(profile),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        async with asyncio.timeout(60):
            output, _ = await process.communicate()
    return output.decode()


@pytest.fixture
async def page(phone: Phone) -> AsyncIterator[str]:
    """The client's page at an origin that the gateway allows; it hands on the code from the phone."""

    async def code(request: web.Request) -> web.Response:
        return web.Response(text=await phone.code(request.query["mobile"]))

    async def client(_: web.Request) -> web.FileResponse:
        return web.FileResponse(Path(__file__).with_name("page.html"))

    application = web.Application()
    application.add_routes([web.get("/", client), web.get("/code", code)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(BROWSER_ORIGIN.rpartition(":")[2])).start()
    yield BROWSER_ORIGIN
    await runner.cleanup()


async def test_a_page_of_an_allowed_origin_signs_up_and_in(chromium: Path, page: str, system: System) -> None:
    mobile = new_mobile()
    query = urlencode({"gateway": system.url, "mobile": mobile})
    document = await dom(chromium, f"{page}/?{query}")
    result = re.search(r'<pre id="result">(.*?)</pre>', document)
    assert result is not None
    assert json.loads(result.group(1)) == {
        "again": 429, "requestIdReadable": True, "registered": 200, "signedIn": 200, "mobile": mobile,
    }  # fmt: skip


async def test_the_inbox_page_shows_the_code(chromium: Path, system: System, api: Api, phone: Phone) -> None:
    mobile = new_mobile()
    await api.post("/code/", {"mobile": mobile})
    code = await phone.code(mobile)
    document = await dom(chromium, system.simulator_url + "/")
    assert re.search(rf'class="code"[^>]*>{code}<', document)
    assert mobile in document


async def test_the_inbox_page_shows_what_became_of_a_message(
    chromium: Path, system: System, api: Api, phone: Phone
) -> None:
    mobile = new_mobile()
    await phone.outcome(status="FAIL", error_msg="UNDELIV", mobile=mobile, delay=0)
    await api.post("/code/", {"mobile": mobile})
    await phone.code(mobile)
    document = await dom(chromium, system.simulator_url + "/")
    assert re.search(rf'{mobile}</span>.{{0,200}}class="tag failed">[^<]*UNDELIV', document)
