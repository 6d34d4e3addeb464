"""A request whose answer was lost, sent once more: the same answer, and nothing happens twice."""

import asyncio
from collections import Counter

import pytest

from services.auth.errors import AlreadyRegistered, InvalidCode
from services.auth.models import Caller, Client, SignedIn
from shared.errors import Unavailable
from tests.auth.conftest import MakeAuth
from tests.support.auth import CLIENT, NEW_PASSWORD, PASSWORD, AuthHarness
from tests.support.client import new_mobile
from tests.support.database import failing, once

STRANGER = Client("203.0.113.9", "test", "request-2")


async def register(
    auth: AuthHarness, code: str, password: str = PASSWORD, client: Client = CLIENT, mobile: str | None = None
) -> int:
    return await auth.services.accounts.register(mobile or auth.mobile, code, password, client)


async def age_use(auth: AuthHarness, seconds: float) -> None:
    """Let the use of the code be some seconds older."""
    async for key in auth.redis.scan_iter(f"code:{auth.keyed_hash.mobile(auth.mobile)}:*"):
        if await auth.redis.type(key) == b"hash":
            for name in ("used_at", "answered_at", "leased_until"):
                at = await auth.redis.hget(key, name)
                if at is not None:
                    await auth.redis.hset(key, name, str(int(at) - int(seconds * 1000)))


async def test_the_same_registration_gets_the_same_answer_for_a_minute(auth: AuthHarness) -> None:
    code = await auth.code("register")
    user_id = await register(auth, code)
    assert [await register(auth, code) for _ in range(3)] == [user_id] * 3
    await age_use(auth, 55)
    assert await register(auth, code, client=STRANGER) == user_id
    assert len(await auth.events(user_id)) == len(await auth.audited(user_id)) == 1
    await age_use(auth, 6)
    with pytest.raises(InvalidCode):
        await register(auth, code)


async def test_another_password_code_or_number_is_no_repetition(auth: AuthHarness) -> None:
    code = await auth.code("register")
    user_id = await register(auth, code)
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    for given, password, mobile in (
        (code, NEW_PASSWORD, None), (wrong, PASSWORD, None), (code, PASSWORD, new_mobile()),
    ):  # fmt: skip
        with pytest.raises(InvalidCode):
            await register(auth, given, password, mobile=mobile)
    assert await register(auth, code) == user_id


async def test_an_account_that_was_deleted_or_changed_meanwhile_is_not_repeated(auth: AuthHarness) -> None:
    code = await auth.code("register")
    user = await auth.user(await register(auth, code))
    await auth.change(user, disabled_at=auth.now)
    with pytest.raises(InvalidCode):
        await register(auth, code)
    await auth.change(user, disabled_at=None, mobile=new_mobile())
    with pytest.raises(InvalidCode):
        await register(auth, code)
    await auth.administration.delete(user.id, CLIENT)
    with pytest.raises(InvalidCode):
        await register(auth, code)
    assert await auth.users.find_by_mobile(auth.mobile) is None
    await auth.add_user()
    with pytest.raises(InvalidCode):
        await register(auth, code)


async def test_wrong_codes_end_the_repetition_as_they_end_a_code(auth: AuthHarness) -> None:
    code = await auth.code("register")
    await register(auth, code)
    for _ in range(5):
        with pytest.raises(InvalidCode):
            await register(auth, f"{(int(code) + 1) % 10**6:06d}")
    with pytest.raises(InvalidCode):
        await register(auth, code)


async def test_repetitions_are_no_wrong_tries(make_auth: MakeAuth) -> None:
    auth = make_auth(settings={"code_wrong_address": "1/hour"})
    code = await auth.code("register")
    await register(auth, code)
    await age_use(auth, 61)
    for _ in range(10):
        with pytest.raises(InvalidCode):
            await register(auth, code)


async def test_the_answer_outlives_a_code_that_is_about_to_expire(auth: AuthHarness) -> None:
    code = await auth.code("register")
    [key] = [
        key async for key in auth.redis.scan_iter(f"code:{auth.keyed_hash.mobile(auth.mobile)}:register")
    ]
    await auth.redis.pexpire(key, 1000)
    user_id = await register(auth, code)
    assert await auth.redis.pttl(key) > 50_000
    assert await register(auth, code) == user_id


async def test_of_concurrent_registrations_one_wins_and_none_repeats(auth: AuthHarness) -> None:
    code = await auth.code("register")
    answers = await asyncio.gather(*(register(auth, code) for _ in range(20)), return_exceptions=True)
    assert Counter(type(answer) for answer in answers) == {int: 1, InvalidCode: 19}


async def test_a_client_that_asks_again_while_the_first_request_is_slow_gets_its_answer(
    auth: AuthHarness,
) -> None:
    code = await auth.code("register")
    first_goes_on = asyncio.Event()
    auth.database.before = once("INSERT INTO `users`", first_goes_on.wait)
    first = asyncio.create_task(register(auth, code))
    await asyncio.sleep(1.3)
    second = asyncio.create_task(register(auth, code))
    await asyncio.sleep(0.3)
    first_goes_on.set()
    assert await first == await second


async def test_if_the_first_request_fails_the_second_one_takes_the_code(auth: AuthHarness) -> None:
    code = await auth.code("register")
    goes_on = asyncio.Event()

    async def fail() -> None:
        await goes_on.wait()
        raise Unavailable

    auth.database.before = once("INSERT INTO `users`", fail)
    first = asyncio.create_task(register(auth, code))
    await asyncio.sleep(0.1)
    second = asyncio.create_task(register(auth, code))
    await asyncio.sleep(0.2)
    goes_on.set()
    with pytest.raises(Unavailable):
        await first
    assert await second


async def test_a_commit_whose_outcome_is_unknown_makes_one_account(auth: AuthHarness) -> None:
    """The connection breaks during a commit that has happened: the code is valid again."""
    code = await auth.code("register")

    auth.database.before = failing("INSERT INTO `users`", Unavailable())
    with pytest.raises(Unavailable):
        await register(auth, code)
    auth.database.before = None
    await auth.add_user()
    with pytest.raises(AlreadyRegistered):
        await register(auth, code)
    with pytest.raises(InvalidCode):
        await register(auth, code)


async def test_a_reset_is_repeated_without_a_second_event_or_notice(auth: AuthHarness) -> None:
    user, code = await auth.add_user(), await auth.code("reset")
    for _ in range(3):
        await auth.services.passwords.reset(auth.mobile, code, NEW_PASSWORD, CLIENT)
    assert [entry.action for entry in await auth.audited(user.id)] == ["password.changed"]
    kept = await auth.sign_in(NEW_PASSWORD)
    await auth.services.passwords.reset(auth.mobile, code, NEW_PASSWORD, CLIENT)
    assert await auth.session_ids(user.id) == {kept.session_id}
    with pytest.raises(InvalidCode):
        await auth.services.passwords.reset(auth.mobile, code, PASSWORD, CLIENT)


async def test_a_change_of_number_is_repeated_by_its_own_account_alone(
    auth: AuthHarness, signed_in: SignedIn
) -> None:
    mobile = new_mobile()
    code = await auth.code("change_mobile", mobile)
    for _ in range(3):
        caller = await auth.services.sessions.authenticate(signed_in.token)
        await auth.services.accounts.change_mobile(caller, mobile, code, CLIENT)
    entries = [entry.action for entry in await auth.audited(signed_in.user.id)]
    assert entries.count("mobile.changed") == 1
    other = await auth.add_user(new_mobile())
    stranger = await auth.sign_in(mobile=other.mobile)
    with pytest.raises(InvalidCode):
        await auth.services.accounts.change_mobile(Caller(other, stranger.session_id), mobile, code, CLIENT)


async def test_what_opens_a_session_is_not_repeated(auth: AuthHarness, signed_in: SignedIn) -> None:
    """Its answer holds tokens: who sees the code a moment later must not get some, too."""
    code = await auth.code("login")
    await auth.services.sign_in.with_code(auth.mobile, code, CLIENT)
    with pytest.raises(InvalidCode):
        await auth.services.sign_in.with_code(auth.mobile, code, CLIENT)
    caller = Caller(signed_in.user, signed_in.session_id)
    code = await auth.code("confirm")
    await auth.services.reauthentication.with_code(caller, code, CLIENT)
    with pytest.raises(InvalidCode):
        await auth.services.reauthentication.with_code(caller, code, CLIENT)


async def test_of_repetitions_that_come_together_none_is_answered_and_a_later_one_is(
    auth: AuthHarness,
) -> None:
    code = await auth.code("register")
    user_id = await register(auth, code)
    together = [register(auth, code) for _ in range(20)]
    answers = await asyncio.gather(*together, return_exceptions=True)
    assert {type(answer) for answer in answers} == {InvalidCode}
    assert await register(auth, code) == user_id
