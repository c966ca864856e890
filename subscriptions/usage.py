"""Counts which client asks for what is deprecated: at once for Prometheus, and by the clock in the database."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from prometheus_client import Counter as Metric

from domain.usage import operations as usage
from kernel.clock import utc_now
from kernel.logs import get_logger
from kernel.settings import Settings
from kernel.tasks import cancel_and_wait, spawn

log = get_logger(__name__)

DEPRECATED_USES = Metric("youka_deprecated_uses", "Requests that ask for what is deprecated.", ["client", "coordinate"])
# Each pair is a time series for Prometheus; clients after these share one.
PAIRS_MAX = 1_000
ANYBODY, OTHERS = "anonymous", "others"


class UsageCounter:
    """What was used since it was written down last, by client and coordinate."""

    def __init__(self, *, pairs_max: int = PAIRS_MAX) -> None:
        self._pairs_max = pairs_max
        self._known: set[tuple[str, str]] = set()
        self._uses: Counter[tuple[str, str]] = Counter()

    def note(self, client_id: str, coordinates: Collection[str]) -> None:
        """Count one request; see `domain.usage.ports`."""
        for coordinate in coordinates:
            pair = (client_id, coordinate)
            if pair not in self._known and len(self._known) >= self._pairs_max:
                pair = (OTHERS, coordinate)
            self._known.add(pair)
            self._uses[pair] += 1
            DEPRECATED_USES.labels(pair[0] or ANYBODY, coordinate).inc()

    async def write(self) -> None:
        """Add what was counted to the database; what cannot be written is kept for the next time."""
        uses, self._uses = self._uses, Counter()
        if not uses:
            return
        try:
            await usage.record(uses=uses, now=utc_now())
        except Exception:
            # Where only this task is cancelled, the transaction goes on, so that nothing is counted twice.
            self._uses.update(uses)
            raise

    async def run(self, interval_s: float) -> None:
        """Write again and again."""
        while True:
            await asyncio.sleep(interval_s)
            try:
                await self.write()
            except Exception:
                log.exception("usage.write_failed")


@asynccontextmanager
async def counting_usage(settings: Settings) -> AsyncIterator[UsageCounter]:
    """Count, and write it down by the clock and at the end. The database must be open."""
    counter = UsageCounter()
    task = spawn(counter.run(settings.deprecated_usage_interval_s), name="usage")
    try:
        yield counter
    finally:
        await cancel_and_wait(task)
        try:
            await counter.write()
        except Exception:
            log.exception("usage.write_failed")
