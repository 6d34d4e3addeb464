"""Batched scripts on a real Redis."""

import asyncio
import secrets

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from deploy.local.ports import LOOPBACK, free_port
from shared.redis import client as redis_client
from shared.redis.client import REDIS_FAILURES
from shared.redis.scripts import RedisScripts

ECHO = "return ARGV[1]"
BOTH = "return {KEYS[1], ARGV[1]}"
COUNT = "return redis.call('INCR', KEYS[1])"
CALLERS = 50


async def test_each_caller_gets_its_own_reply(redis: Redis) -> None:
    echo = RedisScripts(redis).register(ECHO)
    replies = await asyncio.gather(*(echo([], [number]) for number in range(CALLERS)))
    assert replies == [str(number).encode() for number in range(CALLERS)]


async def test_each_call_gets_its_own_keys_and_arguments(redis: Redis) -> None:
    both = RedisScripts(redis).register(BOTH)
    replies = await asyncio.gather(*(both(["key"], [number]) for number in range(200)))
    assert replies == [[b"key", str(number).encode()] for number in range(200)]


async def test_concurrent_calls_share_round_trips(redis: Redis) -> None:
    count, key = RedisScripts(redis).register(COUNT), secrets.token_hex(8)
    await count([key], [])
    before = (await redis.info("stats"))["total_reads_processed"]
    await asyncio.gather(*(count([key], []) for _ in range(200)))
    assert await redis.get(key) == b"201"
    assert (await redis.info("stats"))["total_reads_processed"] - before < 20


async def test_concurrent_calls_of_a_flushed_script_run_it_once_each(redis: Redis) -> None:
    count, key = RedisScripts(redis).register(COUNT), secrets.token_hex(8)
    await count([key], [])
    await redis.script_flush()
    assert sorted(await asyncio.gather(*(count([key], []) for _ in range(3)))) == [2, 3, 4]


async def test_a_failed_call_does_not_affect_the_others_of_its_batch(redis: Redis) -> None:
    scripts = RedisScripts(redis)
    echo, broken = scripts.register(ECHO), scripts.register("return redis.call('NO SUCH COMMAND')")
    calls = (echo([], [1]), broken([], []), echo([], [2]))
    first, refused, last = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(refused, ResponseError)
    assert (first, last) == (b"1", b"2")


async def test_a_flushed_script_is_loaded_again(redis: Redis) -> None:
    mark = secrets.token_hex(8)
    echo = RedisScripts(redis).register(f"return '{mark}'")
    assert await echo([], []) == mark.encode()
    await redis.script_flush()
    assert await echo([], []) == mark.encode()


async def test_a_call_survives_a_lost_connection(redis: Redis) -> None:
    echo = RedisScripts(redis).register(ECHO)
    await echo([], [1])
    me = await redis.client_id()
    await redis.client_kill_filter(_id=str(me), skipme=False)
    assert await echo([], [2]) == b"2"


async def test_a_cancelled_caller_does_not_affect_the_others(redis: Redis) -> None:
    echo = RedisScripts(redis).register(ECHO)
    leaving, staying = (asyncio.ensure_future(echo([], [number])) for number in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == b"1"
    assert leaving.cancelled()
    assert await echo([], [2]) == b"2"


async def test_every_caller_gets_an_error_when_redis_is_down() -> None:
    client = redis_client.connect(f"redis://{LOOPBACK}:{free_port()}/0")
    echo = RedisScripts(client).register(ECHO)
    calls = (echo([], [number]) for number in range(CALLERS))
    replies = await asyncio.gather(*calls, return_exceptions=True)
    await client.aclose()
    assert all(isinstance(reply, REDIS_FAILURES) for reply in replies)
    with pytest.raises(REDIS_FAILURES):
        await echo([], [1])
