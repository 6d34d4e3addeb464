"""A change of CODE_LENGTH, while codes of the old length are still valid."""

import pytest

from services.auth.errors import InvalidCode
from tests.auth.conftest import MakeAuth
from tests.support.auth import CLIENT, AuthHarness


@pytest.fixture
def before(make_auth: MakeAuth) -> AuthHarness:
    return make_auth(settings={"code_length": 6})


@pytest.fixture
def after(make_auth: MakeAuth, before: AuthHarness) -> AuthHarness:
    """Of the same system."""
    harness = make_auth(secret=before.secret, settings={"code_length": 8})
    harness.mobile = before.mobile
    return harness


async def ask(auth: AuthHarness) -> str:
    """Ask for a code, which takes no cooldown, and return it."""
    await auth.services.codes.request(auth.mobile, "login", CLIENT)
    message = auth.publisher.messages[-1]
    await auth.codes.repository.release_cooldown(auth.mobile, message.message_id)
    return message.code


async def test_a_code_that_is_asked_for_again_has_the_new_length_and_is_right(
    before: AuthHarness, after: AuthHarness
) -> None:
    assert (len(await ask(before)), len(code := await ask(after))) == (6, 8)
    assert await ask(after) == code
    assert (await after.services.sign_in.with_code(after.mobile, code, CLIENT)).created


async def test_the_old_code_stays_right_at_processes_with_the_old_setting(
    before: AuthHarness, after: AuthHarness
) -> None:
    old = await ask(before)
    await ask(after)
    assert (await before.services.sign_in.with_code(before.mobile, old, CLIENT)).created
    with pytest.raises(InvalidCode):
        await before.services.sign_in.with_code(before.mobile, old, CLIENT)


async def test_a_code_of_the_same_length_is_sent_again(before: AuthHarness) -> None:
    assert await ask(before) == await ask(before)
