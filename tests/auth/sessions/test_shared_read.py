"""One read for everybody who asks within a moment."""

import asyncio

from services.auth.sessions.revocations import SharedRead
from shared.errors import Unavailable


class Source:
    """Counts how often it is read; every read takes a turn of the loop."""

    def __init__(self, *, down: bool = False) -> None:
        self.reads = 0
        self.down = down

    async def read(self) -> int:
        self.reads += 1
        await asyncio.sleep(0)
        if self.down:
            raise Unavailable
        return self.reads


async def test_many_who_ask_at_once_share_a_read() -> None:
    source = Source()
    shared = SharedRead(source.read, seconds=60)
    assert await asyncio.gather(*(shared.get() for _ in range(50))) == [1] * 50
    assert await shared.get() == 1


async def test_an_answer_that_is_too_old_is_read_again() -> None:
    shared = SharedRead(Source().read, seconds=0)
    first = await shared.get()
    await asyncio.sleep(0.001)
    assert await shared.get() > first


async def test_whoever_leaves_does_not_take_the_answer_away() -> None:
    source = Source()
    shared = SharedRead(source.read, seconds=60)
    leaving, staying = asyncio.create_task(shared.get()), asyncio.create_task(shared.get())
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == 1


async def test_a_failure_is_told_to_all_and_not_kept() -> None:
    source = Source(down=True)
    shared = SharedRead(source.read, seconds=0)
    told = await asyncio.gather(shared.get(), shared.get(), return_exceptions=True)
    assert all(isinstance(answer, Unavailable) for answer in told)
    source.down = False
    await asyncio.sleep(0.001)
    assert await shared.get() == source.reads
