"""Challenges by ALTCHA's protocol: solved as its widget solves them, and in every wrong way."""

import base64
import json
import time
from itertools import pairwise
from typing import Any

import pytest
from altcha import Challenge, Payload, solve_challenge
from hypothesis import given
from hypothesis import strategies as st

from services.auth.codes import challenges as module
from services.auth.codes.challenges import AltchaChallenges, Solved
from services.auth.keyed_hash import KeyedHash
from shared.observability.metrics import AuthMetrics, new_registry

MOBILE = "13800000000"


def make_challenges(secret: str = "x" * 32) -> AltchaChallenges:
    return AltchaChallenges(KeyedHash(secret), cost=2, metrics=AuthMetrics(new_registry()))


def solve(challenge: dict[str, Any]) -> dict[str, Any]:
    """Solve as the widget does and return the payload before it is encoded."""
    parsed = Challenge.from_dict(json.loads(json.dumps(challenge)))
    solution = solve_challenge(parsed)
    assert solution is not None
    return Payload(parsed, solution).to_dict()


def encode(payload: object) -> str:
    return base64.b64encode(json.dumps(payload).encode()).decode()


async def test_a_solution_names_its_challenge() -> None:
    challenges = make_challenges()
    challenge = challenges.make(MOBILE)
    assert await challenges.solved(encode(solve(challenge)), MOBILE) == Solved(str(challenge["signature"]))


async def test_a_challenge_does_not_show_the_number() -> None:
    assert MOBILE[-8:] not in json.dumps(make_challenges().make(MOBILE))


async def test_a_solution_for_another_number_is_none() -> None:
    challenges = make_challenges()
    payload = encode(solve(challenges.make(MOBILE)))
    assert await challenges.solved(payload, "13800000001") is None


async def test_a_challenge_of_another_secret_is_none() -> None:
    payload = encode(solve(make_challenges("y" * 32).make(MOBILE)))
    assert await make_challenges().solved(payload, MOBILE) is None


async def test_an_expired_solution_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHALLENGE_SECONDS", -1)
    challenges = make_challenges()
    payload = encode(solve(challenges.make(MOBILE)))
    assert await challenges.solved(payload, MOBILE) is None


@pytest.mark.parametrize(
    "change",
    [
        {"cost": 1},
        {"keyPrefix": ""},
        {"expiresAt": int(time.time()) + 10**6},
        {"algorithm": "SHA-256"},
        {"data": {"for": "0" * 32}},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_a_challenge_that_the_client_made_easier_is_none(change: dict[str, Any]) -> None:
    challenges = make_challenges()
    challenge = challenges.make(MOBILE)
    parameters = {**challenge["parameters"], **change}  # type: ignore[dict-item] # a mapping, as it is sent
    payload = solve({**challenge, "parameters": parameters})
    assert await challenges.solved(encode(payload), MOBILE) is None


@pytest.mark.parametrize("change", [{"counter": -1}, {"derivedKey": "00" * 32}, {"counter": "1"}])
async def test_a_made_up_solution_is_none(change: dict[str, Any]) -> None:
    challenges = make_challenges()
    payload = solve(challenges.make(MOBILE))
    payload["solution"] |= change
    assert await challenges.solved(encode(payload), MOBILE) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["challenge", "solution", "parameters", "signature", "data", "counter"]), inner
        )
    ),
)


@given(
    payload=st.text() | json_values.map(encode) | st.binary().map(lambda raw: base64.b64encode(raw).decode())
)
async def test_anything_else_is_none(payload: str) -> None:
    assert await make_challenges().solved(payload, MOBILE) is None


async def test_no_solution_is_none_and_not_a_wrong_one() -> None:
    registry = new_registry()
    metrics = AuthMetrics(registry)
    challenges = AltchaChallenges(KeyedHash("x" * 32), cost=2, metrics=metrics)
    assert await challenges.solved(None, MOBILE) is None
    assert await challenges.solved("nonsense", MOBILE) is None
    assert registry.get_sample_value("dialpass_challenges_total", {"outcome": "wrong"}) == 1


def work(challenge: dict[str, Any]) -> int:
    """Return the iterations that a solution takes on average."""
    parameters = challenge["parameters"]
    tries: int = 256 ** (len(parameters["keyPrefix"]) // 2)
    return int(parameters["cost"]) * tries


def test_each_difficulty_doubles_the_work_and_a_check_stays_cheap() -> None:
    challenges = AltchaChallenges(KeyedHash("x" * 32), cost=5000, metrics=AuthMetrics(new_registry()))
    made: list[dict[str, Any]] = [challenges.make(MOBILE, difficulty) for difficulty in range(9)]
    for easier, harder in pairwise(made):
        assert work(harder) / work(easier) == pytest.approx(2, rel=0.01)
    assert max(challenge["parameters"]["cost"] for challenge in made) <= 8 * 5000


@pytest.mark.parametrize("difficulty", [0, 1, 3, 4, 5])
async def test_a_solution_has_the_difficulty_of_its_challenge(difficulty: int) -> None:
    challenges = AltchaChallenges(KeyedHash("x" * 32), cost=16, metrics=AuthMetrics(new_registry()))
    solved = await challenges.solved(encode(solve(challenges.make(MOBILE, difficulty))), MOBILE)
    assert solved is not None
    assert solved.difficulty == difficulty
