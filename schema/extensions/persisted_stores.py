"""Where automatic persisted queries are kept: in this process, and in Redis for all processes."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from kernel.logs import get_logger
from kernel.pubsub import ShardingUnsupported, cluster, is_cluster, single
from kernel.settings import Settings

if TYPE_CHECKING:
    from redis.asyncio.cluster import RedisCluster

log = get_logger(__name__)

# A client whose document we do not know sends it again, which is quicker than waiting for a Redis that is not well.
REDIS_PATIENCE_S = 0.25
REDIS_PAUSE_S = 5.0
# The braces keep the three together in a cluster.
TEXTS, USED, SIZE = (f"youka:{{apq}}:{name}" for name in ("texts", "used", "bytes"))

GET = """
local text = redis.call('HGET', KEYS[1], ARGV[1])
if text then redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1]) end
return text
"""
PUT = """
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[3]) == 1 then redis.call('INCRBY', KEYS[3], #ARGV[3]) end
while tonumber(redis.call('GET', KEYS[3]) or '0') > tonumber(ARGV[4]) do
  local oldest = redis.call('ZPOPMIN', KEYS[2])[1]
  if not oldest then break end
  redis.call('DECRBY', KEYS[3], redis.call('HSTRLEN', KEYS[1], oldest))
  redis.call('HDEL', KEYS[1], oldest)
end
return 1
"""


class MemoryStore:
    """Up to `size_max_bytes` of texts in UTF-8; those unused for longest go first."""

    def __init__(self, *, size_max_bytes: int) -> None:
        self._texts: OrderedDict[str, bytes] = OrderedDict()
        self._size_max_bytes = size_max_bytes
        self.size_bytes = 0

    async def get(self, digest: str) -> str | None:
        text = self._texts.get(digest)
        if text is None:
            return None
        self._texts.move_to_end(digest)
        return text.decode()

    async def put(self, digest: str, text: str) -> None:
        if digest in self._texts:
            self._texts.move_to_end(digest)
            return
        self._texts[digest] = encoded = text.encode()
        self.size_bytes += len(encoded)
        while self.size_bytes > self._size_max_bytes:
            _, forgotten = self._texts.popitem(last=False)
            self.size_bytes -= len(forgotten)


class RedisStore:
    """The same in Redis, for every process, behind a store of this process, which is what is left without Redis."""

    def __init__(self, url: str, *, size_max_bytes: int, sharded: bool = False) -> None:
        self._url, self._sharded = url, sharded
        self._size_max_bytes = size_max_bytes
        self._near = MemoryStore(size_max_bytes=size_max_bytes)
        self._client: Redis | RedisCluster | None = None
        self._paused_until_s = 0.0

    async def get(self, digest: str) -> str | None:
        text = await self._near.get(digest)
        if text is not None:
            return text
        stored = await self._run(GET, digest, str(time.time()))
        if not isinstance(stored, bytes):
            return None
        text = stored.decode(errors="replace")
        await self._near.put(digest, text)
        return text

    async def put(self, digest: str, text: str) -> None:
        await self._near.put(digest, text)
        await self._run(PUT, digest, str(time.time()), text, str(self._size_max_bytes))

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def _run(self, script: str, *arguments: str) -> object:
        """Return the script's answer; None where Redis does not give one, and then it is left alone for a while."""
        if time.monotonic() < self._paused_until_s:
            return None
        try:
            async with asyncio.timeout(REDIS_PATIENCE_S):
                client = await self._connected()
                return await cast(Awaitable[object], client.eval(script, 3, TEXTS, USED, SIZE, *arguments))
        except (RedisError, OSError, TimeoutError, ShardingUnsupported) as error:
            self._paused_until_s = time.monotonic() + REDIS_PAUSE_S
            log.warning("persisted_queries.redis_unavailable", error=type(error).__name__)
            return None

    async def _connected(self) -> Redis | RedisCluster:
        if self._client is None:
            in_cluster = self._sharded and await is_cluster(self._url)
            self._client = cluster(self._url) if in_cluster else single(self._url)
        return self._client


@asynccontextmanager
async def opened_store(settings: Settings) -> AsyncIterator[MemoryStore | RedisStore | None]:
    """The store, in Redis where its address is set; None where the settings leave it no room."""
    size_max_bytes = settings.persisted_queries_size_max_bytes
    if not size_max_bytes:
        yield None
    elif not settings.redis_url:
        yield MemoryStore(size_max_bytes=size_max_bytes)
    else:
        sharded = settings.redis_sharded_pubsub
        async with aclosing(RedisStore(settings.redis_url, size_max_bytes=size_max_bytes, sharded=sharded)) as store:
            yield store
