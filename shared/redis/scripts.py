"""Batched Lua scripts: concurrent calls share a round trip."""

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
    parameters: tuple[Argument, ...]
    command: bytes
    reply: asyncio.Future[Any]


class RedisScripts:
    """Runs scripts in batches on connections of the client's pool.

    While one batch runs, calls are collected for the next one. This saves round trips and most of the
    library's work, which for a single call costs several times as much as Redis's execution.

    The client's time limits apply to a batch. It is retried once if its connection fails, so scripts
    must be idempotent. If it fails again, the calls collected for the next batch fail too: no caller
    waits longer than for a single call.
    """

    def __init__(self, redis: Redis) -> None:
        self._pool = redis.connection_pool
        self._waiting: list[_Call] = []
        self._runner: asyncio.Task[None] | None = None

    def register(self, text: str) -> Script:
        """Return a function that runs the script with keys and arguments; it raises `REDIS_FAILURES`."""
        # The id of a script in Redis, not a security feature.
        name = sha1(text.encode(), usedforsecurity=False).hexdigest()
        return partial(self._call, text, name)

    async def _call(self, text: str, name: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:  # noqa: ANN401 - the script's reply
        parameters = (len(keys), *keys, *arguments)
        reply = asyncio.get_running_loop().create_future()
        self._waiting.append(_Call(text, parameters, _pack("EVALSHA", name, *parameters), reply))
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run_batches())
        return await reply

    async def _run_batches(self) -> None:
        while self._waiting:
            calls, self._waiting = self._waiting, []
            try:
                replies = await self._run(calls)
            except Exception as error:  # noqa: BLE001 - raised to the callers
                calls, self._waiting = calls + self._waiting, []
                replies = [error] * len(calls)
            except BaseException:  # the event loop ends, and nobody may wait for it
                for call in calls + self._waiting:
                    call.reply.cancel()
                self._waiting = []
                raise
            _resolve(calls, replies)

    async def _run(self, calls: Sequence[_Call]) -> list[Any]:
        connection: Connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            return await connection.retry.call_with_retry(
                partial(_execute, connection, calls), lambda _: connection.disconnect()
            )
        finally:
            await self._pool.release(connection)


async def _execute(connection: Connection, calls: Sequence[_Call]) -> list[Any]:
    replies = await _send(connection, [call.command for call in calls])
    unknown = [index for index, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
    if unknown:  # after a restart the server has no scripts; EVAL loads them
        commands = [_pack("EVAL", calls[index].text, *calls[index].parameters) for index in unknown]
        for index, reply in zip(unknown, await _send(connection, commands), strict=True):
            replies[index] = reply
    return replies


async def _send(connection: Connection, commands: Sequence[bytes]) -> list[Any]:
    """Send commands and return their replies; a failed command's reply is its error."""
    await connection.send_packed_command(b"".join(commands))
    return [await _read_reply(connection) for _ in commands]


async def _read_reply(connection: Connection) -> Any:  # noqa: ANN401
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def _pack(*parts: Argument) -> bytes:
    packed: bytes = pack_command(parts)  # type: ignore[arg-type] # the stub allows one element only
    return packed


def _resolve(calls: Sequence[_Call], replies: Sequence[Any]) -> None:
    for call, reply in zip(calls, replies, strict=True):
        if call.reply.done():  # the caller was cancelled
            continue
        if isinstance(reply, Exception):
            call.reply.set_exception(reply)
        else:
            call.reply.set_result(reply)
