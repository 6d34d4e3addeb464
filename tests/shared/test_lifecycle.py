"""Health and the order of ending."""

import asyncio

import pytest

from shared.health import OK, Health
from shared.http.in_flight import InFlight
from shared.lifecycle import Service, _drain
from shared.settings import ServiceSettings


async def works() -> None:
    return


async def fails() -> None:
    raise ConnectionRefusedError("10.0.0.1:3306")


async def hangs() -> None:
    await asyncio.sleep(60)


async def test_readiness_names_each_dependency_and_no_address() -> None:
    state = await Health({"a": works, "b": fails}).readiness()
    assert (state.ready, dict(state.checks)) == (False, {"a": OK, "b": "failed: ConnectionRefusedError"})


async def test_a_check_that_hangs_is_cut_off() -> None:
    state = await Health({"a": hangs, "b": works}).readiness()
    assert dict(state.checks) == {"a": "timed out", "b": OK}


async def test_an_observed_dependency_takes_no_traffic_away() -> None:
    state = await Health({"a": works}, {"b": fails}).readiness()
    assert state.ready
    assert state.checks["b"] != OK


async def test_a_draining_process_is_not_ready() -> None:
    health = Health({"a": works})
    health.draining = True
    assert not (await health.readiness()).ready


async def test_checks_are_not_run_for_every_probe() -> None:
    runs: list[int] = []

    async def counted() -> None:
        runs.append(1)

    health = Health({"a": counted})
    for _ in range(10):
        await health.readiness()
    assert len(runs) == 1


def make_service(steps: list[str], in_flight: InFlight) -> Service:
    async def stop_intake() -> None:
        steps.append("stop intake")
        asyncio.get_running_loop().call_later(0.05, in_flight.leave)

    return Service(Health({}), lambda: steps.append("begin drain"), stop_intake, in_flight)


async def test_a_drain_lets_work_in_flight_end() -> None:
    steps: list[str] = []
    in_flight = InFlight()
    in_flight.enter()
    cut_off = await _drain(make_service(steps, in_flight), ServiceSettings(drain_delay=0, drain_timeout=5))
    assert (steps, cut_off, in_flight()) == (["begin drain", "stop intake"], 0, 0)


async def test_a_drain_ends_at_its_deadline_and_says_what_it_cut_off() -> None:
    in_flight = InFlight()
    for _ in range(3):
        in_flight.enter()
    settings = ServiceSettings(drain_delay=0, drain_timeout=0.2)
    assert await _drain(make_service([], in_flight), settings) == 2


@pytest.mark.parametrize("state", [True, False])
def test_liveness_is_the_processes_own(state: bool) -> None:  # noqa: FBT001
    assert Health({"a": fails}, alive=lambda: state).alive() is state
