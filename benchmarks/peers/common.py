"""Shared code of the peers: hop-by-hop headers, arguments, serving with uvloop."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable

import uvloop

HOP_BY_HOP = frozenset({"connection", "content-length", "host", "keep-alive", "transfer-encoding"})
Headers = list[tuple[str, str]]


def end_to_end(headers: Iterable[tuple[str, str]]) -> Headers:
    """Return the headers that a proxy forwards."""
    return [(name, value) for name, value in headers if name.lower() not in HOP_BY_HOP]


def serve(start: Callable[[int, str], Awaitable[object]]) -> None:
    """Run `start(port, upstream)` forever."""

    async def main() -> None:
        kept = await start(int(sys.argv[1]), f"http://127.0.0.1:{sys.argv[2]}")
        await asyncio.Event().wait()
        del kept

    uvloop.run(main())
