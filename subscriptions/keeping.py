"""Answers that are kept until something that they show is changed, and that many who ask at once wait for together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeAlias

import orjson
from prometheus_client import Counter

from domain.events import purges
from domain.identity.viewer import Viewer
from domain.pricing import queries as pricing
from kernel.exact import Shared, exact
from kernel.tagged_cache import Fill, TaggedCache
from schema.types.caching import Keeping
from schema.types.charges import Price
from schema.types.context import Context
from subscriptions.callers import Asker
from subscriptions.execution import Executed, Prepared

LOOKUPS = Counter("youka_answers_looked_up_total", "Answers that may be kept, by what was found", ["result"])
HIT, MISS, JOINED = (LOOKUPS.labels(each) for each in ("hit", "miss", "joined"))

# The time of the next change of a price is asked for anew after this, however long it is until then.
NEXT_CHANGE_LASTS_S = 600
NEXT_CHANGE = "next change of a price"
# Where clients write what they ask before what they ask it with, as most do, the first part is the same for many.
VARIABLES = b'"variables"'

Execute: TypeAlias = Callable[[Prepared, Context], Executed | Awaitable[Executed]]


class KeepingSchema(Protocol):
    """A schema that says how long answers may be kept."""

    def keeping(self, document: Any, operation: Any) -> Keeping | None: ...


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer without errors, and what executing it cost: at most, and as it turned out."""

    executed: Executed
    fields: int
    types: int
    price: Price

    @property
    def cost(self) -> int:
        return max(1, min(self.fields + self.types, self.price.total))

    def give(self, context: Context) -> Executed:
        """Count what an execution would have, and return the answer."""
        if context.meter is not None:
            context.meter.fields += self.fields
            context.meter.types += self.types
        return self.executed


@dataclass(slots=True, eq=False)
class _Flight:
    """One execution for all who ask for the same at once. `over` says that it came to its end, whatever that was."""

    fill: Fill
    landed: asyncio.Event = field(default_factory=asyncio.Event)
    kept: Kept | None = None
    over: bool = False


class KeptAnswers:
    """One per process.

    Where it hears of every change that others make, an answer stays for `lasts_s`; else no longer than its age, which
    is what clients and caches on the way are told in any case.
    """

    def __init__(self, cache: TaggedCache[Any], schema: KeepingSchema, *, lasts_s: int = 0) -> None:
        self._cache, self._schema, self._keeps_s = cache, schema, lasts_s
        self._flights: dict[Hashable, _Flight] = {}
        self._shared = Shared()

    def answer(self, prepared: Prepared, context: Context, execute: Execute) -> Executed | Awaitable[Executed]:
        """Return an answer that is kept, or execute the operation and keep what may be kept of it."""
        cache = self._cache
        if not cache.is_open:
            return execute(prepared, context)
        keeping = self._schema.keeping(prepared.known, prepared.operation)
        if keeping is None or (keeping.private and context.viewer is None):
            return execute(prepared, context)
        key = key_of(prepared, context, keeping)
        kept: Kept | None = cache.get(key)
        if kept is not None:
            HIT.inc()
            return kept.give(context)
        return self._filled(key, keeping, prepared, context, execute)

    def known(self, asked: bytes, asker: Asker) -> Kept | None:
        """Return what is kept for a request that was sent in these very letters."""
        viewer, letters = asker.viewer, (*_parts_of(asked), asker.locale)
        kept: Kept | None = self._cache.get(letters)
        if kept is None and viewer is not None:
            kept = self._cache.get((*letters, *view_of(viewer)))
        if kept is not None:
            HIT.inc()
        return kept

    def know(self, asked: bytes, prepared: Prepared, context: Context, keeping: Keeping) -> None:
        """Find by its letters from now on what was asked, if it is kept."""
        first, rest = _parts_of(asked)
        shared = self._shared.copy_of(first)
        own_bytes = len(rest) if shared is not first else len(asked)
        letters: tuple[Hashable, ...] = (shared, rest, context.locale)
        if keeping.private:
            letters = (*letters, *view_of(context.viewer))
        self._cache.alias(key_of(prepared, context, keeping), letters, size_bytes=own_bytes)

    async def _filled(
        self, key: Hashable, keeping: Keeping, prepared: Prepared, context: Context, execute: Execute
    ) -> Executed:
        tags = tags_of(keeping, context.viewer)
        while (flight := self._flights.get(key)) is not None and not flight.fill.is_stale(tags):
            await flight.landed.wait()
            # Where whoever flew was cancelled, the first to wake flies again, and the others may find it landed.
            kept: Kept | None = flight.kept or self._cache.get(key)
            if kept is not None:
                JOINED.inc()
                return kept.give(context)
            if flight.over:
                # What may not be kept is not shared either, and who waited does not wait for another one.
                return await _executed(execute, prepared, context)
        MISS.inc()
        flight = self._flights[key] = _Flight(self._cache.begin())
        try:
            executed = await self._fly(flight, key, keeping, prepared, context, execute)
            flight.over = True
            return executed
        finally:
            self._cache.leave(flight.fill)
            if self._flights.get(key) is flight:
                del self._flights[key]
            flight.landed.set()

    async def _fly(
        self,
        flight: _Flight,
        key: Hashable,
        keeping: Keeping,
        prepared: Prepared,
        context: Context,
        execute: Execute,
    ) -> Executed:
        tags, begun_at = tags_of(keeping, context.viewer), context.now
        lasts_s = await self._lasts_s(keeping, begun_at)
        meter = context.meter
        before = (meter.fields, meter.types) if meter else (0, 0)
        executed = await _executed(execute, prepared, context)
        if executed.failed or executed.refused is not None or executed.extensions:
            return executed
        lasts_s -= (context.now - begun_at).total_seconds()
        executed = executed._replace(
            body=exact(executed.body), keeping=keeping, fresh_until=self._cache.clock() + lasts_s
        )
        counted = (meter.fields - before[0], meter.types - before[1]) if meter else (0, 0)
        price = context.charge.price if context.charge else Price()
        kept = Kept(executed, *counted, price)
        if not flight.fill.is_stale(tags):
            flight.kept = kept
        self._cache.keep(
            flight.fill, key, kept, tags=tags, lasts_s=lasts_s, size_bytes=len(executed.body) + _size_of(key)
        )
        return executed

    async def _lasts_s(self, keeping: Keeping, now: datetime) -> float:
        """Return for how many seconds the answer is true by what is known: a price may have a successor already."""
        longest_s = max(keeping.max_age_s, self._keeps_s)
        if not keeping.shows_stations:
            return longest_s
        known: tuple[datetime | None] | None = self._cache.get(NEXT_CHANGE)
        if known is None or (known[0] is not None and known[0] <= now):
            fill = self._cache.begin()
            try:
                known = (await pricing.next_change(now=now),)
                self._cache.keep(
                    fill, NEXT_CHANGE, known, tags=(purges.STATIONS,), lasts_s=NEXT_CHANGE_LASTS_S, size_bytes=64
                )
            finally:
                self._cache.leave(fill)
        changes_at = known[0]
        return min(longest_s, (changes_at - now).total_seconds()) if changes_at else longest_s


def _parts_of(asked: bytes) -> tuple[bytes, bytes]:
    """Return a request in two parts, of which the first is what many ask that differ in their variables."""
    at = asked.find(VARIABLES)
    return (asked, b"") if at < 0 else (asked[:at], asked[at:])


def key_of(prepared: Prepared, context: Context, keeping: Keeping) -> tuple[Hashable, ...]:
    """Return what tells this answer from every other: what was asked, and all of the asker that it depends on."""
    variables = orjson.dumps(prepared.variables) if prepared.variables else b""
    asked: tuple[Any, ...] = (prepared.known, prepared.name, variables, context.locale)
    return (*asked, *view_of(context.viewer)) if keeping.private else asked


def view_of(viewer: Viewer | None) -> tuple[Hashable, ...]:
    """Return what an answer of somebody's own may depend on."""
    assert viewer is not None, "nobody has nothing of their own"
    return (viewer.user_id, viewer.client_id, viewer.scopes, viewer.vehicle_id)


def tags_of(keeping: Keeping, viewer: Viewer | None) -> frozenset[str]:
    tags = [purges.STATIONS] if keeping.shows_stations else []
    if keeping.private:
        assert viewer is not None, "nobody has nothing of their own"
        tags += [purges.USERS, purges.user_tag(viewer.user_id)]
    return frozenset(tags)


async def _executed(execute: Execute, prepared: Prepared, context: Context) -> Executed:
    found = execute(prepared, context)
    return found if isinstance(found, Executed) else await found


def _size_of(key: tuple[Hashable, ...] | Hashable) -> int:
    return sum(len(each) for each in key if isinstance(each, bytes | str)) if isinstance(key, tuple) else 0
