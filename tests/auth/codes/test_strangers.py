"""What a stranger can do to the owner of a number: make strangers solve challenges, and nothing else."""

import secrets
from collections import Counter

import pytest
from redis.asyncio import Redis

from services.auth.codes.generator import CodeGenerator, new_nonce
from services.auth.errors import ChallengeNeeded, InvalidCode
from services.auth.keyed_hash import KeyedHash
from shared.observability.metrics import AuthMetrics
from tests.support.client import new_mobile
from tests.support.codes import CodeHarness, issue, make_codes, outcome

HOME, NEIGHBOUR, WORK = "192.0.2.1", "192.0.2.2", "203.0.113.7"
WRONG = "not a code"
# As different as the addresses of one host, of one network and of a botnet are.
STRANGERS = {
    "one address": ["198.51.100.1"] * 12,
    "one network": [f"198.51.100.{n}" for n in range(12)],
    "many networks": [f"198.{n}.100.1" for n in range(12)],
    "the owner's network": [f"192.0.2.{n}" for n in range(100, 112)],
    "IPv6": [f"2001:db8:{n}::1" for n in range(12)],
}
every_kind_of_stranger = pytest.mark.parametrize("strangers", STRANGERS.values(), ids=STRANGERS)
HARDEST = 99


@pytest.fixture
def codes(redis: Redis, auth_metrics: AuthMetrics) -> CodeHarness:
    return make_codes(redis, auth_metrics)


@pytest.fixture
def mobile() -> str:
    return new_mobile()


async def ask(codes: CodeHarness, mobile: str, address: str, difficulty: int | None = None) -> str:
    """Ask as one does after the cooldown; with a difficulty, a challenge is solved."""
    request = secrets.token_hex(8)
    solved = None if difficulty is None else secrets.token_hex(8)
    seen = await outcome(issue(codes, mobile, "login", request, address, solved, difficulty or 0))
    await codes.repository.release_cooldown(mobile, request)
    return seen


async def use(codes: CodeHarness, mobile: str, code: str, address: str) -> bool:
    try:
        async with codes.service.redeem(mobile, "login", code, address):
            return True
    except InvalidCode:
        return False


async def trust(codes: CodeHarness, mobile: str, address: str) -> None:
    """Let the number's account trust an address, by a right code."""
    code = await issue(codes, mobile, "login", "trust", address)
    await codes.repository.release_cooldown(mobile, "trust")
    assert await use(codes, mobile, code, address)


@every_kind_of_stranger
async def test_requests_of_strangers_leave_an_owner_at_a_trusted_address_a_code(
    codes: CodeHarness, mobile: str, strangers: list[str]
) -> None:
    await trust(codes, mobile, HOME)
    for address in strangers * 3:
        await ask(codes, mobile, address, HARDEST)
    assert await ask(codes, mobile, HOME) == "code"


@every_kind_of_stranger
async def test_requests_of_strangers_leave_an_owner_who_has_asked_another_message(
    codes: CodeHarness, mobile: str, strangers: list[str]
) -> None:
    assert await ask(codes, mobile, HOME) == "code"
    for address in strangers:
        await ask(codes, mobile, address)
    assert await ask(codes, mobile, HOME) == "code"


@every_kind_of_stranger
async def test_requests_of_strangers_leave_an_owner_elsewhere_a_challenge(
    codes: CodeHarness, mobile: str, strangers: list[str]
) -> None:
    for address in strangers:
        await ask(codes, mobile, address)
    assert await ask(codes, mobile, WORK) in {"code", "ChallengeNeeded"}
    assert await ask(codes, mobile, WORK, difficulty=0) == "code"


@pytest.mark.parametrize("stranger", [WORK, NEIGHBOUR])
async def test_a_stranger_starts_no_cooldown_of_the_owner(
    codes: CodeHarness, mobile: str, stranger: str
) -> None:
    code = await issue(codes, mobile, "login", address=stranger)
    assert await issue(codes, mobile, "login", address=HOME) == code
    for address in (stranger, HOME):
        assert await outcome(issue(codes, mobile, "register", address=address)) == "TooManyCodes"


async def test_strangers_together_get_so_many_codes_however_much_they_solve(
    codes: CodeHarness, mobile: str
) -> None:
    seen = Counter([await ask(codes, mobile, f"198.{n}.100.1", HARDEST) for n in range(40)])
    assert seen == {"code": 10, "TooManyCodes": 30}


async def test_strangers_who_ask_again_use_up_nothing_of_those_who_have_not(
    codes: CodeHarness, mobile: str
) -> None:
    strangers = [f"198.{n}.100.1" for n in range(3)]
    seen = Counter([await ask(codes, mobile, address) for address in strangers * 3])
    assert seen == {"code": 8, "ChallengeNeeded": 1}
    assert await difficulty_for(codes, mobile, WORK) == 0


async def test_a_network_that_asks_again_and_again_is_like_all_strangers(
    codes: CodeHarness, mobile: str
) -> None:
    seen = Counter([await ask(codes, mobile, f"198.51.100.{n}") for n in range(40)])
    assert seen == {"code": 5, "ChallengeNeeded": 35}


async def difficulty_for(codes: CodeHarness, mobile: str, address: str) -> int | None:
    """Return the difficulty of the challenge that an address has to solve, None if it gets a code."""
    try:
        await issue(codes, mobile, "login", address=address)
    except ChallengeNeeded as refusal:
        return refusal.difficulty
    return None


async def test_each_further_code_to_a_number_doubles_the_challenge(
    redis: Redis, auth_metrics: AuthMetrics
) -> None:
    codes, mobile = make_codes(redis, auth_metrics, quotas={"code_limit_strangers": "99/day"}), new_mobile()
    needed = []
    for number in range(12):
        address = f"198.{number}.100.1"
        needed.append(await difficulty_for(codes, mobile, address))
        if (difficulty := needed[-1]) is not None:
            assert await ask(codes, mobile, address, difficulty - 1) == "ChallengeNeeded"
            assert await ask(codes, mobile, address, difficulty) == "code"
    assert needed == [None, None, None, 0, 1, 2, 3, 4, 5, 6, 6, 6]


@every_kind_of_stranger
@pytest.mark.parametrize("asks", [False, True])
async def test_wrong_codes_of_strangers_do_not_kill_the_code_that_the_owner_got(
    codes: CodeHarness, mobile: str, strangers: list[str], *, asks: bool
) -> None:
    code = await issue(codes, mobile, "login", address=HOME)
    for address in strangers:
        if asks:
            await ask(codes, mobile, address, HARDEST)
        for _ in range(6):
            assert not await use(codes, mobile, WRONG, address)
        if asks:
            await ask(codes, mobile, address, HARDEST)
    assert await use(codes, mobile, code, HOME)


@pytest.mark.parametrize("kind", sorted(STRANGERS.keys() - {"the owner's network"}))
async def test_the_owner_uses_a_code_from_another_address_of_the_network_that_asked(
    codes: CodeHarness, mobile: str, kind: str
) -> None:
    code = await issue(codes, mobile, "login", address=HOME)
    for address in STRANGERS[kind]:
        await use(codes, mobile, WRONG, address)
    assert await use(codes, mobile, code, NEIGHBOUR)


async def test_the_owner_uses_a_code_from_a_trusted_address(codes: CodeHarness, mobile: str) -> None:
    await trust(codes, mobile, WORK)
    code = await issue(codes, mobile, "login", address=HOME)
    for number in range(12):
        await use(codes, mobile, WRONG, f"198.{number}.100.1")
    assert await use(codes, mobile, code, WORK)


@every_kind_of_stranger
async def test_strangers_guess_five_times_together(
    codes: CodeHarness, mobile: str, strangers: list[str]
) -> None:
    code = await issue(codes, mobile, "login", address=HOME)
    for address in strangers[:5]:
        assert not await use(codes, mobile, WRONG, address)
    assert not await use(codes, mobile, code, strangers[5])


async def test_who_has_used_up_all_tries_and_is_alone_gets_a_new_code(
    codes: CodeHarness, mobile: str
) -> None:
    first = await issue(codes, mobile, "login", "r1", HOME)
    for _ in range(5):
        await use(codes, mobile, WRONG, HOME)
    await codes.repository.release_cooldown(mobile, "r1")
    second = await issue(codes, mobile, "login", "r2", HOME)
    assert not await use(codes, mobile, first, HOME) or first == second
    assert await use(codes, mobile, second, HOME)


async def test_a_code_of_the_previous_version_still_works(redis: Redis, auth_metrics: AuthMetrics) -> None:
    keyed_hash, mobile = KeyedHash(secrets.token_hex(32)), new_mobile()
    codes, generator = make_codes(redis, auth_metrics, keyed_hash=keyed_hash), CodeGenerator(keyed_hash, 6)
    nonce = new_nonce()
    code = generator.code(mobile, "login", nonce)
    key = f"code:{keyed_hash.mobile(mobile)}:login"
    fields = {"nonce": nonce, "proof": generator.proof(mobile, "login", code), "tries": "3"}
    for field, value in fields.items():
        await redis.hset(key, field, value)
    await redis.pexpire(key, 600_000)
    await redis.set(f"code:{keyed_hash.mobile(mobile)}:cooldown", "a request", px=60_000)
    assert not await use(codes, mobile, WRONG, HOME)
    assert await issue(codes, mobile, "login", address=HOME) == code
    assert await use(codes, mobile, code, HOME)


async def test_the_previous_version_reads_the_codes_of_this_one(
    redis: Redis, auth_metrics: AuthMetrics
) -> None:
    keyed_hash, mobile = KeyedHash(secrets.token_hex(32)), new_mobile()
    codes, generator = make_codes(redis, auth_metrics, keyed_hash=keyed_hash), CodeGenerator(keyed_hash, 6)
    code = await issue(codes, mobile, "login", address=HOME)
    await use(codes, mobile, WRONG, WORK)
    key = f"code:{keyed_hash.mobile(mobile)}:login"
    assert await redis.hget(key, "proof") == generator.proof(mobile, "login", code).encode()
    nonce = await redis.hget(key, "nonce")
    assert isinstance(nonce, bytes)
    assert generator.code(mobile, "login", nonce.decode()) == code
    assert (await redis.hget(key, "tries"), await redis.hexists(key, "used_by")) == (b"1", False)
