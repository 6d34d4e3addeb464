import asyncio

import pytest

from shared.health import OK, Health


async def works() -> None:
    return


async def fails() -> None:
    raise ConnectionRefusedError("10.0.0.1:3306")


async def hangs() -> None:
    await asyncio.sleep(60)


async def test_readiness_names_each_dependency_without_its_address() -> None:
    state = await Health({"a": works, "b": fails}).readiness()
    assert (state.ready, dict(state.checks)) == (False, {"a": OK, "b": "failed: ConnectionRefusedError"})


async def test_a_check_that_hangs_times_out() -> None:
    state = await Health({"a": hangs, "b": works}).readiness()
    assert dict(state.checks) == {"a": "timed out", "b": OK}


async def test_an_observed_dependency_does_not_affect_readiness() -> None:
    state = await Health({"a": works}, {"b": fails}).readiness()
    assert state.ready
    assert state.checks["b"] != OK


async def test_a_draining_process_is_not_ready() -> None:
    health = Health({"a": works})
    health.draining = True
    assert not (await health.readiness()).ready


async def test_results_of_checks_are_cached() -> None:
    runs: list[int] = []

    async def counted() -> None:
        runs.append(1)

    health = Health({"a": counted})
    for _ in range(10):
        await health.readiness()
    assert len(runs) == 1


@pytest.mark.parametrize("state", [True, False])
def test_liveness_does_not_depend_on_checks(state: bool) -> None:  # noqa: FBT001
    assert Health({"a": fails}, alive=lambda: state).alive() is state
