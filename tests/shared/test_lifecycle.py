"""Draining a service."""

import asyncio

from shared.health import Health
from shared.http.in_flight import InFlight
from shared.lifecycle import Service, drain
from shared.settings import ServiceSettings


def make_service(steps: list[str], in_flight: InFlight) -> Service:
    async def stop_intake() -> None:
        steps.append("stop intake")
        asyncio.get_running_loop().call_later(0.05, in_flight.leave)

    return Service(Health({}), lambda: steps.append("begin drain"), stop_intake, in_flight)


async def test_a_drain_waits_for_work_in_flight() -> None:
    steps: list[str] = []
    in_flight = InFlight()
    in_flight.enter()
    interrupted = await drain(make_service(steps, in_flight), ServiceSettings(drain_delay=0, drain_timeout=5))
    assert (steps, interrupted, in_flight()) == (["begin drain", "stop intake"], 0, 0)


async def test_a_drain_ends_at_its_deadline_and_says_what_it_interrupted() -> None:
    in_flight = InFlight()
    for _ in range(3):
        in_flight.enter()
    settings = ServiceSettings(drain_delay=0, drain_timeout=0.2)
    assert await drain(make_service([], in_flight), settings) == 2
