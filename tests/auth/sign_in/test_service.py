"""Signing in with a password and with a code, and the renewal of outdated hashes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.auth.errors import (
    InvalidCode,
    Overloaded,
    TooManyAttempts,
    WrongCredentials,
)
from services.auth.models import NewUser, User
from services.auth.networks import trusted_address_key
from services.auth.passwords import service as password_service
from services.auth.passwords.hasher import PasswordHasher
from shared.contracts.events import SessionStarted, UserRegistered
from shared.errors import Unavailable
from shared.observability.metrics import AuthMetrics
from tests.auth.conftest import MakeAuth
from tests.support.auth import CLIENT, PASSWORD, WRONG_CODE, AuthHarness, make_hasher
from tests.support.client import new_mobile
from tests.support.database import FIND_BY_MOBILE, failing, once

Prepare = Callable[[AuthHarness], Awaitable[None]]


async def test_the_right_password_opens_a_session(auth: AuthHarness) -> None:
    user = await auth.add_user()
    signed_in = await auth.sign_in()
    assert signed_in.user == user
    assert (await auth.services.sessions.authenticate(signed_in.token)).user == user
    assert (signed_in.expires_in, signed_in.refresh_expires_in) == (900, 604800)
    assert await auth.session_ids(user.id) == {signed_in.session_id}


async def test_of_the_refresh_token_only_a_hash_is_stored(auth: AuthHarness) -> None:
    user = await auth.add_user()
    signed_in = await auth.sign_in()
    row = await auth.database.fetch_one("SELECT * FROM sessions WHERE user_id = %s", (user.id,))
    assert signed_in.refresh_token not in repr(row)
    [session] = await auth.sessions.list_of_user(user.id, auth.now)
    assert len(session.refresh_hash) == 64


async def test_a_session_comes_with_its_event_and_its_audit_entry(auth: AuthHarness) -> None:
    user = await auth.add_user()
    signed_in = await auth.sign_in()
    [event], [entry] = await auth.events(user.id), await auth.audited(user.id)
    assert isinstance(event, SessionStarted)
    assert (event.user_id, event.session_id, event.method) == (user.id, signed_in.session_id, "password")
    assert (entry.action, entry.user_id, entry.request_id) == ("session.started", user.id, "request-1")


async def _unknown(auth: AuthHarness) -> None:
    pass


async def _known(auth: AuthHarness) -> None:
    await auth.add_user()


async def _disabled(auth: AuthHarness) -> None:
    await auth.change(await auth.add_user(), disabled_at=auth.now)


async def _without_password(auth: AuthHarness) -> None:
    await auth.add_user(password=None)


@pytest.mark.parametrize(
    ("prepare", "password"),
    [
        (_unknown, PASSWORD),
        (_known, "wrong horse"),
        (_disabled, PASSWORD),
        (_disabled, "wrong horse"),
        (_without_password, PASSWORD),
    ],
    ids=["unknown", "wrong", "disabled", "disabled-and-wrong", "without-password"],
)
async def test_every_failed_sign_in_ends_alike_after_one_computation(
    auth: AuthHarness, prepare: Prepare, password: str
) -> None:
    await prepare(auth)
    before = auth.hashes()
    with pytest.raises(WrongCredentials):
        await auth.sign_in(password)
    assert auth.hashes() == before + 1
    assert [entry.action for entry in await auth.audited(mobile=auth.mobile)] == ["proof.refused"]


class InterruptedHasher(PasswordHasher):
    """Runs something else, once, while a password is verified."""

    meanwhile: Callable[[], Awaitable[object]] | None = None

    async def verify(self, password: str, hashed: str | None) -> bool:
        matches = await super().verify(password, hashed)
        if self.meanwhile:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return matches


def make_interrupted_hasher(metrics: AuthMetrics) -> InterruptedHasher:
    return InterruptedHasher(rounds=4, workers=1, max_wait=5, metrics=metrics)


@pytest.mark.parametrize("change", ["disabled", "password", "mobile"])
async def test_a_change_while_the_password_is_verified_is_noticed(make_auth: MakeAuth, change: str) -> None:
    auth = make_auth(make_hasher=make_interrupted_hasher)
    user = await auth.add_user()
    changes: dict[str, dict[str, Any]] = {
        "disabled": {"disabled_at": auth.now},
        "password": {"password_hash": await auth.hasher.hash("other")},
        "mobile": {"mobile": new_mobile()},
    }
    assert isinstance(auth.hasher, InterruptedHasher)
    auth.hasher.meanwhile = lambda: auth.change(user, **changes[change])
    with pytest.raises(WrongCredentials):
        await auth.sign_in()
    assert await auth.session_ids(user.id) == set()


async def test_a_hash_that_another_sign_in_renews_meanwhile_is_verified_again(make_auth: MakeAuth) -> None:
    auth = make_auth(make_hasher=make_interrupted_hasher)
    user = await auth.add_user()
    renewed = await auth.hasher.hash(PASSWORD)
    assert isinstance(auth.hasher, InterruptedHasher)
    auth.hasher.meanwhile = lambda: auth.change(user, password_hash=renewed)
    before = auth.hashes()
    assert (await auth.sign_in()).user.password_hash == renewed
    assert auth.hashes() == before + 2


async def test_a_code_opens_a_session_of_an_account(auth: AuthHarness) -> None:
    user = await auth.add_user()
    signed_in = await auth.services.sign_in.with_code(auth.mobile, await auth.code("login"), CLIENT)
    assert (signed_in.user, signed_in.created) == (user, False)
    assert [entry.action for entry in await auth.audited(user.id)] == ["session.started"]


async def test_a_code_creates_an_account_without_a_password_for_an_unknown_number(auth: AuthHarness) -> None:
    signed_in = await auth.services.sign_in.with_code(auth.mobile, await auth.code("login"), CLIENT)
    user = signed_in.user
    assert (signed_in.created, user.mobile, user.password_hash) == (True, auth.mobile, None)
    assert [type(event) for event in await auth.events(user.id)] == [UserRegistered, SessionStarted]
    assert [entry.action for entry in await auth.audited(user.id)] == ["user.registered", "session.started"]


@pytest.mark.parametrize("prepare", [_unknown, _known, _disabled], ids=["unknown", "known", "disabled"])
async def test_a_wrong_code_opens_nothing(auth: AuthHarness, prepare: Prepare) -> None:
    await prepare(auth)
    with pytest.raises(InvalidCode):
        await auth.services.sign_in.with_code(auth.mobile, WRONG_CODE, CLIENT)
    assert [entry.action for entry in await auth.audited(mobile=auth.mobile)] == ["proof.refused"]


@pytest.mark.parametrize("prepare", [_unknown, _disabled], ids=["unknown", "disabled"])
async def test_where_codes_create_no_accounts_a_right_code_is_refused_like_a_wrong_one(
    make_auth: MakeAuth, prepare: Prepare
) -> None:
    auth = make_auth(settings={"login_code_creates_accounts": False})
    await prepare(auth)
    before = await auth.users.find_by_mobile(auth.mobile)
    with pytest.raises(InvalidCode):
        await auth.services.sign_in.with_code(auth.mobile, await auth.code("login"), CLIENT)
    assert await auth.users.find_by_mobile(auth.mobile) == before


async def test_an_account_that_another_request_creates_meanwhile_is_signed_in_to(auth: AuthHarness) -> None:
    code = await auth.code("login")
    new = NewUser(auth.mobile, None, None, None, auth.now)
    auth.database.after = once(FIND_BY_MOBILE, lambda: auth.users.add(new))
    signed_in = await auth.services.sign_in.with_code(auth.mobile, code, CLIENT)
    assert (signed_in.user.mobile, signed_in.created) == (auth.mobile, False)
    with pytest.raises(InvalidCode):
        await auth.services.sign_in.with_code(auth.mobile, code, CLIENT)


async def test_a_code_stays_valid_if_the_database_fails(auth: AuthHarness) -> None:
    code = await auth.code("login")
    auth.database.before = failing("INSERT INTO `users`", Unavailable())
    with pytest.raises(Unavailable):
        await auth.services.sign_in.with_code(auth.mobile, code, CLIENT)
    auth.database.before = None
    assert (await auth.services.sign_in.with_code(auth.mobile, code, CLIENT)).created


@pytest.mark.parametrize(
    ("prepare", "right"),
    [(_known, False), (_unknown, False), (_unknown, True), (_disabled, False)],
    ids=["known", "unknown", "unknown-with-the-right-code", "disabled"],
)
async def test_refusing_a_code_takes_the_same_steps_whether_or_not_there_is_an_account(
    make_auth: MakeAuth, prepare: Prepare, *, right: bool
) -> None:
    auth = make_auth(settings={"login_code_creates_accounts": False})
    await prepare(auth)
    code = await auth.code("login")
    lookups: list[float] = []

    async def note(sql: str) -> None:
        if FIND_BY_MOBILE in sql:
            lookups.append(auth.codes_checked("login"))

    auth.database.before = note
    with pytest.raises(InvalidCode):
        await auth.services.sign_in.with_code(auth.mobile, code if right else WRONG_CODE, CLIENT)
    assert (lookups, auth.codes_checked("login")) == ([0], 1)


async def test_a_throttled_attempt_computes_no_hash(make_auth: MakeAuth) -> None:
    auth = make_auth(settings={"sign_in_limit_account": "1/hour"})
    await auth.add_user()
    before = auth.hashes()
    for _ in range(2):
        with pytest.raises(WrongCredentials):
            await auth.sign_in("wrong horse")
    with pytest.raises(TooManyAttempts):
        await auth.sign_in()
    assert auth.hashes() == before + 2


async def test_wrong_passwords_for_an_unknown_number_are_throttled_too(make_auth: MakeAuth) -> None:
    auth = make_auth(settings={"sign_in_limit_account": "1/hour"})
    for _ in range(2):
        with pytest.raises(WrongCredentials):
            await auth.sign_in("wrong horse")
    with pytest.raises(TooManyAttempts):
        await auth.sign_in()


async def test_the_account_trusts_the_address_of_a_right_password(auth: AuthHarness) -> None:
    await auth.add_user()
    await auth.sign_in()
    assert await auth.redis.exists(trusted_address_key(auth.mobile, CLIENT.ip, auth.keyed_hash)) == 1


async def outdated(auth: AuthHarness) -> User:
    """Return an account whose hash has other parameters than the current ones."""
    user = await auth.add_user()
    old = make_hasher(AuthMetrics(CollectorRegistry()), rounds=5)
    hashed = await old.hash(PASSWORD)
    old.close()
    return await auth.change(user, password_hash=hashed)


async def test_an_outdated_hash_is_renewed(auth: AuthHarness) -> None:
    user = await outdated(auth)
    await auth.sign_in()
    renewed = (await auth.user(user.id)).password_hash
    assert renewed
    assert not auth.hasher.outdated(renewed)
    await auth.sign_in()
    assert (await auth.user(user.id)).password_hash == renewed


async def test_a_wrong_password_renews_nothing(auth: AuthHarness) -> None:
    user = await outdated(auth)
    with pytest.raises(WrongCredentials):
        await auth.sign_in("wrong horse")
    assert await auth.user(user.id) == user


class FullHasher(PasswordHasher):
    """Verifies, but refuses to hash."""

    async def hash(self, password: str) -> str:
        raise Overloaded


class SlowHasher(PasswordHasher):
    """Verifies, but hashes for an hour."""

    async def hash(self, password: str) -> str:
        await asyncio.sleep(3600)
        return await super().hash(password)


@pytest.mark.parametrize("hasher", [FullHasher, SlowHasher], ids=["overloaded", "slow"])
async def test_a_sign_in_succeeds_although_its_hash_cannot_be_renewed(
    auth: AuthHarness, make_auth: MakeAuth, monkeypatch: pytest.MonkeyPatch, hasher: type[PasswordHasher]
) -> None:
    monkeypatch.setattr(password_service, "_RENEWAL_SECONDS", 0.05)
    user = await outdated(auth)
    other = make_auth(make_hasher=lambda metrics: hasher(rounds=4, workers=1, max_wait=5, metrics=metrics))
    assert (await other.sign_in(mobile=auth.mobile)).user == user
    assert await auth.user(user.id) == user
