"""What several ask of one place, in batches: whatever is asked while a batch is under way goes with the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from kernel.tasks import cancel_and_wait, spawn


class Asked(Protocol):
    """Something that is asked, and who waits for it, if anybody does."""

    @property
    def answer(self) -> asyncio.Future[Any] | None: ...


A = TypeVar("A", bound=Asked)


class Batches(Generic[A]):
    """`answering` answers a whole batch. Where it raises, so does the answer of all that wait, and it is asked anew
    for what comes later."""

    def __init__(self, answering: Callable[[Sequence[A]], Awaitable[None]], *, size_max: int, name: str) -> None:
        self._answering = answering
        self._size_max = size_max
        self._name = name
        self._waiting: list[A] = []
        self._running: asyncio.Task[None] | None = None

    def put(self, asked: A) -> None:
        self._waiting.append(asked)
        if self._running is None or self._running.done():
            self._running = spawn(self._run(), name=self._name)

    async def aclose(self) -> None:
        """Ask no more; whoever still waits is cancelled."""
        if self._running is not None:
            await cancel_and_wait(self._running)

    async def _run(self) -> None:
        while self._waiting:
            some, self._waiting = self._waiting[: self._size_max], self._waiting[self._size_max :]
            try:
                await self._answering(some)
            except BaseException as error:
                for each in (*some, *self._waiting):
                    _fail(each, error)
                self._waiting = []
                raise


def _fail(asked: Asked, error: BaseException) -> None:
    if asked.answer is None or asked.answer.done():
        return
    if isinstance(error, Exception):
        asked.answer.set_exception(error)
    else:
        asked.answer.cancel()
