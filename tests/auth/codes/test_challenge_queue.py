"""Solutions of challenges that are checked at the same time."""

import asyncio
import base64
import json
import threading
from collections import Counter
from collections.abc import Iterator

import pytest
from altcha import Challenge, Payload, solve_challenge, verify_solution
from prometheus_client import CollectorRegistry

from services.auth.codes import challenges as module
from services.auth.codes.challenges import AltchaChallenges
from services.auth.errors import TooManyCodes
from services.auth.keyed_hash import KeyedHash
from services.auth.work_queue import Places
from shared.observability.metrics import AuthMetrics

HOME, ELSEWHERE = "192.0.2.1", "198.51.100.1"


@pytest.fixture
def challenges(auth_metrics: AuthMetrics) -> AltchaChallenges:
    places = Places(per_account=2, per_address=4)
    return AltchaChallenges(KeyedHash("x" * 32), cost=2, metrics=auth_metrics, places=places)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Checks take until this is set."""
    free, verify = threading.Event(), verify_solution

    def verify_when_free(*arguments: object) -> object:
        free.wait(10)
        return verify(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "verify_solution", verify_when_free)
    yield free
    free.set()


def solve(challenges: AltchaChallenges, mobile: str) -> str:
    parsed = Challenge.from_dict(json.loads(json.dumps(challenges.make(mobile))))
    solution = solve_challenge(parsed)
    assert solution is not None
    return base64.b64encode(json.dumps(Payload(parsed, solution).to_dict()).encode()).decode()


async def outcome(challenges: AltchaChallenges, mobile: str, address: str) -> str:
    payload = solve(challenges, mobile)
    try:
        return "solved" if await challenges.solved(payload, mobile, address) else "wrong"
    except TooManyCodes:
        return "refused"


@pytest.mark.parametrize(("numbers", "checked"), [(1, 2), (40, 4)], ids=["one-number", "many-numbers"])
async def test_an_address_has_few_checks_at_a_time(
    challenges: AltchaChallenges,
    slow: threading.Event,
    registry: CollectorRegistry,
    numbers: int,
    checked: int,
) -> None:
    mobiles = [f"139{n % numbers:08}" for n in range(40)]
    checks = [asyncio.create_task(outcome(challenges, mobile, HOME)) for mobile in mobiles]
    await asyncio.sleep(0)
    other = asyncio.create_task(outcome(challenges, "13800000000", ELSEWHERE))
    await asyncio.sleep(0)
    slow.set()
    assert Counter(await asyncio.gather(*checks)) == {"solved": checked, "refused": 40 - checked}
    assert await other == "solved"
    labels = {"kind": "in_progress", "subject": "account" if numbers == 1 else "address"}
    assert registry.get_sample_value("dialpass_attempts_throttled_total", labels) == 40 - checked
