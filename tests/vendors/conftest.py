"""Other people's clients as processes, and the simulator that they call."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.provider import KEY, Simulator, running_simulator
from tests.vendors.environments import HERE, node_packages, python_packages

DRIVERS = HERE / "drivers"
Call = tuple[str, str, dict[str, Any]]
Answers = list[dict[str, Any]]
RunSdk = Callable[..., Awaitable[Answers]]

# The first run installs the clients.
slow_at_first = pytest.mark.timeout(400)


@pytest.fixture
async def simulator(session: aiohttp.ClientSession) -> AsyncIterator[Simulator]:
    """A simulator whose reports are there at once."""
    async with running_simulator(session) as simulator:
        async with session.post(f"{simulator.url}/_outcomes", json={"delay": 0}) as response:
            assert response.status == 201
        yield simulator


@pytest.fixture(params=["python", "npm"])
async def sdk(request: pytest.FixtureRequest, simulator: Simulator) -> RunSdk:
    """Makes calls with one of the SDKs, in one process, and returns its answers."""
    if request.param == "python":
        packages = await asyncio.to_thread(python_packages)
        # Without site-packages: nothing but the standard library and the SDK's own packages.
        command = [sys.executable, "-S", str(DRIVERS / "python_sdk.py")]
        environment = {"PYTHONPATH": str(packages)}
    else:
        packages = await asyncio.to_thread(node_packages)
        command = ["node", str(DRIVERS / "npm_sdk.mjs")]
        environment = {"VENDOR_PACKAGES": str(packages)}

    async def run_sdk(*calls: Call) -> Answers:
        return await run(command, environment, {"url": simulator.url, "key": KEY, "calls": calls})

    return run_sdk


@pytest.fixture
async def connector(simulator: Simulator) -> Callable[..., Awaitable[Answers]]:
    """Sends messages by Logto's connector."""
    packages = await asyncio.to_thread(node_packages)
    environment = {"VENDOR_PACKAGES": str(packages)}

    async def send(*messages: dict[str, str]) -> Answers:
        order = {"url": simulator.url, "key": KEY, "messages": messages}
        return await run(["node", str(DRIVERS / "connector.mjs")], environment, order)

    return send


async def run(command: list[str], environment: dict[str, str], order: dict[str, Any]) -> Answers:
    """Run a driver in a process and return what it writes."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={"PATH": os.environ["PATH"], "HOME": str(Path.home()), "NODE_NO_WARNINGS": "1", **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate(json.dumps(order).encode())
    assert process.returncode == 0, errors.decode()
    answers: Answers = json.loads(output)
    return answers
