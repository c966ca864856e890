"""An end for what takes too long, for where there are thousands of beginnings a second."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

# A timer may go off by so much before its time.
CLOCK_RESOLUTION_S = 0.001


class DeadlinePassed(TimeoutError):
    """The time was over; what the work itself says of time is another TimeoutError."""


class Deadline:
    """When a task is cancelled that is not out of the `with` by then."""

    __slots__ = ("_cancelling", "_pending", "at_s", "passed", "task")

    def __init__(self, task: asyncio.Task[Any], at_s: float, pending: dict[Deadline, None]) -> None:
        self.task, self.at_s, self.passed = task, at_s, False
        self._cancelling = task.cancelling()
        self._pending = pending

    def __enter__(self) -> None:
        self._pending[self] = None

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        """Raises DeadlinePassed where it is for this that the task was cancelled, which then goes on.

        Somebody else may have cancelled it as well, and is heard.
        """
        self._pending.pop(self, None)
        if self.passed and kind is asyncio.CancelledError and self.task.uncancel() <= self._cancelling:
            raise DeadlinePassed from None


class Deadlines:
    """Gives everything that it is given the same time, in seconds.

    It is asyncio.timeout without what that looks after for others, such as another deadline meanwhile. Since what is
    begun first ends first, one timer is enough, and most deadlines come and go without one.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        # In the order of their times.
        self._pending: dict[Deadline, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        return len(self._pending)

    def begin(self) -> Deadline:
        """Return what to be in, at once, while the current task works. It is left by DeadlinePassed if time is over."""
        task = asyncio.current_task()
        assert task is not None, "who awaits is a task"
        loop = task.get_loop()
        if loop is not self._loop:
            # A loop that is no more has taken its timer with it.
            self._loop, self._timer, self._pending = loop, None, {}
        deadline = Deadline(task, loop.time() + self.seconds, self._pending)
        if self._timer is None:
            self._timer = loop.call_at(deadline.at_s, self._look)
        return deadline

    def _look(self) -> None:
        """End what has passed its time, and look again when the next one may."""
        assert self._loop is not None
        now_s = self._loop.time() + CLOCK_RESOLUTION_S
        while (first := next(iter(self._pending), None)) is not None and first.at_s <= now_s:
            del self._pending[first]
            first.passed = True
            first.task.cancel()
        self._timer = self._loop.call_at(first.at_s, self._look) if first is not None else None
