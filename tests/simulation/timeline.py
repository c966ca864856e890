"""A clock of its own, and agents that run on it strictly one at a time.

Whoever waits gives the turn to whoever is due next, so all interleavings are decided here and by nothing else: not by
threads, sockets or the speed of the machine. Between two waits an agent may do real I/O, and nobody else moves.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any


class ProcessDied(BaseException):
    """The process in which this runs was killed: nothing after the last commit happens any more."""


@dataclass(eq=False)
class Process:
    """One of our processes, or nobody's where it stands for a person or a third party."""

    name: str
    frozen_until: datetime | None = None
    dead: bool = False
    sleepers: dict[asyncio.Future[None], None] = field(default_factory=dict)

    def is_frozen(self, now: datetime) -> bool:
        return self.frozen_until is not None and now < self.frozen_until


@dataclass(order=True)
class _Entry:
    at: datetime
    number: int
    # Returns whether somebody runs now, of whom to wait until they wait again or have ended.
    wake: Callable[[], bool] = field(compare=False)


_process: ContextVar[Process | None] = ContextVar("process", default=None)
# The task whose end ends a turn. A transaction outlives it where its caller was cancelled.
_chain: ContextVar[asyncio.Task[Any] | None] = ContextVar("chain", default=None)


class Timeline:
    def __init__(self, start: datetime) -> None:
        self.now = start
        self._agenda: list[_Entry] = []
        self._numbers = itertools.count()
        self._quiet = asyncio.Event()
        self._failure: BaseException | None = None
        self._agents: set[asyncio.Task[Any]] = set()
        self._sleeping: dict[asyncio.Future[None], None] = {}
        self._clean = contextvars.copy_context()

    @property
    def process(self) -> Process | None:
        """The process in which the caller runs."""
        return _process.get()

    def start(
        self,
        work: Callable[[], Coroutine[Any, Any, None]],
        *,
        name: str,
        after_s: float = 0.0,
        process: Process | None = None,
    ) -> None:
        """Begin an agent when its time comes; where its process has died by then it never begins."""

        def begin() -> bool:
            if process is not None and process.dead:
                return False
            context = self._clean.copy()
            context.run(_process.set, process)
            task = asyncio.get_running_loop().create_task(work(), name=name, context=context)
            context.run(_chain.set, task)
            self._agents.add(task)
            task.add_done_callback(self._ended)
            return True

        self._enter(self.now + timedelta(seconds=after_s), begin, process)

    def call(self, work: Callable[[], None], *, after_s: float) -> None:
        """Have something done that waits for nobody, between the turns of others."""

        def do() -> bool:
            work()
            return False

        self._enter(self.now + timedelta(seconds=after_s), do, None)

    async def sleep(self, seconds: float) -> None:
        """Let everybody else have their turns for so long. Raises ProcessDied where the process dies meanwhile."""
        process, future = _process.get(), asyncio.get_running_loop().create_future()
        task = asyncio.current_task()
        if task is not None and task is not _chain.get() and task not in self._agents:
            task.add_done_callback(self._detached(_chain.get()))
        self._enter(self.now + timedelta(seconds=seconds), lambda: _resolve(future), process)
        sleeping = [self._sleeping, *([process.sleepers] if process is not None else [])]
        for sleepers in sleeping:
            sleepers[future] = None
        self._quiet.set()
        try:
            await future
        finally:
            for sleepers in sleeping:
                sleepers.pop(future, None)

    async def apart(self, work: Coroutine[Any, Any, Any], *, process: Process, cancel_after_s: float | None) -> Any:
        """Run something in a process and wait for it, or cut it off after a while, as a client does who goes away.

        Raises CancelledError where it was cut off, ProcessDied, and what the work raises.
        """
        if process.dead:
            work.close()
            raise ProcessDied(process.name)
        context = self._clean.copy()
        context.run(_process.set, process)
        task = asyncio.get_running_loop().create_task(work, context=context)
        context.run(_chain.set, task)
        self._agents.add(task)
        task.add_done_callback(self._agents.discard)
        if cancel_after_s is not None:
            self._enter(self.now + timedelta(seconds=cancel_after_s), task.cancel, None)
        await asyncio.wait({task})
        return task.result()

    def kill(self, process: Process) -> None:
        """End a process: whatever waits in it never goes on."""
        process.dead = True
        for future in tuple(process.sleepers):
            self._enter(self.now, _killer(future), None)

    async def step(self, *, until: datetime | None = None) -> bool:
        """Give the next turn that is due by then; return whether there was one. Raises what an agent failed with."""
        while self._agenda and (until is None or self._agenda[0].at <= until):
            entry = heapq.heappop(self._agenda)
            self.now = max(self.now, entry.at)
            self._quiet.clear()
            if entry.wake():
                await self._quiet.wait()
                if self._failure is not None:
                    raise self._failure
                return True
        return False

    def next_at(self) -> datetime | None:
        return self._agenda[0].at if self._agenda else None

    def advance(self, moment: datetime) -> None:
        """Let time pass in which nobody has a turn."""
        self.now = max(self.now, moment)

    async def close(self) -> None:
        """End everybody who still waits."""
        agents = tuple(self._agents)
        for agent in agents:
            agent.cancel()
        await asyncio.gather(*agents, return_exceptions=True)
        # What is left belongs to callers that are gone.
        for future in tuple(self._sleeping):
            _killer(future)()

    def _enter(self, at: datetime, wake: Callable[[], bool], process: Process | None) -> None:
        def wake_unless_frozen() -> bool:
            if process is not None and process.frozen_until is not None and process.is_frozen(self.now):
                self._enter(process.frozen_until, wake, process)
                return False
            return wake()

        heapq.heappush(self._agenda, _Entry(at, next(self._numbers), wake_unless_frozen))

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._agents.discard(task)
        if not task.cancelled():
            error = task.exception()
            if error is not None and not isinstance(error, ProcessDied):
                self._failure = error
        self._quiet.set()

    def _detached(self, chain: asyncio.Task[Any] | None) -> Callable[[asyncio.Task[Any]], None]:
        def ended(_task: asyncio.Task[Any]) -> None:
            if chain is None or chain.done():
                self._quiet.set()

        return ended


def _resolve(future: asyncio.Future[None]) -> bool:
    if future.done():
        return False
    future.set_result(None)
    return True


def _killer(future: asyncio.Future[None]) -> Callable[[], bool]:
    def kill() -> bool:
        if future.done():
            return False
        future.set_exception(ProcessDied())
        return True

    return kill
