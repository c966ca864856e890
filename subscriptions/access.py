"""Keeps what this process knows of signing keys and ended sessions as fresh as the database, by asking it all the time.

A request is judged by what is known here, so it costs nothing. What this process ends itself it knows at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from domain.access import clients, sessions, signing_keys
from domain.budgets.operations import Budgets
from domain.identity.tokens import TokenAuthority
from kernel.clock import utc_now
from kernel.keys import token_key
from kernel.logs import get_logger
from kernel.sealing import Sealer
from kernel.settings import Settings
from kernel.tasks import cancel_and_wait, spawn

log = get_logger(__name__)

# Clocks of two processes may differ, and what is written first may be seen later: so far is looked back each time.
OVERLAP = timedelta(seconds=30)


@asynccontextmanager
async def keeping_access(
    tokens: TokenAuthority, settings: Settings, sealer: Sealer, budgets: Budgets
) -> AsyncIterator[None]:
    """Know the keys, the clients, their quotas and what has ended before the first request, and keep up after that."""
    keeper = Keeper(tokens, settings, sealer, budgets)
    await clients.ensure_first_party(staff_redirect_uris=settings.staff_redirect_uris, now=utc_now())
    await keeper.look()
    task = spawn(keeper.run(), name="access")
    try:
        yield
    finally:
        await cancel_and_wait(task)


class Keeper:
    def __init__(self, tokens: TokenAuthority, settings: Settings, sealer: Sealer, budgets: Budgets) -> None:
        self._tokens, self._sealer, self._budgets = tokens, sealer, budgets
        self._first = token_key(settings)
        self._interval_s = settings.access_poll_interval_ms / 1_000
        self._seen = datetime.min.replace(tzinfo=UTC)
        self._known_keys: list[tuple[str, datetime, datetime | None]] = []

    async def run(self) -> None:
        """Look again and again; while the database is away, tokens are judged by what was known before."""
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                await self.look()
            except Exception:
                log.exception("access.look_failed")

    async def look(self) -> None:
        """Take over what other processes have written."""
        now = utc_now()
        for row in await sessions.revocations_since(self._seen, now=now):
            self._tokens.revocations.add(row.id, until=row.expires_at, now=now)
        self._seen = now - OVERLAP
        self._budgets.use(await clients.quotas())
        standings = await signing_keys.standings(now=now)
        known = [(each.kid, each.active_from, each.expires_at) for each in standings]
        # Opening sealed keys takes time that is only spent where something has changed.
        if not known or known != self._known_keys:
            self._tokens.use(await signing_keys.load(first=self._first, sealer=self._sealer, now=now))
            self._known_keys = known
