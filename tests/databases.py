"""Copies of the migrated PostgreSQL, each for one test: made ahead and dropped behind, while tests run."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

import asyncpg

# Copying files takes 31 ms where nothing is synced, the default (writing every page to the log) 76 ms.
COPYING = "STRATEGY FILE_COPY"
# Tests take turns on the engines, so one that is ready and one under way are enough.
AHEAD = 2


class Copies:
    """Used from the tests' thread; a thread of its own speaks with the server, one statement after the other."""

    def __init__(self, server: str, template: str) -> None:
        self._server, self._template = server, template
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._runner = asyncio.Runner()
        self._connection: asyncpg.Connection | None = None
        self._ready: deque[Future[str]] = deque()

    def take(self) -> str:
        """Return the name of a fresh copy."""
        while len(self._ready) <= AHEAD:
            self._ready.append(self._thread.submit(self._create))
        return self._ready.popleft().result()

    def drop(self, name: str) -> None:
        """Drop a copy when there is time for it, whoever is still connected."""
        self._thread.submit(self._drop, name)

    def close(self) -> None:
        """Drop what nobody has taken, and return when everything is gone."""
        for ready in self._ready:
            self.drop(ready.result())
        self._thread.submit(self._end).result()
        self._thread.shutdown()

    def _create(self) -> str:
        name = f"youka_test_{secrets.token_hex(6)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {self._template} {COPYING}")
        return name

    def _drop(self, name: str) -> None:
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        self._runner.run(self._ask(statement))

    async def _ask(self, statement: str) -> None:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self._server)
        await self._connection.execute(statement)

    async def _close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    def _end(self) -> None:
        self._runner.run(self._close())
        self._runner.close()
