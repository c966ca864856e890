"""What is kept of stations, as executions are given it: for as long as it is true by what is known.

A price that is to come into force makes what shows prices untrue at a moment that is known, without a change. So what
is kept is found from when that moment was looked up, which is done beside the requests, until then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import Counter, Gauge

from domain.events import purges
from domain.pricing import queries as pricing
from kernel.clock import utc_now
from kernel.fragments import Fragments, View
from kernel.logs import get_logger
from kernel.settings import Settings
from kernel.tasks import cancel_and_wait, spawn
from schema.types import caching

log = get_logger(__name__)

PURGED = Counter("youka_fragments_purged_total", "How many fragments were forgotten since what they show was changed")
KEPT_BYTES = Gauge("youka_fragments_kept_bytes", "The bytes that fragments and rows of stations take")


class KeptFragments:
    """One per process. Everything is made anew after `lasts_s`, should a change have gone unheard."""

    def __init__(self, fragments: Fragments, *, lasts_s: float) -> None:
        self._fragments, self._lasts_s = fragments, lasts_s
        self._looking: asyncio.Task[None] | None = None

    def view(self) -> View | None:
        """Return what an execution that begins now may find, and where it keeps what it reads; None for nothing."""
        view = self._fragments.view()
        if view is None and self._fragments.is_open and (self._looking is None or self._looking.done()):
            self._looking = spawn(self._begin(), name="fragments")
        return view

    async def close(self) -> None:
        if self._looking is not None:
            await cancel_and_wait(self._looking)

    async def _begin(self) -> None:
        generation = self._fragments.restart()
        try:
            changes_at = await pricing.next_change(now=utc_now())
        except Exception as error:
            # The next one who asks looks again.
            log.warning("fragments.not_kept", error=type(error).__name__)
            return
        until_s = (changes_at - utc_now()).total_seconds() if changes_at else self._lasts_s
        self._fragments.hold(generation, min(self._lasts_s, until_s))


def stations_of(settings: Settings) -> Fragments:
    """Return where a process keeps stations with what belongs to them.

    A station that is asked for by itself stands in an answer that is kept whole; who needs it again needs it elsewhere.
    """
    found = Fragments(
        settings.fragment_cache_size_max_bytes,
        tags=(purges.STATIONS,),
        at_second=settings.response_cache_size_max_bytes > 0,
    )
    KEPT_BYTES.set_function(lambda: found.size_bytes)
    return found


@asynccontextmanager
async def keeping_fragments(fragments: Fragments, settings: Settings) -> AsyncIterator[KeptFragments]:
    """Give what executions ask, for as long as the context lasts.

    Without Redis, where not all changes of other processes are heard of, fragments stay as long as answers do.
    """
    age_s = caching.FOR_EVERYBODY.max_age or 0
    kept = KeptFragments(
        fragments, lasts_s=max(age_s, settings.response_cache_lasts_s) if settings.redis_url else age_s
    )
    try:
        yield kept
    finally:
        await kept.close()
