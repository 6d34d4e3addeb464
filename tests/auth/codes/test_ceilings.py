"""What solved challenges do not buy: every code of a day, and all of its money."""

import asyncio
import secrets
from collections import Counter

import pytest
from redis.asyncio import Redis

from services.auth.codes.challenges import Solved
from services.auth.errors import ChallengeNeeded, ChallengeRequired, SmsUnavailable
from services.auth.models import Client
from shared.contracts.messages import Purpose
from shared.observability.metrics import AuthMetrics
from tests.auth.conftest import MakeAuth
from tests.support.client import new_mobile
from tests.support.codes import UNLIMITED, CodeHarness, issue, make_codes, outcome, solve
from tests.support.database import HookedDatabase

HOME = "192.0.2.1"
HARDEST = 99
# Ten codes, of which strangers get five.
SPEND = {"code_limit_spend": "1", "code_price": "*=0.1", "code_reserve": "0.5"}
DIAL_CODE = {"code_limit_dial_code": "*=10/day", "code_reserve": "0.5"}


async def ask_solved(codes: CodeHarness, mobile: str, address: str, difficulty: int = HARDEST) -> str:
    solved = secrets.token_hex(8)
    return await outcome(issue(codes, mobile, "login", address=address, solved=solved, difficulty=difficulty))


async def trust(codes: CodeHarness, mobile: str, address: str) -> None:
    """Let the number's account trust an address, by a right code."""
    code = await issue(codes, mobile, "login", "trust", address, secrets.token_hex(8), HARDEST)
    await codes.repository.release_cooldown(mobile, "trust")
    async with codes.service.redeem(mobile, "login", code, address):
        pass


def subjects(name: str, count: int) -> list[tuple[str, str]]:
    """Return numbers and addresses that have one thing in common."""
    return [
        {
            "address": (new_mobile(), HOME),
            "network": (new_mobile(), f"192.0.2.{n}"),
            "IPv6 network": (new_mobile(), f"2001:db8:1:2::{n}"),
            "IPv6 site": (new_mobile(), f"2001:db8:1:{n}::1"),
            "prefix": (f"1391234{n:04d}", f"198.51.{n}.1"),
        }[name]
        for n in range(count)
    ]


LIMITS = {
    "address": "code_limit_address",
    "network": "code_limit_network",
    "IPv6 network": "code_limit_network",
    "IPv6 site": "code_limit_network",
    "prefix": "code_limit_prefix",
}


@pytest.mark.parametrize("name", LIMITS)
async def test_beyond_a_ceiling_no_solution_helps_except_for_the_owner(
    redis: Redis, auth_metrics: AuthMetrics, name: str
) -> None:
    codes = make_codes(redis, auth_metrics, quotas={LIMITS[name]: "4/hour"})
    [owner, *others] = subjects(name, 20)
    await trust(codes, *owner)
    seen = Counter([await ask_solved(codes, *other) for other in others])
    assert seen == {"code": 3, "TooManyCodes": 16}
    assert await outcome(issue(codes, owner[0], "login", address=owner[1])) == "code"


@pytest.mark.parametrize("name", LIMITS)
async def test_of_concurrent_requests_with_solutions_the_ceiling_holds(
    redis: Redis, auth_metrics: AuthMetrics, name: str
) -> None:
    codes = make_codes(redis, auth_metrics, quotas={LIMITS[name]: "4/hour"})
    seen = Counter(await asyncio.gather(*(ask_solved(codes, *one) for one in subjects(name, 30))))
    assert seen == {"code": 4, "TooManyCodes": 26}


async def test_the_defaults_have_a_ceiling_for_one_address(redis: Redis, auth_metrics: AuthMetrics) -> None:
    codes = make_codes(redis, auth_metrics)
    seen = Counter([await ask_solved(codes, new_mobile(), HOME) for _ in range(100)])
    assert seen == {"code": 60, "TooManyCodes": 40}


@pytest.mark.parametrize("name", LIMITS)
async def test_each_overrun_doubles_the_challenge(redis: Redis, auth_metrics: AuthMetrics, name: str) -> None:
    threshold = LIMITS[name].replace("limit", "challenge")
    codes = make_codes(redis, auth_metrics, quotas=UNLIMITED | {threshold: "2/hour"})
    needed = []
    for mobile, address in subjects(name, 10):
        try:
            await issue(codes, mobile, "login", address=address)
        except ChallengeNeeded as refusal:
            needed.append(refusal.difficulty)
            tries = [await ask_solved(codes, mobile, address, refusal.difficulty + more) for more in (-1, 0)]
            needed.append(tries == ["ChallengeNeeded", "code"])
    assert needed == [0, True, 0, True, 1, True, 1, True, 2, True, 2, True, 3, True, 3, True]


async def test_a_prefix_whose_codes_nobody_uses_is_refused_except_for_the_owner(
    redis: Redis, auth_metrics: AuthMetrics
) -> None:
    quotas = UNLIMITED | {"code_limit_conversion": "0.05", "code_limit_volume": "40"}
    codes = make_codes(redis, auth_metrics, quotas=quotas)
    await trust(codes, "13912349999", HOME)
    for number in range(39):
        assert await ask_solved(codes, f"1391234{number:04d}", HOME) == "code"
    assert await ask_solved(codes, "13912340100", HOME) == "TooManyCodes"
    assert await ask_solved(codes, "13912350000", HOME) == "code"
    assert await outcome(issue(codes, "13912349999", "login", address=HOME)) == "code"


async def test_a_prefix_of_which_a_twentieth_is_used_is_not_refused(
    redis: Redis, auth_metrics: AuthMetrics
) -> None:
    quotas = UNLIMITED | {"code_limit_conversion": "0.05", "code_limit_volume": "40"}
    codes = make_codes(redis, auth_metrics, quotas=quotas)
    for number in (9998, 9999):
        await trust(codes, f"1391234{number}", HOME)
    for number in range(38):
        await ask_solved(codes, f"1391234{number:04d}", HOME)
    assert await ask_solved(codes, "13912340100", HOME) == "code"


@pytest.mark.parametrize("quotas", [SPEND, DIAL_CODE], ids=["money", "dial code"])
async def test_a_share_is_kept_for_trusted_addresses(
    redis: Redis, auth_metrics: AuthMetrics, quotas: dict[str, str]
) -> None:
    codes, owner = make_codes(redis, auth_metrics, quotas=UNLIMITED | quotas), new_mobile()
    await trust(codes, owner, HOME)
    for number in range(20):
        await outcome(issue(codes, new_mobile(), "register", address=f"198.51.{number}.1"))
    seen = []
    for number in range(8):
        seen.append(await outcome(issue(codes, owner, "login", f"r{number}", HOME)))
        await codes.repository.release_cooldown(owner, f"r{number}")
    assert seen == ["code"] * 5 + ["TooManyCodes"] * 3


@pytest.mark.parametrize("purpose", ["register", "change_mobile"])
async def test_what_only_new_numbers_need_is_refused_in_the_reserve(
    redis: Redis, auth_metrics: AuthMetrics, purpose: Purpose
) -> None:
    codes = make_codes(redis, auth_metrics, quotas=UNLIMITED | SPEND)
    requests = [issue(codes, new_mobile(), purpose) for _ in range(8)]
    assert Counter([await outcome(one) for one in requests]) == {"code": 5, "TooManyCodes": 3}


class Reserve:
    """Codes of which only the reserve is left, and one number with an account and one without."""

    def __init__(self, redis: Redis, metrics: AuthMetrics) -> None:
        self.member, self.nobody = new_mobile(), new_mobile()
        quotas = UNLIMITED | SPEND
        self.codes = make_codes(redis, metrics, quotas=quotas, accounts={self.member})

    async def use_up(self) -> None:
        for _ in range(5):
            await issue(self.codes, new_mobile())

    async def ask(self, mobile: str, purpose: Purpose = "login") -> dict[str, object]:
        """Request a code with a solved challenge and return the answer, but for its id, and its state."""
        client = Client(HOME, "")
        with pytest.raises(ChallengeRequired) as refusal:
            await self.codes.service.request(mobile, purpose, client)
        solved = solve(refusal.value.members["challenge"])
        answer = await self.codes.service.request(mobile, purpose, client, challenge=solved)
        await self.codes.service.close()
        status = await self.codes.service.status(answer.message_id)
        return {"expires_in": answer.expires_in, "resend_after": answer.resend_after, "state": status.state}


@pytest.mark.parametrize("purpose", ["login", "reset", "delete"])
async def test_in_the_reserve_a_number_with_an_account_gets_its_code_and_the_answer_does_not_tell(
    redis: Redis, auth_metrics: AuthMetrics, purpose: Purpose
) -> None:
    reserve = Reserve(redis, auth_metrics)
    await reserve.use_up()
    answers = [await reserve.ask(mobile, purpose) for mobile in (reserve.member, reserve.nobody)]
    assert answers[0] == answers[1] == {"expires_in": 600, "resend_after": 60, "state": "queued"}
    [message] = reserve.codes.publisher.messages
    assert (message.mobile, message.purpose) == (reserve.member, purpose)
    async with reserve.codes.service.redeem(reserve.member, purpose, message.code, HOME):
        pass


async def test_requests_for_numbers_without_an_account_cost_nothing_of_the_reserve(
    redis: Redis, auth_metrics: AuthMetrics
) -> None:
    reserve = Reserve(redis, auth_metrics)
    await reserve.use_up()
    for _ in range(10):
        await reserve.ask(new_mobile())
    await reserve.ask(reserve.member)
    assert len(reserve.codes.publisher.messages) == 1


async def test_the_reserve_has_an_end(redis: Redis, auth_metrics: AuthMetrics) -> None:
    members = [new_mobile() for _ in range(9)]
    reserve = Reserve(redis, auth_metrics)
    reserve.codes = make_codes(redis, auth_metrics, quotas=UNLIMITED | SPEND, accounts=members)
    await reserve.use_up()
    for mobile in members[:5]:
        await reserve.ask(mobile)
    assert len(reserve.codes.publisher.messages) == 5
    assert (
        await outcome(reserve.codes.service.request(members[5], "login", Client(HOME, ""))) == "TooManyCodes"
    )


async def test_without_a_broker_the_reserve_refuses_alike(redis: Redis, auth_metrics: AuthMetrics) -> None:
    reserve = Reserve(redis, auth_metrics)
    await reserve.use_up()
    reserve.codes.publisher.down = True
    for mobile in (reserve.member, reserve.nobody):
        with pytest.raises(SmsUnavailable):
            await reserve.ask(mobile)


async def test_whether_an_account_may_be_used_decides_in_the_reserve(make_auth: MakeAuth) -> None:
    auth = make_auth(settings=SPEND | {"challenge_cost": 1})
    user = await auth.add_user()
    disabled = await auth.change(await auth.add_user(new_mobile()), disabled_at=auth.now)
    for _ in range(5):
        await auth.services.codes.request(new_mobile(), "register", Client(HOME, ""))
    auth.publisher.messages.clear()
    for mobile in (user.mobile, disabled.mobile, new_mobile()):
        with pytest.raises(ChallengeRequired) as refusal:
            await auth.services.codes.request(mobile, "login", Client(HOME, ""))
        solved = solve(refusal.value.members["challenge"])
        await auth.services.codes.request(mobile, "login", Client(HOME, ""), challenge=solved)
    await auth.services.codes.close()
    assert [message.mobile for message in auth.publisher.messages] == [user.mobile]


async def test_scripts_that_run_twice_charge_the_reserve_once(
    redis: Redis, auth_metrics: AuthMetrics
) -> None:
    reserve = Reserve(redis, auth_metrics)
    await reserve.use_up()
    repository, mobile, challenge = reserve.codes.repository, reserve.member, Solved(secrets.token_hex(8))
    issued = [await repository.issue(mobile, "login", "r1", address=HOME, solved=challenge) for _ in range(2)]
    assert (issued[0].code, issued[0].withheld, issued[1].withheld) == (issued[1].code, True, True)
    sent = [
        await repository.send_withheld(mobile, "login", request, address=HOME)
        for request in ("r1", "r1", "r2", "r3", "r4", "r5", "r6", "r6")
    ]
    assert sent == [True] * 6 + [False] * 2


async def test_without_a_database_a_withheld_code_is_lost_counted_and_answered_alike(
    make_auth: MakeAuth,
) -> None:
    nowhere = HookedDatabase("mysql://nobody:secret@127.0.0.1:1/nothing", pool_size=1)
    auth = make_auth(database=nowhere, settings=SPEND | {"challenge_cost": 1})
    for _ in range(5):
        await auth.services.codes.request(new_mobile(), "register", Client(HOME, ""))
    auth.publisher.messages.clear()
    with pytest.raises(ChallengeRequired) as refusal:
        await auth.services.codes.request(auth.mobile, "login", Client(HOME, ""))
    solved = solve(refusal.value.members["challenge"])
    answer = await auth.services.codes.request(auth.mobile, "login", Client(HOME, ""), challenge=solved)
    await auth.services.codes.close()
    assert auth.publisher.messages == []
    assert (await auth.services.codes.status(answer.message_id)).state == "queued"
    for label, count in {"withheld": 1, "unsent": 1}.items():
        labels = {"purpose": "login", "outcome": label}
        assert auth.registry.get_sample_value("dialpass_codes_total", labels) == count
    await nowhere.close()
