"""The broadcaster of this process."""

from __future__ import annotations

from collections.abc import Sequence

from broadcaster import Broadcast

from kernel.settings import Settings
from subscriptions.backends import MemoryBackend, RedisBackend
from subscriptions.sharding import ShardedBackend


class BatchBroadcast(Broadcast):
    """A broadcaster over Redis that takes many messages for one call."""

    def __init__(self, backend: RedisBackend) -> None:
        super().__init__(backend=backend)
        self._redis = backend

    async def publish_all(self, messages: Sequence[tuple[str, str]]) -> None:
        """Publish messages with their channels, in their order. Raises where Redis did not take them."""
        await self._redis.publish_all(messages)


def create_broadcast(settings: Settings) -> Broadcast:
    """Return a broadcaster over Redis where its address is set, else within this process; not yet connected."""
    if not settings.redis_url:
        return Broadcast(backend=MemoryBackend())
    if settings.redis_sharded_pubsub:
        return Broadcast(backend=ShardedBackend(settings.redis_url))
    return BatchBroadcast(RedisBackend(settings.redis_url))
