import asyncio
import threading
from collections.abc import Callable
from typing import Any

import bcrypt
import pytest

from services.auth.errors import Overloaded, TooManyAttempts
from services.auth.passwords.hasher import PasswordHasher
from services.auth.work_queue import Places
from shared.observability.metrics import AuthMetrics, new_registry


def make(rounds: int = 4, workers: int = 2, max_wait: float = 30.0) -> PasswordHasher:
    metrics = AuthMetrics(new_registry())
    return PasswordHasher(rounds=rounds, workers=workers, max_wait=max_wait, metrics=metrics)


@pytest.mark.parametrize(
    "password",
    ["8 chars.", "x" * 128, "正确的马电池订书钉" * 14, "🐼" * 128, "e\u0301" * 64, "\U0010ffff" * 128],
    ids=["short", "long", "chinese", "emoji", "combining", "last-code-point"],
)
async def test_a_password_matches_its_own_hash_and_no_other(password: str) -> None:
    passwords = make()
    hashed = await passwords.hash(password)
    assert await passwords.verify(password, hashed)
    assert not await passwords.verify(password + "x", hashed)
    assert not await passwords.verify(password[:-1], hashed)


async def test_what_comes_after_byte_72_counts() -> None:
    passwords = make()
    hashed = await passwords.hash("x" * 100 + "a")
    assert not await passwords.verify("x" * 100 + "b", hashed)


async def test_the_same_character_composed_differently_is_the_same_password() -> None:
    passwords = make()
    assert await passwords.verify("caf\u00e9 au lait", await passwords.hash("cafe\u0301 au lait"))


async def test_without_a_hash_nothing_matches() -> None:
    assert not await make().verify("whatever", None)


async def test_the_hash_has_the_set_cost() -> None:
    assert (await make(rounds=5).hash("some password")).startswith("$2b$05$")


class Computations:
    """Watches bcrypt: the thread and the cost of each computation."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: list[int] = []
        self.costs: list[bytes] = []
        for name in ("checkpw", "hashpw"):
            monkeypatch.setattr(bcrypt, name, self._watched(getattr(bcrypt, name)))

    def _watched(self, compute: Callable[[bytes, bytes], Any]) -> Callable[[bytes, bytes], Any]:
        def watched(password: bytes, salt_or_hash: bytes) -> Any:
            self.threads.append(threading.get_ident())
            self.costs.append(salt_or_hash[:7])
            return compute(password, salt_or_hash)

        return watched


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
async def test_a_verification_is_one_computation_of_the_set_cost(
    known: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passwords = make(rounds=5)
    hashed = await passwords.hash("some password") if known else None
    computations = Computations(monkeypatch)
    await passwords.verify("another password", hashed)
    assert computations.costs == [b"$2b$05$"]


async def test_bcrypt_never_runs_on_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = make()
    computations = Computations(monkeypatch)
    await passwords.verify("some password", await passwords.hash("some password"))
    assert len(computations.threads) == 2
    assert threading.get_ident() not in computations.threads


async def test_more_than_can_be_served_in_time_is_refused_at_once() -> None:
    passwords = make(rounds=8, workers=1, max_wait=0.1)
    results = await asyncio.gather(
        *(passwords.hash("some password") for _ in range(200)), return_exceptions=True
    )
    refused = [result for result in results if isinstance(result, Overloaded)]
    done = [result for result in results if isinstance(result, str)]
    assert len(refused) + len(done) == 200
    assert refused
    assert done
    assert all(error.retry_after for error in refused)


async def test_the_queue_is_free_again_after_a_rush() -> None:
    passwords = make(rounds=4, workers=1, max_wait=0.01)
    await asyncio.gather(*(passwords.hash("some password") for _ in range(200)), return_exceptions=True)
    assert await passwords.hash("some password")


async def test_a_request_that_goes_away_counts_until_its_thread_is_done() -> None:
    passwords = make(rounds=10, workers=1, max_wait=0.0001)  # room for one, and one waiting
    abandoned = asyncio.create_task(passwords.hash("some password"))
    await asyncio.sleep(0.01)
    abandoned.cancel()
    attempts = [passwords.hash("some password") for _ in range(2)]
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert [isinstance(result, Overloaded) for result in results] == [False, True]


async def hash_of_cost(rounds: int) -> str:
    hasher = make(rounds)
    hashed = await hasher.hash("some password")
    hasher.close()
    return hashed


def work(costs: list[bytes]) -> int:
    """Return the work of computations, in iterations of bcrypt's key schedule."""
    return sum(2 ** int(cost[4:6]) for cost in costs)


@pytest.mark.parametrize("lowered", [True, False], ids=["lowered", "raised"])
@pytest.mark.parametrize("password", ["some password", "another password"], ids=["right", "wrong"])
async def test_after_a_change_of_the_cost_every_verification_takes_the_same_work(
    password: str,
    lowered: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, new = (7, 5) if lowered else (5, 7)
    hashes = [await hash_of_cost(old), await hash_of_cost(new), None, "of another kind"]
    passwords = make(rounds=new)
    passwords.work_as_for(old)  # as at the start
    computations = Computations(monkeypatch)
    taken = []
    for hashed in hashes:
        computations.costs.clear()
        assert await passwords.verify(password, hashed) == (
            password == "some password" and hashed in hashes[:2]
        )
        taken.append(work(computations.costs))
    assert taken == [2**7] * 4


async def test_a_higher_cost_that_another_process_writes_is_taken_for_all_from_then_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passwords, higher = make(rounds=4), await hash_of_cost(6)
    computations = Computations(monkeypatch)
    for hashed in (higher, None, await hash_of_cost(4)):
        computations.costs.clear()
        await passwords.verify("another password", hashed)
        assert work(computations.costs) == 2**6


async def test_an_imported_cost_does_not_make_every_check_take_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passwords, costs = make(rounds=4), []

    def compare(_password: bytes, hashed: bytes) -> bool:
        costs.append(hashed[:7])
        return False

    monkeypatch.setattr(bcrypt, "checkpw", compare)
    passwords.work_as_for(31)
    await passwords.verify("some password", None)
    assert costs == [b"$2b$16$"]


async def test_the_queue_is_as_short_as_the_work_is_long() -> None:
    passwords = make(rounds=4)
    passwords.work_as_for(16)  # seconds each, of 30 that one may wait
    with pytest.raises(Overloaded):
        await asyncio.gather(*(passwords.hash("some password") for _ in range(500)))


async def test_a_full_house_is_refused_with_a_time_to_wait() -> None:
    metrics = AuthMetrics(registry := new_registry())
    places = Places(per_account=2, per_address=4)
    passwords = PasswordHasher(rounds=4, workers=2, max_wait=30, metrics=metrics, places=places)
    with (
        passwords.turn("one", "192.0.2.1", trusted=False),
        passwords.turn("one", "192.0.2.1", trusted=False),
    ):
        with pytest.raises(TooManyAttempts) as refusal, passwords.turn("one", "192.0.2.2", trusted=False):
            pass
        assert refusal.value.retry_after == 1
        with pytest.raises(TooManyAttempts):
            passwords.refuse_busy("one", "192.0.2.1")
    labels = {"kind": "in_progress", "subject": "account"}
    assert registry.get_sample_value("dialpass_attempts_throttled_total", labels) == 2
