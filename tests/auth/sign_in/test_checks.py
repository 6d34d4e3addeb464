"""Every check is charged, few run at a time, and strangers keep no owner out."""

import asyncio
import secrets
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

import bcrypt
import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from services.auth.errors import TooManyAttempts, WrongCredentials
from services.auth.keyed_hash import KeyedHash
from services.auth.limits import Limit
from services.auth.models import Caller, Client
from services.auth.passwords.hasher import PasswordHasher
from services.auth.sign_in.throttle import SignInLimits, SignInThrottle
from services.auth.work_queue import Places
from shared.errors import Unavailable
from shared.observability.metrics import AuthMetrics
from tests.auth.conftest import MakeAuth
from tests.support.auth import NEW_PASSWORD, PASSWORD, AuthHarness
from tests.support.client import eventually, new_mobile
from tests.support.database import failing

HOUR = 3_600_000
HOME, ELSEWHERE = "192.0.2.1", "198.51.100.1"

MakeThrottle = Callable[..., SignInThrottle]


@pytest.fixture
def make(redis: Redis, auth_metrics: AuthMetrics) -> MakeThrottle:
    """Make a throttle with keys of its own; limits are amounts in an hour."""

    def make(
        account: int = 10, newcomers: int = 30, account_checks: int = 300, address_checks: int = 3000
    ) -> SignInThrottle:
        amounts = (account, 1000, 1000, newcomers, account_checks, address_checks)
        limits = SignInLimits(*(Limit(amount, HOUR) for amount in amounts))
        return SignInThrottle(redis, KeyedHash(secrets.token_hex(32)), limits, auth_metrics)

    return make


async def check(throttle: SignInThrottle, mobile: str, address: str, *, right: bool = False) -> str:
    """Sign in. An attempt that is undecided, because this process was late, counts as none: again."""
    try:
        async with throttle.attempt(mobile, address):
            if not right:
                raise WrongCredentials
    except (WrongCredentials, TooManyAttempts) as error:
        return type(error).__name__
    except Unavailable:
        return await check(throttle, mobile, address, right=right)
    return "right"


async def test_twelve_wrong_passwords_from_many_addresses_keep_no_owner_out(make: MakeThrottle) -> None:
    throttle, mobile = make(), new_mobile()
    seen = Counter([await check(throttle, mobile, f"203.0.{n}.7") for n in range(12)])
    assert seen == {"WrongCredentials": 12}
    assert await check(throttle, mobile, HOME, right=True) == "right"


async def test_a_flood_from_a_few_networks_keeps_no_owner_out(make: MakeThrottle) -> None:
    throttle, mobile = make(), new_mobile()
    for n in range(200):
        await check(throttle, mobile, f"203.0.{n % 5}.{n}")
    assert await check(throttle, mobile, "203.0.4.250", right=True) == "TooManyAttempts"  # their neighbour
    assert await check(throttle, mobile, HOME, right=True) == "right"


async def test_guesses_from_as_many_networks_as_one_likes_are_limited(
    make: MakeThrottle, registry: CollectorRegistry
) -> None:
    throttle, mobile = make(), new_mobile()
    assert await check(throttle, mobile, HOME, right=True) == "right"
    addresses = [f"10.{n // 200}.{n % 200}.1" for n in range(400)]
    seen = Counter(await asyncio.gather(*(check(throttle, mobile, address) for address in addresses)))
    assert seen["WrongCredentials"] <= 11 + 31 + 6  # each of the two, one more, and what a few seconds open
    labels = {"kind": "sign_in", "subject": "newcomers"}
    assert (registry.get_sample_value("dialpass_attempts_throttled_total", labels) or 0) > 300
    assert await check(throttle, mobile, HOME, right=True) == "right"


async def test_a_customer_with_an_ipv6_site_is_no_crowd_of_newcomers(make: MakeThrottle) -> None:
    throttle, mobile = make(), new_mobile()
    addresses = [f"2001:db8:7:{n:x}::1" for n in range(50)]
    seen = Counter(await asyncio.gather(*(check(throttle, mobile, address) for address in addresses)))
    assert seen["WrongCredentials"] <= 12


async def test_a_right_password_lets_newcomers_in_again(make: MakeThrottle) -> None:
    throttle, mobile = make(account=1, newcomers=1), new_mobile()
    for n in range(6):
        await check(throttle, mobile, f"203.0.{n}.7")
    assert await check(throttle, mobile, HOME, right=True) == "TooManyAttempts"
    await asyncio.sleep(2.1)  # beyond the limit each failure doubles the wait, from a second on
    assert await check(throttle, mobile, HOME, right=True) == "right"
    assert await check(throttle, mobile, ELSEWHERE, right=True) == "right"


async def test_right_passwords_are_charged_too(make: MakeThrottle, registry: CollectorRegistry) -> None:
    throttle, mobile = make(account_checks=20), new_mobile()
    seen = Counter([await check(throttle, mobile, HOME, right=True) for _ in range(40)])
    assert seen["right"] in {21, 22}  # 22 only where that took a second
    labels = {"kind": "sign_in", "subject": "account_checks"}
    assert registry.get_sample_value("dialpass_attempts_throttled_total", labels) == seen["TooManyAttempts"]


async def test_right_passwords_are_charged_to_the_address_of_many_accounts(make: MakeThrottle) -> None:
    throttle = make(address_checks=20)
    accounts = [new_mobile() for _ in range(5)]
    for n in range(30):
        await check(throttle, accounts[n % 5], HOME, right=True)
    assert await check(throttle, new_mobile(), HOME, right=True) == "TooManyAttempts"
    assert await check(throttle, accounts[0], HOME, right=True) == "right"  # which trusts the address
    assert await check(throttle, new_mobile(), ELSEWHERE, right=True) == "right"


class CountingHasher(PasswordHasher):
    """Notes how many checks run or wait at a time, by account, and in which order they are done."""

    def __init__(self, metrics: AuthMetrics) -> None:
        places = Places(per_account=2, per_address=4)
        super().__init__(rounds=7, workers=1, max_wait=30, metrics=metrics, places=places)
        self.most = 0
        self._now = 0

    async def verify(self, password: str, hashed: str | None) -> bool:
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            return await super().verify(password, hashed)
        finally:
            self._now -= 1


@pytest.fixture
def auth(make_auth: MakeAuth) -> AuthHarness:
    return make_auth(make_hasher=CountingHasher)


async def outcome(attempt: Awaitable[Any]) -> str:
    try:
        await attempt
    except (TooManyAttempts, WrongCredentials) as error:
        return type(error).__name__
    return "done"


def client(address: str) -> Client:
    return Client(address, "test", "request-1")


async def test_of_40_right_sign_ins_at_once_two_are_checked_and_the_others_are_refused(
    auth: AuthHarness,
) -> None:
    await auth.add_user()
    sign_in = auth.services.sign_in.with_password
    attempts = (outcome(sign_in(auth.mobile, PASSWORD, client(HOME))) for _ in range(40))
    seen = Counter(await asyncio.gather(*attempts))
    assert isinstance(auth.hasher, CountingHasher)
    assert auth.hasher.most <= 3  # two, and one once the address is trusted
    assert seen["done"] >= 2
    assert seen["done"] + seen["TooManyAttempts"] == 40


async def test_an_address_has_four_checks_at_a_time_whatever_the_accounts(auth: AuthHarness) -> None:
    sign_in = auth.services.sign_in.with_password
    attempts = (outcome(sign_in(new_mobile(), PASSWORD, client(HOME))) for _ in range(40))
    seen = Counter(await asyncio.gather(*attempts))
    assert isinstance(auth.hasher, CountingHasher)
    assert auth.hasher.most <= 4
    assert seen["WrongCredentials"] + seen["TooManyAttempts"] == 40


@pytest.mark.parametrize("trusted", [False, True], ids=["new", "trusted"])
async def test_a_victim_is_checked_next_during_an_attack(
    auth: AuthHarness,
    trusted: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    victim = await auth.add_user()
    sign_in = auth.services.sign_in.with_password
    if trusted:
        await sign_in(auth.mobile, PASSWORD, client(HOME))
    free, compare, order = threading.Event(), bcrypt.checkpw, []

    def compare_when_free(password: bytes, hashed: bytes) -> bool:
        order.append(hashed.decode())
        free.wait(10)
        return compare(password, hashed)

    def waiting(number: int) -> Callable[[], bool]:
        return lambda: auth.registry.get_sample_value("dialpass_password_hash_queue") == number

    monkeypatch.setattr(bcrypt, "checkpw", compare_when_free)
    places = [f"10.0.{n // 4}.1" for n in range(32)]  # eight addresses, with four each
    attack = [asyncio.create_task(outcome(sign_in(new_mobile(), PASSWORD, client(at)))) for at in places]
    await eventually(waiting(32))
    attack.append(asyncio.create_task(outcome(sign_in(auth.mobile, PASSWORD, client(HOME)))))
    await eventually(waiting(33))
    free.set()
    assert (await asyncio.gather(*attack))[-1] == "done"
    assert victim.password_hash
    # After the one that is computed, and one of each attacking address.
    assert order.index(victim.password_hash) <= (1 if trusted else 9)


@pytest.mark.parametrize("act", ["sign in", "change", "reauthenticate"])
async def test_a_failure_that_cannot_be_audited_is_charged(make_auth: MakeAuth, act: str) -> None:
    auth = make_auth(settings={"sign_in_limit_account": "1/hour"})
    services, wrong = auth.services, "wrong horse"
    caller = Caller(await auth.add_user(), "0" * 32)
    acts: dict[str, Callable[[], Awaitable[object]]] = {
        "sign in": lambda: auth.sign_in(wrong),
        "change": lambda: services.passwords.change(caller, wrong, NEW_PASSWORD, client(HOME)),
        "reauthenticate": lambda: services.reauthentication.with_password(caller, wrong, client(HOME)),
    }
    auth.database.before = failing("INSERT INTO `audit", Unavailable())
    for _ in range(2):
        with pytest.raises(Unavailable):
            await acts[act]()
    with pytest.raises(TooManyAttempts):
        await acts[act]()


@pytest.mark.parametrize("act", ["change", "reset", "register"])
async def test_other_acts_that_hash_have_places_too(auth: AuthHarness, act: str) -> None:
    caller = Caller(await auth.add_user(), "0" * 32) if act != "register" else None
    code = "" if act == "change" else await auth.code("reset" if act == "reset" else "register")
    services, mobile = auth.services, auth.mobile
    acts: dict[str, Callable[[], Awaitable[object]]] = {
        "change": lambda: services.passwords.change(caller, PASSWORD, NEW_PASSWORD, client(HOME)),  # type: ignore[arg-type]
        "reset": lambda: services.passwords.reset(mobile, code, NEW_PASSWORD, client(HOME)),
        "register": lambda: services.accounts.register(mobile, code, PASSWORD, client(HOME)),
    }
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(auth.hasher.turn(new_mobile(), HOME))
        with pytest.raises(TooManyAttempts):
            await acts[act]()
    if act != "change":  # the code is still valid
        await acts[act]()


async def test_checks_of_the_password_do_not_keep_out_who_has_a_code(auth: AuthHarness) -> None:
    await auth.add_user()
    code = await auth.code("reset")
    with ExitStack() as stack:
        for address in (HOME, ELSEWHERE):
            stack.enter_context(auth.hasher.turn(auth.mobile, address, trusted=True))
        await auth.services.passwords.reset(auth.mobile, code, NEW_PASSWORD, client(HOME))
