"""The broadcaster of this process."""

from __future__ import annotations

from broadcaster import Broadcast

from kernel.settings import Settings
from subscriptions.backends import MemoryBackend, RedisBackend
from subscriptions.sharding import ShardedBackend


def create_broadcast(settings: Settings) -> Broadcast:
    """Return a broadcaster over Redis where its address is set, else within this process; not yet connected."""
    if not settings.redis_url:
        return Broadcast(backend=MemoryBackend())
    sharded = settings.redis_sharded_pubsub
    return Broadcast(backend=ShardedBackend(settings.redis_url) if sharded else RedisBackend(settings.redis_url))
