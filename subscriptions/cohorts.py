"""Cohorts: who asks for the same in the same view is served by one execution and one encoding per event.

A member catches up by itself, from its own cursor to the place where its cohort stands, while what the cohort delivers
meanwhile is held for it; from then on it is handed what the cohort delivers. What it saw already is left out by
position, so nothing is missed or repeated between the two.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, TypeAlias

import orjson
from graphql import VariableNode

from domain.events import queries
from domain.events.ports import EventSource, HistoryGone, StoredEvent
from kernel.errors import Locale
from kernel.tasks import spawn
from schema.types.context import Context
from schema.types.delivery import DeliveryAudience, DeliveryPolicy
from subscriptions.deliveries import Delivery, Outlet, StreamOverflow
from subscriptions.errors import refusal
from subscriptions.execution import Executor, Prepared, failure
from subscriptions.hub import PAGE_SIZE, steadily

# These say where a client starts; they do not say what it is shown.
STARTING_ARGUMENTS = ("after", "device")
# Some milliseconds of writing, after which others have their turn.
MEMBERS_PER_TURN = 250

Key: TypeAlias = tuple[str, str | None, bytes, tuple[object, ...]]


class Cohort:
    """One running subscription; to its own execution it is the source of events that stands at the newest."""

    def __init__(self, key: Key, executor: Executor, prepared: Prepared, context: Context, events: EventSource) -> None:
        self.key = key
        self.members: dict[Member, None] = {}
        self.stream: str | None = None
        self.position = 0
        self.ready = asyncio.Event()
        self.ended: list[list[dict[str, Any]] | None] = []
        self._executor, self._prepared, self._context, self._events = executor, prepared, context, events
        self._following = False
        # What is being handed out, for whoever joins before it has reached everybody.
        self._current: Delivery | None = None

    def join(self, member: Member) -> None:
        self.members[member] = None
        if self._current is not None:
            member.hold(self._current)

    async def run(self) -> None:
        """Execute for each event until the source ends, and end every member then."""
        errors: list[dict[str, Any]] | None = None
        try:
            source = await self._executor.source(self._prepared, self._context, events=self)
            async with aclosing(source):
                async for event in source:
                    # What a stream begins with is for each member to see once, when it joins.
                    if self._following:
                        await self._hand_out(await self._executor.render(self._prepared, self._context, event))
        except Exception as error:
            errors = failure(error, self._context)
        self.ended.append(errors)
        self.ready.set()
        for member in tuple(self.members):
            member.end(errors)

    async def follow(self, stream: str, *, after: int | None) -> AsyncGenerator[StoredEvent, None]:
        """As EventSource has it, but always from the newest: the members have read what lies before it."""
        self.stream, self._following = stream, True
        if self.ready.is_set():
            # It was too slow for its history, has told its members of the gap, and goes on behind that.
            assert after is not None
            self.position = after
        else:
            self.position = await steadily(lambda: queries.head(stream), doing="begin a cohort")
            self.ready.set()
        async with aclosing(self._events.follow(stream, after=self.position)) as events:
            async for event in events:
                yield event
                self.position = event.position

    async def _hand_out(self, delivery: Delivery) -> None:
        """Hand it to every member, and let the loop do other things in between: writing to thousands takes a while."""
        self._current = delivery
        members = tuple(self.members)
        for start in range(0, len(members), MEMBERS_PER_TURN):
            if start:
                await asyncio.sleep(0)
            for member in members[start : start + MEMBERS_PER_TURN]:
                if not member.live:
                    member.hold(delivery)
                elif delivery.position > member.position and not member.gone:
                    member.outlet.deliver(delivery)
        self._current = None


class Member:
    """One operation in its cohort. To the execution that catches up, it is a source that ends where the cohort is."""

    __slots__ = (
        "_cohort", "_cursor", "_held", "_held_max", "_overflowed", "catching_up", "gone", "live", "outlet", "position",
    )  # fmt: skip

    def __init__(self, cohort: Cohort, outlet: Outlet, *, held_max: int) -> None:
        self.outlet = outlet
        self.live = self.gone = False
        self.position = 0
        self._cohort = cohort
        self._cursor: str | None = None
        self._held: list[Delivery] = []
        self._held_max = held_max
        self._overflowed = False
        self.catching_up: asyncio.Task[None] | None = None

    def hold(self, delivery: Delivery) -> None:
        if len(self._held) >= self._held_max:
            self._held.clear()
            self._overflowed = True
        if not self._overflowed:
            self._held.append(delivery)

    async def follow(self, stream: str, *, after: int | None) -> AsyncGenerator[StoredEvent, None]:
        """Yield what lies between the position and the place where the cohort is, and end there."""
        await self._cohort.ready.wait()
        assert after is not None
        self.position = position = after
        while not self._cohort.ended:
            self._held.clear()
            self._overflowed = False
            until = self._cohort.position
            while position < until:
                for event in await self._page(stream, position):
                    if event.position > until:
                        break
                    position = event.position
                    yield event
            if not self._overflowed:
                return

    async def _page(self, stream: str, position: int) -> list[StoredEvent]:
        """Raises HistoryGone where the event behind the position is deleted."""
        page = await steadily(
            lambda: queries.after(stream, position=position, limit=PAGE_SIZE), doing="catch up with a cohort"
        )
        if not page or page[0].position > position + 1:
            raise HistoryGone
        return page

    def show(self, delivery: Delivery) -> None:
        """Hand over what this member has executed by itself."""
        self.position = max(self.position, delivery.position)
        self._cursor = delivery.cursor
        self.outlet.deliver(delivery)

    def go_live(self, *, locale: Locale) -> None:
        """Hand over what was held, and from now on whatever the cohort delivers."""
        if self._overflowed:
            self.end([refusal(StreamOverflow(cursor=self._cursor), locale=locale)])
            return
        self.live = True
        for delivery in self._held:
            if delivery.position > self.position:
                self.outlet.deliver(delivery)
        self._held.clear()
        if self._cohort.ended:
            self.end(self._cohort.ended[0])

    def end(self, errors: list[dict[str, Any]] | None) -> None:
        if self.live or errors:
            self.gone = True
            self._cohort.members.pop(self, None)
            self.outlet.end(errors)


class Membership:
    """What a transport holds of an operation that runs; `close` ends it and may be called again."""

    __slots__ = ("_close", "policy")

    def __init__(self, policy: DeliveryPolicy, close: Callable[[], None]) -> None:
        self.policy = policy
        self._close: Callable[[], None] | None = close

    def close(self) -> None:
        if self._close:
            close, self._close = self._close, None
            close()


class Cohorts:
    """The running subscriptions of this process."""

    def __init__(self, executor: Executor, events: EventSource, *, held_max: int) -> None:
        self._executor, self._events = executor, events
        self._held_max = held_max
        self._cohorts: dict[Key, tuple[Cohort, asyncio.Task[None]]] = {}

    @property
    def size(self) -> int:
        """How many different subscriptions are executed."""
        return len(self._cohorts)

    async def open(
        self, prepared: Prepared, context: Context, outlet: Callable[[DeliveryPolicy], Outlet]
    ) -> Membership:
        """Begin one subscription; `outlet` makes the place where it delivers to.

        The subscription's own resolver has decided by then whether this viewer may have it. Raises OperationRefused.
        """
        rule = self._executor.rule_of(prepared)
        if rule is None:
            return await self._open_alone(prepared, context, outlet(DeliveryPolicy.LOSSLESS))
        if rule.audience is DeliveryAudience.EVERYONE:
            context = dataclasses.replace(context, viewer=None)
        context = dataclasses.replace(context, connection_params=None)
        # The source of events is only asked once the generator is stepped, and by then the member is in its cohort.
        joining = _Later()
        source = await self._executor.source(prepared, context, events=joining)
        cohort = self._join(_key(prepared, context), prepared, context)
        member = joining.source = Member(cohort, outlet(rule.policy), held_max=self._held_max)
        cohort.join(member)
        member.catching_up = spawn(self._catch_up(member, source, prepared, context), name="cohort:catch-up")
        return Membership(rule.policy, partial(self._leave, member, cohort))

    def _join(self, key: Key, prepared: Prepared, context: Context) -> Cohort:
        running = self._cohorts.get(key)
        if running and not running[0].ended:
            return running[0]
        cohort = Cohort(key, self._executor, prepared, context, self._events)
        self._cohorts[key] = cohort, spawn(cohort.run(), name="cohort")
        return cohort

    def _leave(self, member: Member, cohort: Cohort) -> None:
        if member.catching_up:
            member.catching_up.cancel()
        member.gone = True
        cohort.members.pop(member, None)
        running = self._cohorts.get(cohort.key)
        if running and running[0] is cohort and not cohort.members:
            del self._cohorts[cohort.key]
            running[1].cancel()

    async def _catch_up(
        self, member: Member, source: AsyncGenerator[Any, None], prepared: Prepared, context: Context
    ) -> None:
        try:
            async with aclosing(source):
                async for event in source:
                    member.show(await self._executor.render(prepared, context, event))
                    await member.outlet.room()
        except Exception as error:
            member.end(failure(error, context))
        else:
            member.catching_up = None
            member.go_live(locale=context.locale)

    async def _open_alone(self, prepared: Prepared, context: Context, outlet: Outlet) -> Membership:
        source = await self._executor.source(prepared, context)

        async def run() -> None:
            errors: list[dict[str, Any]] | None = None
            try:
                async with aclosing(source):
                    async for event in source:
                        outlet.deliver(await self._executor.render(prepared, context, event))
                        await outlet.room()
            except Exception as error:
                errors = failure(error, context)
            outlet.end(errors)

        running = spawn(run(), name="subscription")
        return Membership(DeliveryPolicy.LOSSLESS, lambda: _cancel(running))


class _Later:
    """A source of events that is known only after the resolver was asked."""

    source: EventSource

    def follow(self, stream: str, *, after: int | None) -> AsyncGenerator[StoredEvent, None]:
        return self.source.follow(stream, after=after)


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


def _key(prepared: Prepared, context: Context) -> Key:
    """Return what two operations have in common where one execution serves both."""
    starts = {
        argument.value.name.value
        for argument in prepared.root.arguments or ()
        if argument.name.value in STARTING_ARGUMENTS and isinstance(argument.value, VariableNode)
    }
    variables = {name: value for name, value in (prepared.variables or {}).items() if name not in starts}
    viewer = context.viewer
    view = (context.locale, viewer and (viewer.user_id, viewer.client_id, viewer.scopes))
    given = orjson.dumps([variables, prepared.extensions], option=orjson.OPT_SORT_KEYS)
    return prepared.text, prepared.name, given, view
