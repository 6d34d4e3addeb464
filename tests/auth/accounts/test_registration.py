"""The use case of registering."""

from dataclasses import replace

import pytest

from services.auth.accounts.registration import Registration, register
from services.auth.errors import AlreadyRegistered, InvalidCode
from services.auth.models import Client, User
from shared.contracts.events import UserRegistered
from shared.errors import Unavailable
from tests.support.fakes import NOW, FakeCodes, FakePasswords, FakeRecords, FakeUsers, clock

MOBILE = "13800000000"
REGISTRATION = Registration(MOBILE, "123456", "correct horse", None, None)
USER = User(1, MOBILE, "hash:correct horse", None, None, None, NOW)


async def try_registering(
    registration: Registration = REGISTRATION,
    codes: FakeCodes | None = None,
    users: FakeUsers | None = None,
    records: FakeRecords | None = None,
) -> int:
    return await register(
        registration,
        Client("192.0.2.1", "test", "request-1"),
        codes=codes or FakeCodes(),
        passwords=FakePasswords(),
        users=users if users is not None else FakeUsers(),
        journal=(records or FakeRecords()).journal,
        clock=clock,
    )


async def test_a_right_code_makes_an_account_without_the_password() -> None:
    users = FakeUsers()
    assert await try_registering(users=users) == 1
    assert users.rows == [USER]


async def test_an_account_comes_with_its_event_and_its_audit_entry() -> None:
    records = FakeRecords()
    await try_registering(records=records)
    event, entry = records.events[0], records.entries[0]
    assert isinstance(event, UserRegistered)
    assert (event.user_id, event.occurred_at, event.mobile) == (1, NOW, "138****0000")
    assert (entry.action, entry.user_id, entry.mobile, entry.client.request_id) == (
        "user.registered", 1, MOBILE, "request-1",
    )  # fmt: skip


async def test_a_refused_registration_records_nothing() -> None:
    records = FakeRecords()
    with pytest.raises(AlreadyRegistered):
        await try_registering(users=FakeUsers([USER]), records=records)
    assert (records.events, records.entries) == ([], [])


async def test_a_wrong_code_is_told_before_an_existing_account() -> None:
    with pytest.raises(InvalidCode):
        await try_registering(replace(REGISTRATION, code="000000"), users=FakeUsers([USER]))


async def test_a_right_code_for_a_registered_number_is_told_so() -> None:
    with pytest.raises(AlreadyRegistered):
        await try_registering(users=FakeUsers([USER]))


async def test_a_database_that_fails_gives_the_code_back() -> None:
    codes = FakeCodes()
    with pytest.raises(Unavailable):
        await try_registering(codes=codes, users=FakeUsers(down=True))
    assert codes.given_back == [MOBILE]
