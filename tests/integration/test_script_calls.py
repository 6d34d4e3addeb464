"""Calls of scripts that share a round trip, with a real Redis."""

import asyncio

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from shared.redis_client import REDIS_FAILURES, connect
from shared.script_calls import ScriptCalls

ECHO = "if ARGV[1] == 'bad' then return redis.error_reply('BAD it is') end return {KEYS[1], ARGV[1]}"
COUNT = "return redis.call('INCR', KEYS[1])"


async def test_each_of_many_calls_gets_its_own_reply(redis: Redis) -> None:
    echo = ScriptCalls(redis).register(ECHO)
    replies = await asyncio.gather(*(echo(["key"], [number]) for number in range(200)))
    assert replies == [[b"key", str(number).encode()] for number in range(200)]


async def test_many_calls_take_few_commands_round_trips(redis: Redis) -> None:
    count = ScriptCalls(redis).register(COUNT)
    await count(["calls"], [])
    before = (await redis.info("stats"))["total_reads_processed"]
    await asyncio.gather(*(count(["calls"], []) for _ in range(200)))
    assert await redis.get("calls") == b"201"
    assert (await redis.info("stats"))["total_reads_processed"] - before < 20


async def test_an_error_is_only_its_own_callers(redis: Redis) -> None:
    echo = ScriptCalls(redis).register(ECHO)
    replies = await asyncio.gather(
        *(echo(["key"], [word]) for word in ("a", "bad", "c")), return_exceptions=True
    )
    assert isinstance(replies[1], ResponseError)
    assert [replies[0], replies[2]] == [[b"key", b"a"], [b"key", b"c"]]


async def test_a_server_that_has_forgotten_the_scripts_learns_them_again(redis: Redis) -> None:
    count = ScriptCalls(redis).register(COUNT)
    await count(["forgotten"], [])
    await redis.script_flush()
    assert sorted(await asyncio.gather(*(count(["forgotten"], []) for _ in range(3)))) == [2, 3, 4]


async def test_a_caller_that_leaves_does_not_disturb_the_others(redis: Redis) -> None:
    echo = ScriptCalls(redis).register(ECHO)
    leaving, staying = (asyncio.ensure_future(echo(["key"], [word])) for word in ("a", "b"))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == [b"key", b"b"]
    assert await echo(["key"], ["c"]) == [b"key", b"c"]


async def test_without_redis_every_call_of_the_batch_fails() -> None:
    nowhere = connect("redis://127.0.0.1:1/0")
    echo = ScriptCalls(nowhere).register(ECHO)
    replies = await asyncio.gather(*(echo(["key"], [word]) for word in "abc"), return_exceptions=True)
    assert all(isinstance(reply, REDIS_FAILURES) for reply in replies)
    with pytest.raises(REDIS_FAILURES):
        await echo(["key"], ["again"])
    await nowhere.aclose()
