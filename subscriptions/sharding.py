"""Sharded publish/subscribe behind the broadcaster's interface: a channel is heard from the node that owns its slot."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from broadcaster import Event
from broadcaster._backends.base import BroadcastBackend
from redis.asyncio import Redis

from kernel.backoff import Backoff
from kernel.logs import get_logger
from kernel.pubsub import ShardedPublisher, cluster, is_cluster, single
from kernel.tasks import cancel_and_wait, spawn
from subscriptions.backends import MESSAGES_QUEUED_MAX
from subscriptions.links import CONFIRMATION_TIMEOUT_S, SHARDED, Link

if TYPE_CHECKING:
    from redis.asyncio.cluster import RedisCluster

log = get_logger(__name__)

# Losing a node is noticed again and again until another one has taken over its slots.
SURVEYS_PAUSE_S = 0.2


class ShardedBackend(BroadcastBackend):
    """One link for each node that owns a wanted channel. A survey of the cluster says which one that is.

    A link that is lost, and a slot that has moved (Redis then ends the subscription by itself), lead to a new survey;
    channels that have another owner are subscribed to there, and RESYNC follows.
    """

    def __init__(self, url: str, *, messages_queued_max: int = MESSAGES_QUEUED_MAX) -> None:
        self._url = url
        self._publisher = ShardedPublisher(url)
        self._arrived: asyncio.Queue[Event] = asyncio.Queue(messages_queued_max)
        self._cluster: RedisCluster | None = None
        self._links: dict[str, tuple[Link, Redis]] = {}
        # The wanted channels, and the address of the node where each is subscribed to; None before the first survey.
        self.channels: dict[str, str | None] = {}
        self._ended: set[str] = set()
        self._doubted = asyncio.Event()
        self._surveyed = asyncio.Event()
        self._surveyor: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Begin to look for the nodes. Redis may be down: the server starts all the same."""
        self._doubted.set()
        self._surveyor = spawn(self._survey_when_in_doubt(), name="broadcast:survey")

    async def disconnect(self) -> None:
        if self._surveyor:
            await cancel_and_wait(self._surveyor)
        for link, client in self._links.values():
            await link.close()
            await client.aclose()
        if self._cluster:
            await self._cluster.aclose()
        await self._publisher.close()

    async def publish(self, channel: str, message: Any) -> None:
        """Hand one message to the channel's node. Raises redis.exceptions.RedisError where it did not take it."""
        await self._publisher.publish(channel, message)

    async def next_published(self) -> Event:
        return await self._arrived.get()

    async def subscribe(self, group: str) -> None:
        """Return once the channel's node has confirmed, or after a while: then RESYNC follows the confirmation."""
        self.channels[group] = None
        try:
            async with asyncio.timeout(CONFIRMATION_TIMEOUT_S):
                await self._surveyed.wait()
        except TimeoutError:
            log.warning("broadcast.not_surveyed", waited_s=CONFIRMATION_TIMEOUT_S)
            return
        except BaseException:
            self.channels.pop(group, None)
            raise
        if group not in self.channels or self.channels[group] is not None:
            return
        address = self.channels[group] = self._owner_of(group)
        try:
            await self._link_to(address).subscribe(group)
        except BaseException:
            self.channels.pop(group, None)
            raise

    async def unsubscribe(self, group: str) -> None:
        address = self.channels.pop(group, None)
        if address in self._links:
            await self._links[address][0].unsubscribe(group)

    def _lost(self, channel: str | None) -> None:
        if channel is not None:
            self._ended.add(channel)
        self._doubted.set()

    async def _survey_when_in_doubt(self) -> None:
        backoff = Backoff()
        while True:
            await self._doubted.wait()
            self._doubted.clear()
            try:
                await self._survey()
                backoff.reset()
                self._surveyed.set()
                await asyncio.sleep(SURVEYS_PAUSE_S)
            except Exception as error:
                delay_s = backoff.next_delay_s()
                log.warning(
                    "broadcast.not_surveyed",
                    error=type(error).__name__,
                    detail=str(error),
                    retry_in_s=round(delay_s, 3),
                )
                self._doubted.set()
                await asyncio.sleep(delay_s)

    async def _survey(self) -> None:
        """Find out who owns which slot, and subscribe where the owner is another one than before."""
        if self._cluster is not None:
            await self._cluster.nodes_manager.initialize()
        elif not self._surveyed.is_set() and await is_cluster(self._url):
            self._cluster = cluster(self._url)
            await self._cluster.initialize()
        ended, self._ended = self._ended, set()
        for group, address in list(self.channels.items()):
            owner = self._owner_of(group)
            if group not in self.channels or (owner == address and group not in ended):
                continue
            if address is not None and address != owner and address in self._links:
                await self._links[address][0].unsubscribe(group)
            self.channels[group] = owner
            await self._link_to(owner).want(group)
        await self._forget_idle_links()

    def _owner_of(self, group: str) -> str:
        """Return the address of the node that owns the channel's slot; on a single Redis there is only one."""
        if self._cluster is None:
            return self._url
        node = self._cluster.get_node_from_key(group)
        if node is None:
            raise ConnectionError("no node owns the slot of a channel")
        parts = urlsplit(self._url)
        account = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        return urlunsplit(parts._replace(netloc=f"{account}{node.host}:{node.port}"))

    def _link_to(self, address: str) -> Link:
        if address not in self._links:
            client = single(address)
            link = Link(client.connection_pool, self._arrived, commands=SHARDED, lost=self._lost)
            self._links[address] = link, client
            link.open()
        return self._links[address][0]

    async def _forget_idle_links(self) -> None:
        for address in self._links.keys() - set(self.channels.values()):
            link, client = self._links.pop(address)
            await link.close()
            await client.aclose()
