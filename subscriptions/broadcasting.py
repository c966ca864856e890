"""The broadcaster of this process."""

from __future__ import annotations

from broadcaster import Broadcast

from kernel.settings import Settings
from subscriptions.backends import MemoryBackend, RedisBackend


def create_broadcast(settings: Settings) -> Broadcast:
    """Return a broadcaster over Redis where its address is set, else within this process; not yet connected."""
    if settings.redis_url:
        return Broadcast(backend=RedisBackend(settings.redis_url))
    return Broadcast(backend=MemoryBackend())
