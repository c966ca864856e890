"""The events of a subscription are charged to each of its subscribers, one by one, as they are handed over.

Where the bucket is empty, an event waits here until time has refilled it. Of what would replace each other only the
newest waits; where nothing may be left out and too much waits, the stream is closed, and is resumed with its cursor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from math import ceil
from typing import Any, Protocol

from domain.budgets.operations import Budgets
from kernel.buckets import Draw, Level
from schema.types.context import Context
from schema.types.delivery import DeliveryPolicy
from subscriptions.charging import MS, RateLimited
from subscriptions.deliveries import Delivery
from subscriptions.errors import refusal

PAUSE_MIN_S = 0.01


class Stream(Protocol):
    """An operation, as far as what stands before its deliveries has to know it."""

    async def room(self) -> None: ...

    def end(self, errors: list[dict[str, Any]] | None) -> None: ...


class Toll:
    """An outlet before another, where each delivery is paid for. `close` forgets what waits."""

    __slots__ = (
        "_budgets", "_context", "_cursor", "_deliver", "_drawn", "_held", "_held_max", "_last", "_outlet", "_passed",
        "_policy", "_timer", "_unique",
    )  # fmt: skip

    def __init__(
        self,
        outlet: Stream,
        deliver: Callable[[Delivery], None],
        budgets: Budgets,
        context: Context,
        *,
        policy: DeliveryPolicy,
        held_max: int,
    ) -> None:
        self._outlet, self._deliver, self._budgets, self._context = outlet, deliver, budgets, context
        self._policy, self._held_max = policy, held_max
        self._held: dict[object, Delivery] = {}
        self._unique = 0
        self._drawn: tuple[int, Draw] | None = None
        self._cursor: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._passed: asyncio.Event | None = None
        self._last: Callable[[], None] | None = None

    def deliver(self, delivery: Delivery) -> None:
        if not self._held:
            level = self._pay(delivery)
            if level.enough:
                self._hand_over(delivery)
                return
            self._look_again(level)
        key: object = delivery.key
        if self._policy is DeliveryPolicy.LATEST and key is not None:
            self._held.pop(key, None)
        else:
            self._unique += 1
            key = self._unique
        self._held[key] = delivery
        if len(self._held) > self._held_max:
            self._close_stream(delivery)

    async def room(self) -> None:
        """Return once everything is paid for and there is room behind."""
        while self._held:
            if self._passed is None:
                self._passed = asyncio.Event()
            await self._passed.wait()
        await self._outlet.room()

    def end(self, errors: list[dict[str, Any]] | None) -> None:
        """End the stream, behind what waits unless it has failed."""
        if self._held and errors is None:
            self._last = partial(self._outlet.end, errors)
            return
        self.close()
        self._outlet.end(errors)

    def close(self) -> None:
        self._held.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._tell()

    def _pay(self, delivery: Delivery) -> Level:
        return self._budgets.buckets.spend(self._draw(delivery))

    def _draw(self, delivery: Delivery) -> Draw:
        """Return what the delivery takes; most cost what the one before has cost."""
        if self._drawn is None or self._drawn[0] != delivery.cost:
            context = self._context
            draw = self._budgets.draw_of_stream(
                viewer=context.viewer, connection=context.connection, cost=delivery.cost
            )
            # More than a full bucket holds would wait for ever.
            draw = Draw(draw.key, draw.bucket, min(draw.amount, draw.bucket.capacity), draw.shared)
            self._drawn = delivery.cost, draw
        return self._drawn[1]

    def _hand_over(self, delivery: Delivery) -> None:
        self._cursor = delivery.cursor or self._cursor
        self._deliver(delivery)

    def _look_again(self, level: Level) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(PAUSE_MIN_S, level.wait_s), self._pass)

    def _pass(self) -> None:
        """Hand over what can be paid for by now."""
        self._timer = None
        while self._held:
            key = next(iter(self._held))
            level = self._pay(self._held[key])
            if not level.enough:
                self._look_again(level)
                return
            self._hand_over(self._held.pop(key))
        self._tell()
        if self._last is not None:
            last, self._last = self._last, None
            last()

    def _close_stream(self, delivery: Delivery) -> None:
        draw = self._draw(delivery)
        level = self._budgets.buckets.peek(draw)
        error = RateLimited(
            retryAfterMs=ceil(level.wait_s * MS), cost=draw.amount, remaining=level.remaining,
            limit=draw.bucket.capacity, cursor=self._cursor,
        )  # fmt: skip
        self.end([refusal(error, locale=self._context.locale)])

    def _tell(self) -> None:
        if self._passed is not None:
            self._passed.set()
            self._passed = None
