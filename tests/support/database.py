"""A real database whose statements tests look at, delay, or let fail."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import peewee

from services.auth.db.database import Database

Hook = Callable[[str], Awaitable[object]]
FIND_BY_MOBILE = "`mobile` = "


class HookedDatabase(Database):
    """Calls `before` and `after` with the SQL of each statement; what they raise, the statement raises."""

    before: Hook | None = None
    after: Hook | None = None

    async def fetch_one(self, sql: str, values: Sequence[object]) -> tuple[Any, ...] | None:
        await _call(self.before, sql)
        row = await super().fetch_one(sql, values)
        await _call(self.after, sql)
        return row

    async def fetch_all(self, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        await _call(self.before, sql)
        rows = await super().fetch_all(sql, values)
        await _call(self.after, sql)
        return rows

    async def insert(self, query: peewee.Insert) -> int:
        await _call(self.before, self.compile(query))
        row_id = await super().insert(query)
        await _call(self.after, self.compile(query))
        return row_id

    async def update(self, query: peewee.Update | peewee.Delete) -> int:
        await _call(self.before, self.compile(query))
        count = await super().update(query)
        await _call(self.after, self.compile(query))
        return count


def numbers(count: int) -> str:
    """Return a SELECT of the numbers 0 to `count` - 1, as `n`; the table `seq_1_to_…` is MariaDB's alone."""
    digits = " UNION ALL ".join(f"SELECT {digit} AS d" for digit in range(10))
    places = len(str(count - 1))
    value = " + ".join(f"{10**place} * t{place}.d" for place in range(places))
    tables = ", ".join(f"({digits}) t{place}" for place in range(places))
    return f"SELECT * FROM (SELECT {value} AS n FROM {tables}) counted WHERE n < {count}"


async def _call(hook: Hook | None, sql: str) -> None:
    if hook:
        await hook(sql)


def once(part: str, work: Callable[[], Awaitable[object]]) -> Hook:
    """Return a hook that does `work` at the first statement whose SQL contains `part`."""
    waiting = [work]

    async def hook(sql: str) -> None:
        if part in sql and waiting:
            await waiting.pop()()

    return hook


def failing(part: str, error: Exception) -> Hook:
    """Return a hook that raises at every statement whose SQL contains `part`."""

    async def hook(sql: str) -> None:
        if part in sql:
            raise error

    return hook
