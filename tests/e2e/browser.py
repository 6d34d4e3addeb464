"""A tab of a real browser that a test types and clicks in, by the DevTools protocol."""

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from deploy.local.private import private_environment, short_folder

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--window-size=1100,1000", "--remote-debugging-port=0",
)  # fmt: skip
_SECONDS = 30.0
_PAUSE_SECONDS = 0.05
_TRIES = 600


class Tab:
    """One page."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.requested: list[str] = []
        self.complaints: list[str] = []

    async def open(self, url: str) -> None:
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self._call(f"{domain}.enable")
        await self._call("Page.navigate", url=url)

    async def run(self, script: str) -> Any:
        """Return a script's value."""
        result = await self._call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def wait_for(self, script: str) -> Any:
        """Return a script's value once it is true."""
        for _ in range(_TRIES):
            if value := await self.run(script):
                return value
            await asyncio.sleep(_PAUSE_SECONDS)
        raise AssertionError(f"never true: {script}")

    async def type(self, field: str, text: str) -> None:
        await self.run(f"document.getElementById({json.dumps(field)}).value = {json.dumps(text)}")

    async def click(self, act: str) -> None:
        """Press one of the page's buttons and wait until it may be pressed again."""
        button = f"document.querySelector('[data-act={act}]')"
        await self.run(f"{button}.click()")
        await self.wait_for(f"!{button}.disabled")

    async def picture(self) -> bytes:
        return base64.b64decode((await self._call("Page.captureScreenshot"))["data"])

    async def _call(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(_SECONDS):
            while (message := await self._socket.receive_json()).get("id") != number:
                self._note(message)
        assert "error" not in message, message
        return message["result"]

    def _note(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        if message["method"] == "Network.requestWillBeSent":
            self.requested.append(params["request"]["url"])
        elif message["method"] == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"]))
        elif message["method"] == "Log.entryAdded" and params["entry"]["level"] in {"warning", "error"}:
            self.complaints.append(params["entry"]["text"])


@asynccontextmanager
async def browser_tab(chromium: Path) -> AsyncIterator[Tab]:
    """Start a browser with a new profile."""
    with short_folder("chromium-") as profile:
        async with _browser_tab(chromium, profile) as tab:
            yield tab


@asynccontextmanager
async def _browser_tab(chromium: Path, profile: Path) -> AsyncIterator[Tab]:
    process = await asyncio.create_subprocess_exec(
        chromium, *_FLAGS, f"--user-data-dir={profile}", "about:blank", env=private_environment(profile),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port = await _port(profile / "DevToolsActivePort")
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json") as response:
                pages = [target for target in await response.json() if target["type"] == "page"]
            address = pages[0]["webSocketDebuggerUrl"]
            async with session.ws_connect(address, max_msg_size=0) as socket:
                yield Tab(socket)
    finally:
        process.kill()
        await process.wait()


async def _port(file: Path) -> str:
    for _ in range(_TRIES):
        if port := _first_line(file):
            return port
        await asyncio.sleep(_PAUSE_SECONDS)
    raise AssertionError("the browser did not start")


def _first_line(file: Path) -> str:
    return file.read_text().partition("\n")[0] if file.exists() else ""
