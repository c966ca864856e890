"""One operation of a connection, from its request to its last message, whatever the transport."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from graphql import OperationType

from kernel.errors import YoukaError
from kernel.logs import get_logger
from kernel.tasks import spawn
from schema.types.context import Context
from subscriptions.cohorts import Cohorts, Membership
from subscriptions.deliveries import Delivery, OperationRefused
from subscriptions.errors import internal_error, refusal
from subscriptions.execution import Executor, Prepared
from subscriptions.outbox import Lane, Outbox

log = get_logger(__name__)


class StreamOverflow(YoukaError):
    """The reader is too slow for a stream of which nothing may be left out. `cursor` is that of the last event sent."""

    code = "STREAM_OVERFLOW"
    messages = {
        "zh-CN": "读取过慢，请从游标处重新订阅",
        "en": "The stream is read too slowly; subscribe again from the cursor",
    }


class Frames(Protocol):
    """How a transport writes what an operation says."""

    def next(self, delivery: Delivery) -> bytes: ...

    def error(self, errors: list[dict[str, Any]]) -> bytes: ...

    def complete(self) -> bytes: ...


class Works:
    """The mutations of this process that are under way. They outlive their connections, and the drain waits for them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def idle(self) -> bool:
        return not self._tasks


@dataclass(frozen=True, slots=True)
class Engine:
    """What operations of every transport are executed by."""

    executor: Executor
    cohorts: Cohorts
    works: Works
    queue_size_max: int


class Operation:
    """An operation that runs: a task until its answer is there or its stream is open, and none after that.

    `on_end` is called once, when the operation is over and nobody has stopped it.
    """

    __slots__ = ("_context", "_early", "_engine", "_frames", "_lane", "_membership", "_on_end", "_outbox", "_over", "_task")

    def __init__(
        self, engine: Engine, outbox: Outbox, frames: Frames, context: Context, *, on_end: Callable[[], None]
    ) -> None:
        self._engine, self._outbox, self._frames, self._context = engine, outbox, frames, context
        self._on_end = on_end
        self._over = False
        self._task: asyncio.Task[None] | None = None
        self._lane: Lane | None = None
        self._membership: Membership | None = None
        # What is delivered before the cohort has said how; None once it has.
        self._early: list[Delivery] | None = []

    def start(self, prepare: Callable[[], Any], *, name: str) -> None:
        """Run what `prepare` (a coroutine function that returns a Prepared) has prepared, beside the caller."""
        self._task = spawn(self._run(prepare), name=f"operation:{name}")

    @property
    def under_way(self) -> bool:
        """Whether it has a task still, as a mutation may after it was stopped."""
        return self._task is not None and not self._task.done()

    def deliver(self, delivery: Delivery) -> None:
        if self._over:
            return
        if self._lane is not None:
            self._lane.deliver(delivery)
        elif self._early is not None:
            self._early.append(delivery)
            if len(self._early) > self._engine.queue_size_max:
                self._overflow(None)

    def end(self, errors: list[dict[str, Any]] | None) -> None:
        """Say the last word, after what is pending."""
        if self._over:
            return
        last = self._frames.complete() if errors is None else self._frames.error(errors)
        if self._lane is not None:
            self._lane.finish(last)
        else:
            for delivery in self._early or ():
                self._outbox.write(self._frames.next(delivery))
            self._outbox.write(last)
        self._finish()

    def stop(self) -> None:
        """End it at once; nothing more is sent. Only a mutation that is under way goes on, unheard."""
        if self._over:
            return
        self._over = True
        if self._lane is not None:
            self._lane.close()
        self._release()

    def _finish(self) -> None:
        self._over = True
        self._release()
        self._on_end()

    def _release(self) -> None:
        self._early = None
        if self._membership is not None:
            self._membership.close()
            self._membership = None
        task = self._task
        if task is not None and not self._goes_on(task) and task is not asyncio.current_task():
            task.cancel()

    def _goes_on(self, task: asyncio.Task[None]) -> bool:
        return task.done() or task in self._engine.works._tasks

    async def _run(self, prepare: Callable[[], Any]) -> None:
        locale = self._context.locale
        try:
            prepared: Prepared = await prepare()
            if prepared.type is OperationType.SUBSCRIPTION:
                self._join(await self._engine.cohorts.open(prepared, self._context, self))
            else:
                await self._answer(prepared)
        except OperationRefused as refused:
            self.end(refused.errors)
        except YoukaError as error:
            self.end([refusal(error, locale=locale)])
        except Exception as error:
            self.end([internal_error(error, locale=locale)])

    async def _answer(self, prepared: Prepared) -> None:
        if prepared.type is OperationType.MUTATION:
            # Money moves in it: whoever asked may go, and it is done to its end all the same.
            task = asyncio.current_task()
            assert task is not None
            self._engine.works.add(task)
        answer = await self._engine.executor.answer(prepared, self._context)
        if self._over:
            return
        if "data" not in answer:
            self.end(answer["errors"])
            return
        payload = orjson.dumps(answer, default=str)
        self._outbox.write(self._frames.next(Delivery(payload=payload, cursor=None, key=None)))
        self.end(None)

    def _join(self, membership: Membership) -> None:
        if self._over:
            membership.close()
            return
        self._membership = membership
        self._lane = self._outbox.lane(
            frame=self._frames.next, policy=membership.policy, on_overflow=self._overflow
        )
        early, self._early = self._early or (), None
        for delivery in early:
            self.deliver(delivery)

    def _overflow(self, cursor: str | None) -> None:
        if self._over:
            return
        log.info("stream.overflowed", request_id=self._context.request_id)
        error = StreamOverflow(cursor=cursor)
        if self._lane is not None:
            self._lane.close()
        self._outbox.write(self._frames.error([refusal(error, locale=self._context.locale)]))
        self._finish()
