"""What a worker knows of a lease that it holds: until when it may run the work, and how it stops in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar

from domain.work.operations import LeaseLost
from models.jobs import Job

# The work stops this much of a lease before anybody else may claim it. What a step and a clock that is a little off
# take has room here.
MARGIN_SHARE = 1 / 6

T = TypeVar("T")


class Lease:
    """One lease on the monotonic clock of this process, which counts on while the process is stopped.

    `run` cancels the work when the time is over, and lets no step of it begin after that: a process that was stopped
    finds its timers and its work ready in any order.
    """

    def __init__(self, job: Job, *, began_s: float, lease_s: float, alone: bool = False) -> None:
        self.job, self.alone = job, alone
        self.claims_before = job.claims if alone else job.claims - 1
        self._lasts_s = lease_s * (1 - MARGIN_SHARE)
        self._until_s = began_s + self._lasts_s
        self._alarm: asyncio.Timeout | None = None

    @property
    def holds(self) -> bool:
        return time.monotonic() < self._until_s

    def renewed(self, *, began_s: float) -> None:
        """Count the lease anew from when its renewal was sent, on the monotonic clock."""
        if self.holds:
            self._until_s = max(self._until_s, began_s + self._lasts_s)
            self._set_alarm()

    def lose(self) -> None:
        """Stop the work now, because somebody else has it. Work that has come to its end is not disturbed."""
        self._until_s = float("-inf")
        self._set_alarm()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run the work to its end. Raises LeaseLost where the lease is over before."""
        try:
            async with asyncio.timeout(None) as self._alarm:
                self._set_alarm()
                return await _step_by_step(work, lambda: self.holds)
        except TimeoutError:
            if self._alarm is not None and self._alarm.expired():
                raise LeaseLost(self.job.kind) from None
            raise
        finally:
            self._alarm = None

    def _set_alarm(self) -> None:
        if self._alarm is not None and not self._alarm.expired():
            left_s = max(0.0, self._until_s - time.monotonic())
            self._alarm.reschedule(asyncio.get_running_loop().time() + left_s)


@coroutine
def _step_by_step(work: Coroutine[Any, Any, T], may_go_on: Callable[[], bool]) -> Generator[Any, Any, T]:
    """Drive the work like `await`, and cancel it instead of beginning a step that it may not take.

    Raises LeaseLost where that ended it. What it does about being cancelled still runs.
    """
    thrown: BaseException | None = None
    stopped = False
    while True:
        if not stopped and not may_go_on():
            stopped, thrown = True, asyncio.CancelledError()
        try:
            awaited = work.send(None) if thrown is None else work.throw(thrown)
        except StopIteration as end:
            result: T = end.value
            return result
        except asyncio.CancelledError:
            if stopped:
                raise LeaseLost from None
            raise
        try:
            yield awaited
            thrown = None
        except BaseException as error:
            thrown = error
