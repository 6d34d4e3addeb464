"""One read serves all callers within a moment."""

import asyncio

from services.auth.sessions.revocations import CoalescedRead
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


async def test_concurrent_callers_share_a_read() -> None:
    source = Source()
    read = CoalescedRead(source.read, seconds=60)
    assert await asyncio.gather(*(read.get() for _ in range(50))) == [1] * 50
    assert await read.get() == 1


async def test_an_answer_that_is_too_old_is_read_again() -> None:
    read = CoalescedRead(Source().read, seconds=0)
    first = await read.get()
    await asyncio.sleep(0.001)
    assert await read.get() > first


async def test_a_cancelled_caller_does_not_cancel_the_read() -> None:
    source = Source()
    read = CoalescedRead(source.read, seconds=60)
    leaving, staying = asyncio.create_task(read.get()), asyncio.create_task(read.get())
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == 1


async def test_a_failure_reaches_all_callers_and_is_not_kept() -> None:
    source = Source(down=True)
    read = CoalescedRead(source.read, seconds=0)
    told = await asyncio.gather(read.get(), read.get(), return_exceptions=True)
    assert all(isinstance(answer, Unavailable) for answer in told)
    source.down = False
    await asyncio.sleep(0.001)
    assert await read.get() == source.reads
