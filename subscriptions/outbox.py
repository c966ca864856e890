"""What waits for one client: a lane for each of its operations, emptied whenever the client has room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kernel.tasks import spawn
from schema.types.delivery import DeliveryPolicy
from subscriptions.deliveries import Delivery
from subscriptions.wire import Wire


class Lane:
    """The deliveries of one operation, in order. As long as the client keeps up, none of them waits."""

    __slots__ = ("_closed", "_frame", "_last", "_on_overflow", "_outbox", "_policy", "_unique", "cursor", "waiting")

    def __init__(
        self,
        outbox: Outbox,
        *,
        frame: Callable[[Delivery], bytes],
        policy: DeliveryPolicy,
        on_overflow: Callable[[str | None], None],
    ) -> None:
        self._outbox, self._frame, self._policy, self._on_overflow = outbox, frame, policy, on_overflow
        self.waiting: dict[object, Delivery] = {}
        self.cursor: str | None = None
        self._unique = 0
        self._last: bytes | None = None
        self._closed = False

    def deliver(self, delivery: Delivery) -> None:
        """Send it, or let it wait by the operation's policy. Where too many wait, `on_overflow` is told the cursor of
        the last delivery that was sent, and nothing more goes out here."""
        if self._closed:
            return
        wire = self._outbox.wire
        if not self.waiting and wire.writable:
            wire.write(self._frame(delivery))
            if delivery.cursor is not None:
                self.cursor = delivery.cursor
            return
        key: object
        if self._policy is DeliveryPolicy.LATEST and delivery.key is not None:
            key = delivery.key
            self.waiting.pop(key, None)
        else:
            self._unique += 1
            key = self._unique
        if len(self.waiting) >= self._outbox.queue_size_max:
            self.close()
            self._on_overflow(self.cursor)
            return
        self.waiting[key] = delivery
        self._outbox.await_room(self)

    async def room(self) -> None:
        """Return once nothing waits here and the client has room, or the lane is closed."""
        while not self._closed and not self._outbox.wire.closed:
            if self.waiting:
                await self._outbox.flushed()
            elif not self._outbox.wire.writable:
                await self._outbox.wire.room()
            else:
                return

    def finish(self, text: bytes) -> None:
        """Send a last message behind everything that waits, and take no more."""
        if self._closed:
            return
        self._closed = True
        if self.waiting:
            self._last = text
        else:
            self._outbox.write(text)

    def close(self) -> None:
        """Take no more, and forget what waits."""
        self._closed = True
        self._last = None
        self.waiting.clear()

    def flush(self) -> None:
        """Send what waits for as long as there is room."""
        wire = self._outbox.wire
        while self.waiting and wire.writable:
            delivery = self.waiting.pop(next(iter(self.waiting)))
            wire.write(self._frame(delivery))
            if delivery.cursor is not None:
                self.cursor = delivery.cursor
        if not self.waiting and self._last is not None:
            self._outbox.write(self._last)
            self._last = None


class Outbox:
    """The lanes of one client. `on_stalled` is called where the client has had no room for `patience_s`."""

    __slots__ = ("_flushed", "_flushing", "_on_stalled", "_patience_s", "_waiting", "queue_size_max", "wire")

    def __init__(self, wire: Wire, *, queue_size_max: int, patience_s: float, on_stalled: Callable[[], None]) -> None:
        self.wire = wire
        self.queue_size_max = queue_size_max
        self._patience_s, self._on_stalled = patience_s, on_stalled
        self._waiting: dict[Lane, None] = {}
        self._flushing: asyncio.Task[None] | None = None
        self._flushed: asyncio.Event | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing waits in any lane."""
        return self._flushing is None

    def lane(
        self, *, frame: Callable[[Delivery], bytes], policy: DeliveryPolicy, on_overflow: Callable[[str | None], None]
    ) -> Lane:
        return Lane(self, frame=frame, policy=policy, on_overflow=on_overflow)

    def write(self, text: bytes) -> None:
        """Send a message that belongs to no lane, ahead of what waits in them."""
        self.wire.write(text)
        self.watch()

    def await_room(self, lane: Lane) -> None:
        """Have this lane flushed as soon as there is room."""
        self._waiting[lane] = None
        self._begin()

    def watch(self) -> None:
        """Lose patience with a client that has no room, also where nothing waits for it here."""
        if not self.wire.writable:
            self._begin()

    def _begin(self) -> None:
        if self._flushing is None:
            self._flushing = spawn(self._flush(), name="outbox")

    async def flushed(self) -> None:
        """Return after the next time that something was flushed, or the connection was closed."""
        if self._flushing is None:
            return
        if self._flushed is None:
            self._flushed = asyncio.Event()
        await self._flushed.wait()

    def close(self) -> None:
        """Forget what waits; nothing more is sent from the lanes."""
        for lane in self._waiting:
            lane.close()
        self._waiting.clear()
        if self._flushing:
            self._flushing.cancel()

    async def _flush(self) -> None:
        try:
            while (self._waiting or not self.wire.writable) and not self.wire.closed:
                try:
                    async with asyncio.timeout(self._patience_s):
                        await self.wire.room()
                except TimeoutError:
                    self._on_stalled()
                    return
                for lane in list(self._waiting):
                    lane.flush()
                    if not lane.waiting:
                        self._waiting.pop(lane, None)
                    if not self.wire.writable:
                        # The next lane is first the next time, so that none waits for a busier one.
                        self._waiting[lane] = self._waiting.pop(lane, None)
                        break
                self._tell()
        finally:
            self._flushing = None
            self._tell()

    def _tell(self) -> None:
        if self._flushed:
            self._flushed.set()
            self._flushed = None
