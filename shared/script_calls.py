"""Calls of Redis' scripts that share a round trip when they are made at about the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import NoScriptError

Argument = str | int
Script = Callable[[Sequence[str], Sequence[Argument]], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class _Call:
    script: AsyncScript
    keys: Sequence[str]
    args: Sequence[Argument]
    reply: asyncio.Future[Any]


class ScriptCalls:
    """Sends the calls that have come up together, one batch at a time.

    A command of its own costs more of a process's time than all that a script does. Each call gets its
    own reply or error; where the connection fails, all calls of the batch fail. A batch may run twice,
    as a single call may.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: list[_Call] = []
        self._sending: asyncio.Task[None] | None = None

    def register(self, text: str) -> Script:
        """Return a script, to be called with keys and arguments."""
        script = self._redis.register_script(text)

        async def call(keys: Sequence[str], args: Sequence[Argument]) -> Any:  # noqa: ANN401 - any reply
            reply = asyncio.get_running_loop().create_future()
            self._waiting.append(_Call(script, keys, args, reply))
            if self._sending is None:
                self._sending = asyncio.create_task(self._send())
            return await reply

        return call

    async def _send(self) -> None:
        """Send as long as anything waits."""
        try:
            while self._waiting:
                calls, self._waiting = self._waiting, []
                await self._send_batch([call for call in calls if not call.reply.done()])
        finally:
            self._sending = None

    async def _send_batch(self, calls: Sequence[_Call]) -> None:
        try:
            replies = await self._run(calls)
        except Exception as error:  # noqa: BLE001 - it is the callers'
            replies = [error] * len(calls)
        except asyncio.CancelledError:
            for call in calls:
                call.reply.cancel()
            raise
        for call, reply in zip(calls, replies, strict=True):
            _answer(call.reply, reply)

    async def _run(self, calls: Sequence[_Call]) -> list[Any]:
        if len(calls) == 1:
            return [await calls[0].script(calls[0].keys, calls[0].args)]
        async with self._redis.pipeline(transaction=False) as pipeline:
            for call in calls:
                pipeline.evalsha(call.script.sha, len(call.keys), *call.keys, *call.args)
            replies = await pipeline.execute(raise_on_error=False)
        for place, call in enumerate(calls):
            if isinstance(replies[place], NoScriptError):  # the server has been restarted
                replies[place] = await call.script(call.keys, call.args)
        return replies


def _answer(reply: asyncio.Future[Any], answer: object) -> None:
    if reply.done():  # the caller has left
        return
    if isinstance(answer, BaseException):
        reply.set_exception(answer)
    else:
        reply.set_result(answer)
