"""Reading one account by its number: with few and with many accounts, and beside the bare driver."""

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import aiomysql

from benchmarks import many_users
from benchmarks.figures import Section, Table, Target, at_least, at_most
from benchmarks.machine import cores
from benchmarks.progress import Report
from services.auth.accounts.repository import UserRepository
from services.auth.db.database import Database, session_parameters
from shared.server_urls import parse_mysql_url

FEW = 1_000
IN_FLIGHT, POOL = 32, 16
# What `UserRepository.find_by_mobile` sends.
STATEMENT = (
    "SELECT id, mobile, password_hash, nickname, avatar, disabled_at, created_at FROM users WHERE mobile = %s"
)
OURS = "account by mobile, as sign-in reads it"
BARE = "the same statement, bare aiomysql"

Look = Callable[[str], Awaitable[object]]


@dataclass(slots=True)
class Findings:
    """With so many accounts: reads per second in each round, and seconds of one read alone."""

    accounts: int
    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)


def measure(folder: Path, rounds: int, seconds: int, users: int, report: Report) -> Section:
    """Read accounts of a small table, let it grow, read again."""
    with many_users.database(folder, report) as url:
        many_users.grow(url, 0, FEW)
        few = asyncio.run(_measure(url, Findings(FEW), rounds, seconds))
        report(f"lookups: adding {users - FEW:,} accounts")
        began = time.perf_counter()
        many_users.grow(url, FEW, users)
        report(f"lookups: added, {time.perf_counter() - began:.0f} s")
        many = asyncio.run(_measure(url, Findings(users), rounds, seconds))
    return _section(few, many, rounds, seconds)


async def _measure(url: str, findings: Findings, rounds: int, seconds: int) -> Findings:
    database = Database(url, POOL)
    address = parse_mysql_url(url)
    ((host, port),) = address.nodes
    pool = await aiomysql.create_pool(
        host=host, port=port, user=address.user, password=address.password, db=address.database,
        maxsize=POOL, **session_parameters(),
    )  # fmt: skip
    ours, bare = UserRepository(database).find_by_mobile, _bare(pool)
    for look in (ours, bare):
        await _per_second(look, findings.accounts, seconds)  # connections are made, pages are read
    for _ in range(rounds):
        findings.ours.append(await _per_second(ours, findings.accounts, seconds))
        findings.bare.append(await _per_second(bare, findings.accounts, seconds))
        findings.alone.append(await _seconds_alone(ours, findings.accounts, seconds))
    pool.close()
    await pool.wait_closed()
    await database.close()
    return findings


def _bare(pool: aiomysql.Pool) -> Look:
    async def look(mobile: str) -> object:
        async with pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute(STATEMENT, (mobile,))
            return await cursor.fetchone()

    return look


async def _per_second(look: Look, accounts: int, seconds: int) -> float:
    """Return reads per second with some in flight, each of a random account."""
    found = 0
    began = time.perf_counter()

    async def look_on() -> None:
        nonlocal found
        while time.perf_counter() < began + seconds:
            assert await look(many_users.mobile(random.randrange(accounts))) is not None
            found += 1

    await asyncio.gather(*(look_on() for _ in range(IN_FLIGHT)))
    return found / (time.perf_counter() - began)


async def _seconds_alone(look: Look, accounts: int, seconds: int) -> float:
    """Return the median time of a read with nothing else in flight."""
    times = []
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        await look(many_users.mobile(random.randrange(accounts)))
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _section(few: Findings, many: Findings, rounds: int, seconds: int) -> Section:
    section = Section("Lookups")
    section.notes = [
        f"An account read by its number, chosen at random; {IN_FLIGHT} in flight on a pool of {POOL}, then "
        f"one at a time. Medians of {rounds} alternated rounds of {seconds} s, server and client on the same "
        f"{len(cores())} cores; MariaDB has {many_users.BUFFER_POOL_MEGABYTES} MB to keep the table in. "
        "This is all that a sign-in asks of the table; what it costs beside, bcrypt, depends on no table.",
    ]
    rows = []
    for found in (few, many):
        name = f"{OURS}, {found.accounts:,} accounts"
        alone = f"{statistics.median(found.alone) * 1e6:.0f} µs"
        rows.append((name, "this one", f"{statistics.median(found.ours):,.0f}", alone))
        name = f"{BARE}, {found.accounts:,} accounts"
        rows.append((name, f"aiomysql {version('aiomysql')}", f"{statistics.median(found.bare):,.0f}", ""))
    section.tables = [Table("Lookups", ("", "version", "reads/s", "one alone"), rows)]
    section.targets = _targets(few, many)
    section.bars = [
        ("one account, reads/s", f"{OURS}, {found.accounts:,}", statistics.median(found.ours))
        for found in (few, many)
    ]
    section.bars.append(("one account, reads/s", f"{BARE}, {few.accounts:,}", statistics.median(few.bare)))
    return section


def _targets(few: Findings, many: Findings) -> list[Target]:
    sizes = f"{many.accounts:,} accounts ÷ {few.accounts:,}"
    slower = statistics.median(few.ours) / statistics.median(many.ours)
    longer = statistics.median(many.alone) / statistics.median(few.alone)
    beside = statistics.median(few.ours) / statistics.median(few.bare)
    return [
        at_most(f"account by mobile, time of one alone, {sizes}", 1.2, longer),
        at_most(f"account by mobile, time with {IN_FLIGHT} in flight, {sizes}", 1.2, slower),
        at_least("account by mobile ÷ bare aiomysql, reads/s", 0.6, beside),
    ]
