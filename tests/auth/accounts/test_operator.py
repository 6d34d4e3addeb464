"""What an operator does to accounts, and reads of what was done."""

import json
import subprocess
import sys
from datetime import timedelta

import pytest

from services.auth.accounts.repository import UserRepository
from services.auth.audit.repository import AuditRepository
from services.auth.db.cleanup import Cleanup
from services.auth.db.database import Database
from services.auth.keyed_hash import KeyedHash
from services.auth.models import AuditEntry, Client, NewUser
from tests.support.client import new_mobile
from tests.support.clock import NOW, clock
from tests.support.system import CODE_SECRET, DEVELOPMENT, ROOT, run

CLIENT = Client("192.0.2.1", "test", "request-1")


@pytest.fixture
def env(mysql_url: str) -> dict[str, str]:
    return {"MYSQL_URL": mysql_url, "CODE_SECRET": CODE_SECRET, **DEVELOPMENT}


@pytest.fixture
def audit(database: Database) -> AuditRepository:
    return AuditRepository(database, KeyedHash(CODE_SECRET))


async def new_user(database: Database, mobile: str) -> int:
    return await UserRepository(database).add(NewUser(mobile, "hash", "小明", None, NOW))


async def events_of(database: Database, user_id: int) -> list[str]:
    rows = await database.fetch_all("SELECT type FROM outbox WHERE user_id = %s ORDER BY id", (user_id,))
    return [row[0] for row in rows]


def audited(env: dict[str, str], *options: str) -> list[dict[str, object]]:
    output = run("services.auth", "audit", "--json", *options, env=env).stdout
    return [json.loads(line) for line in output.splitlines()]


def attempt(env: dict[str, str], *command: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.auth", *command],
        cwd=ROOT, env=env, input=answer, capture_output=True, text=True, check=False,
    )  # fmt: skip


async def test_an_account_is_shown_disabled_and_enabled_each_once(
    database: Database, env: dict[str, str]
) -> None:
    mobile = new_mobile()
    user_id = await new_user(database, mobile)
    shown = run("services.auth", "user", "show", mobile, env=env).stdout
    assert f"id: {user_id}\n" in shown
    assert "disabled: no" in shown
    assert mobile not in shown
    for _ in range(2):
        assert "disabled: no" not in run("services.auth", "user", "disable", mobile, env=env).stdout
    for _ in range(2):
        assert "disabled: no" in run("services.auth", "user", "enable", mobile, env=env).stdout
    assert await events_of(database, user_id) == ["user.disabled.v1", "user.enabled.v1"]
    acts = audited(env, "--user", str(user_id))
    assert [act["action"] for act in acts] == ["user.disabled", "user.enabled"]
    assert {act["user_agent"] for act in acts} == {"an operator's command"}


async def test_an_account_is_erased_by_its_number(database: Database, env: dict[str, str]) -> None:
    mobile = new_mobile()
    user_id = await new_user(database, mobile)
    assert run("services.auth", "user", "delete", "--yes", mobile, env=env).stdout == f"deleted: {user_id}\n"
    assert await UserRepository(database).find_by_id(user_id) is None
    assert await events_of(database, user_id) == ["user.deleted.v1"]
    [act] = audited(env, "--mobile", mobile)
    assert (act["action"], act["user_id"], act["mobile"]) == ("user.deleted", user_id, "")


async def test_an_account_is_not_erased_without_an_answer(database: Database, env: dict[str, str]) -> None:
    mobile = new_mobile()
    user_id = await new_user(database, mobile)
    assert attempt(env, "user", "delete", mobile, answer="n\n").returncode == 1
    assert await UserRepository(database).find_by_id(user_id) is not None


async def test_the_trail_is_told_in_order_by_account_number_and_time(
    audit: AuditRepository, env: dict[str, str]
) -> None:
    mobile = new_mobile()
    for user_id, at in ((1, NOW), (2, NOW + timedelta(hours=1)), (2, NOW + timedelta(hours=2))):
        await audit.add(AuditEntry("profile.changed", at, CLIENT, user_id, mobile, {"members": "avatar"}))
    acts = audited(env, "--mobile", mobile)
    assert [(act["user_id"], act["at"]) for act in acts] == [
        (1, "2026-01-02T03:04:05.000+00:00"),
        (2, "2026-01-02T04:04:05.000+00:00"),
        (2, "2026-01-02T05:04:05.000+00:00"),
    ]
    assert len(audited(env, "--mobile", mobile, "--user", "2")) == 2
    assert len(audited(env, "--mobile", mobile, "--since", "2026-01-02T05:00")) == 1
    assert [act["at"] for act in audited(env, "--mobile", mobile, "--limit", "1")] == [acts[-1]["at"]]
    assert audited(env, "--mobile", mobile, "--since", "24h") == []


async def test_the_table_names_who_what_and_from_where(audit: AuditRepository, env: dict[str, str]) -> None:
    mobile = new_mobile()
    await audit.add(AuditEntry("password.changed", NOW, CLIENT, 7, mobile, {"method": "reset"}))
    table = run("services.auth", "audit", "--mobile", mobile, env=env).stdout
    [line] = [line for line in table.splitlines() if "password.changed" in line]
    assert line.split() == [
        "2026-01-02", "03:04:05", "password.changed", "7", f"139****{mobile[-4:]}", "192.0.2.1", "request-1",
        "method=reset",
    ]  # fmt: skip


@pytest.mark.parametrize("since", ["yesterday", "7w", "2026-13-01"])
def test_a_time_that_is_none_is_said_so(env: dict[str, str], since: str) -> None:
    done = attempt(env, "audit", "--since", since)
    assert done.returncode == 2
    assert "takes 30m, 24h, 7d" in done.stderr


async def test_what_repeats_is_one_entry_an_hour_with_its_number(
    audit: AuditRepository,
) -> None:
    mobile = new_mobile()
    for minutes, client in ((0, CLIENT), (1, CLIENT), (2, Client("192.0.2.2", "test")), (60, CLIENT)):
        at = NOW + timedelta(minutes=minutes)
        await audit.add(AuditEntry("proof.refused", at, client, None, mobile, {"for": "login"}, repeats=True))
    found = await audit.find(user_id=None, mobile=mobile, since=None, limit=10)
    assert [(record.ip, record.times) for record in found] == [("192.0.2.2", 3), ("192.0.2.1", 1)]
    assert found[0].at == NOW + timedelta(minutes=2)


async def test_what_is_older_than_it_may_be_goes(database: Database, audit: AuditRepository) -> None:
    mobile, kept = new_mobile(), timedelta(days=4000)
    for at in (NOW - kept - timedelta(days=1), NOW - kept + timedelta(days=1)):
        await audit.add(AuditEntry("profile.changed", at, CLIENT, 7, mobile))
    await Cleanup(database, kept, clock).remove_expired()
    [left] = await audit.find(user_id=None, mobile=mobile, since=None, limit=10)
    assert left.at == NOW - kept + timedelta(days=1)
