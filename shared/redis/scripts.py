"""Lua scripts for many callers at once: what is called at about the same time is one round trip."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha1
from typing import Any

from hiredis import pack_command
from redis.asyncio import Connection, Redis
from redis.exceptions import NoScriptError, ResponseError

Argument = str | int | float
Script = Callable[[Sequence[str], Sequence[Argument]], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class _Call:
    text: str
    arguments: tuple[Argument, ...]
    command: bytes
    reply: asyncio.Future[Any]


class RedisScripts:
    """Runs scripts, each call by itself, on a connection of the client's pool.

    While one batch of calls is under way the next one gathers. That leaves the round trips and most of
    the library's work out, which for each call costs several times what Redis takes to run it.

    The client's limits hold for a batch: it is repeated once where its connection fails, so a script
    has to be harmless when it runs twice. Where it fails for good, whoever waits for the next one fails
    with it: nobody waits for Redis longer than a single call would.
    """

    def __init__(self, redis: Redis) -> None:
        self._pool = redis.connection_pool
        self._waiting: list[_Call] = []
        self._serving: asyncio.Task[None] | None = None

    def register(self, text: str) -> Script:
        """Return what runs a script, given its keys and arguments; it raises `REDIS_FAILURES`."""
        # Redis's name for a script, no protection of anything.
        name = sha1(text.encode(), usedforsecurity=False).hexdigest()
        return partial(self._call, text, name)

    async def _call(self, text: str, name: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:  # noqa: ANN401 - what the script returns
        given = (len(keys), *keys, *arguments)
        reply = asyncio.get_running_loop().create_future()
        self._waiting.append(_Call(text, given, _pack("EVALSHA", name, *given), reply))
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve())
        return await reply

    async def _serve(self) -> None:
        while self._waiting:
            calls, self._waiting = self._waiting, []
            try:
                replies = await self._run(calls)
            except Exception as error:  # noqa: BLE001 - it is the callers'
                calls, self._waiting = calls + self._waiting, []
                replies = [error] * len(calls)
            _settle(calls, replies)

    async def _run(self, calls: Sequence[_Call]) -> list[Any]:
        connection: Connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            return await connection.retry.call_with_retry(
                partial(_exchange, connection, calls), lambda _: connection.disconnect()
            )
        finally:
            await self._pool.release(connection)


async def _exchange(connection: Connection, calls: Sequence[_Call]) -> list[Any]:
    replies = await _ask(connection, [call.command for call in calls])
    unknown = [place for place, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
    if unknown:  # a server that has just started knows none; given whole, it keeps them
        whole = [_pack("EVAL", calls[place].text, *calls[place].arguments) for place in unknown]
        for place, reply in zip(unknown, await _ask(connection, whole), strict=True):
            replies[place] = reply
    return replies


async def _ask(connection: Connection, commands: Sequence[bytes]) -> list[Any]:
    """Send commands and return their replies, which are errors where Redis refused them."""
    await connection.send_packed_command(b"".join(commands))
    return [await _reply(connection) for _ in commands]


async def _reply(connection: Connection) -> Any:  # noqa: ANN401
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def _pack(*parts: Argument) -> bytes:
    packed: bytes = pack_command(parts)  # type: ignore[arg-type] # its stub knows tuples of one alone
    return packed


def _settle(calls: Sequence[_Call], replies: Sequence[Any]) -> None:
    for call, reply in zip(calls, replies, strict=True):
        if call.reply.done():  # its caller has gone
            continue
        if isinstance(reply, Exception):
            call.reply.set_exception(reply)
        else:
            call.reply.set_result(reply)
