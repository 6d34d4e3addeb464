"""What others notice of somebody who signs in to one account, or from one address, as often as possible."""

import asyncio
import itertools
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import aiohttp

from benchmarks.figures import Section, Table, at_most
from benchmarks.progress import Report
from benchmarks.samples import ms, percentile
from benchmarks.system import PASSWORD, ROUNDS, System

CONNECTIONS = 40
VICTIMS_PER_SECOND = 1
ATTACKER = "198.51.100.1"
# As in production.
LIMITS = {
    "CHECKS_IN_PROGRESS_ACCOUNT": "2",
    "CHECKS_IN_PROGRESS_ADDRESS": "4",
    "SIGN_IN_CHECKS_ACCOUNT": "300/hour",
    "SIGN_IN_CHECKS_ADDRESS": "3000/hour",
}


@dataclass(slots=True)
class _Attack:
    """The attack, and what its victims notice: seconds of each sign-in, and statuses."""

    title: str
    accounts: list[str]
    addresses: list[str]
    taken: list[float] = field(default_factory=list)
    victims: Counter[int] = field(default_factory=Counter)
    attackers: Counter[int] = field(default_factory=Counter)


def measure(system: System, seconds: int, report: Report) -> Section:
    """Attack one auth process behind one gateway, and sign in other users meanwhile."""
    section = Section("Starving others")
    section.notes = [
        f"{CONNECTIONS} connections sign in with right passwords as fast as they are answered. "
        f"Meanwhile {VICTIMS_PER_SECOND} other user a second signs in, each from a new address. "
        f"bcrypt at cost {ROUNDS}."
    ]
    attacks = list(_attacks(system))
    with _running(system.variant("starving", **LIMITS)) as url:
        for attack in attacks:
            report(f"starving others: {attack.title}")
            asyncio.run(_measure(url, system, attack, seconds))
    rows = [
        (
            attack.title,
            _statuses(attack.attackers),
            _statuses(attack.victims),
            ms(statistics.median(attack.taken)),
            ms(percentile(attack.taken, 99)),
        )
        for attack in attacks
    ]
    columns = ("attack", "its answers", "others' answers", "others' median", "others' p99")
    section.tables = [Table("Sign-ins during an attack", columns, rows)]
    for attack in attacks:
        section.targets += [
            at_most(f"{attack.title}: a sign-in of others, p99", 1, percentile(attack.taken, 99), " s"),
            at_most(f"{attack.title}: refused sign-ins of others", 0, _refused(attack.victims)),
        ]
    return section


def _attacks(system: System) -> Iterator[_Attack]:
    mobiles = list(system.mobiles)
    yield _Attack("one account, one address", mobiles[:1], [ATTACKER])
    yield _Attack("one account, ten addresses", mobiles[1:2], [f"198.51.{n}.1" for n in range(10)])
    yield _Attack("ten accounts, one address", mobiles[2:12], ["198.51.101.1"])


@contextmanager
def _running(system: System) -> Iterator[str]:
    with system.service("auth"), system.service("gateway"):
        yield system.url


async def _measure(url: str, system: System, attack: _Attack, seconds: int) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, connector=connector) as session:
        attackers = [asyncio.create_task(_attack(session, attack, number)) for number in range(CONNECTIONS)]
        await asyncio.sleep(1)
        numbers = itertools.count(20)
        victims = []
        for number in itertools.islice(numbers, seconds * VICTIMS_PER_SECOND):
            mobile, address = system.mobiles[number], f"203.0.{number // 200}.{number % 200}"
            victims.append(asyncio.create_task(_victim(session, attack, mobile, address)))
            await asyncio.sleep(1 / VICTIMS_PER_SECOND)
        await asyncio.gather(*victims)
        for attacker in attackers:
            attacker.cancel()
        await asyncio.gather(*attackers, return_exceptions=True)


async def _attack(session: aiohttp.ClientSession, attack: _Attack, number: int) -> None:
    pairs = itertools.cycle(itertools.product(attack.accounts, attack.addresses))
    for mobile, address in itertools.islice(pairs, number, None):
        attack.attackers[await _sign_in(session, mobile, address)] += 1


async def _victim(session: aiohttp.ClientSession, attack: _Attack, mobile: str, address: str) -> None:
    began = time.perf_counter()
    attack.victims[await _sign_in(session, mobile, address)] += 1
    attack.taken.append(time.perf_counter() - began)


async def _sign_in(session: aiohttp.ClientSession, mobile: str, address: str) -> int:
    body, headers = {"mobile": mobile, "password": PASSWORD}, {"X-Forwarded-For": address}
    async with session.post("/login/", json=body, headers=headers) as response:
        await response.read()
        return response.status


def _statuses(counts: Counter[int]) -> str:
    return ", ".join(f"{status}: {count}" for status, count in sorted(counts.items()))


def _refused(counts: Counter[int]) -> float:
    return counts.total() - counts[200]
