"""The data of the three servers as bytes, to be searched."""

import asyncio
import subprocess
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis

from deploy.local.servers import Servers


def dump_mysql(url: str) -> bytes:
    """Return the database as `mariadb-dump` writes it."""
    parts = urlsplit(url)
    command = [
        "mariadb-dump", f"--host={parts.hostname}", f"--port={parts.port}", f"--user={parts.username}",
        f"--password={parts.password}", "--skip-ssl", "--hex-blob", "--routines", parts.path.lstrip("/"),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, check=True).stdout


async def dump_redis(redis: Redis) -> bytes:
    """Return all keys with their values."""
    return b"\n".join([key + b" " + await _value(redis, key) async for key in redis.scan_iter(count=1000)])


async def _value(redis: Any, key: bytes) -> bytes:
    readers: dict[bytes, list[Any]] = {
        b"string": ["GET", key],
        b"hash": ["HGETALL", key],
        b"list": ["LRANGE", key, 0, -1],
        b"set": ["SMEMBERS", key],
        b"zset": ["ZRANGE", key, 0, -1, "WITHSCORES"],
        b"stream": ["XRANGE", key, "-", "+"],
        b"none": ["GET", key],  # it expired meanwhile
    }
    return repr(await redis.execute_command(*readers[await redis.type(key)])).encode()


async def dump_rabbitmq(servers: Servers) -> bytes:
    """Return the broker's files, with all messages of durable queues."""
    files = [path for path in (servers.rabbitmq.folder / "data").rglob("*") if path.is_file()]
    return b"\n".join(await asyncio.gather(*(asyncio.to_thread(path.read_bytes) for path in files)))
