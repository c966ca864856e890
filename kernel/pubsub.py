"""Redis's sharded publish/subscribe (https://redis.io/docs/latest/develop/pubsub/#sharded-pubsub).

In a cluster an ordinary message goes to every node. A sharded one stays with the node that owns its channel's slot, so
the traffic grows with the cluster. It works on a single Redis as well.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from kernel.settings import Settings

if TYPE_CHECKING:
    from redis.asyncio.cluster import RedisCluster

REDIS_MAJOR_MIN = 7
REDIS_TIMEOUT_S = 5.0
CLUSTER_RETRIES_MAX = 2


class ShardingUnsupported(RuntimeError):
    """YOUKA_REDIS_SHARDED_PUBSUB is set, and the Redis is older than sharded publish/subscribe."""

    def __init__(self, version: str) -> None:
        super().__init__(
            f"YOUKA_REDIS_SHARDED_PUBSUB needs Redis {REDIS_MAJOR_MIN} or newer, and this is {version}; "
            "unset it, or use a newer Redis"
        )


def single(url: str, *, timeout_s: float = REDIS_TIMEOUT_S) -> Redis:
    """Return a client of one node that fails within `timeout_s`, and tries anew where its connection was stale."""
    return Redis.from_url(
        url,
        protocol=2,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 1),
    )


def cluster(url: str) -> RedisCluster:
    """Return a client of the whole cluster, which is found through the node at the address."""
    from redis.asyncio.cluster import RedisCluster  # noqa: PLC0415 -- a process without a cluster does not load it.

    return RedisCluster.from_url(
        url,
        protocol=2,
        socket_timeout=REDIS_TIMEOUT_S,
        socket_connect_timeout=REDIS_TIMEOUT_S,
        retry=Retry(NoBackoff(), CLUSTER_RETRIES_MAX),
    )


async def is_cluster(url: str) -> bool:
    """Ask the Redis whether it is part of a cluster. Raises ShardingUnsupported, and redis's own errors."""
    async with single(url) as client:
        server = await client.info("server")
    version = str(server["redis_version"])
    if int(version.partition(".")[0]) < REDIS_MAJOR_MIN:
        raise ShardingUnsupported(version)
    return str(server["redis_mode"]) == "cluster"


async def require_sharding(settings: Settings) -> None:
    """Raise ShardingUnsupported where it is wanted and cannot be; a Redis that is down may still come up."""
    if settings.redis_url and settings.redis_sharded_pubsub:
        try:
            await is_cluster(settings.redis_url)
        except (RedisError, OSError):
            return


class ShardedPublisher:
    """Publishes each message to the node that owns its channel."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Redis | RedisCluster | None = None
        self._turn = asyncio.Lock()

    async def publish(self, channel: str, message: Any) -> None:
        """Raises ShardingUnsupported, and redis's own errors where the message was not taken."""
        async with self._turn:
            if self._client is None:
                self._client = cluster(self._url) if await is_cluster(self._url) else single(self._url)
        await self._client.spublish(channel, message)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
