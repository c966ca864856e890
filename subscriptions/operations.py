"""One operation of a connection, from its request to its last message, whatever the transport."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from graphql import OperationType

from kernel.logs import get_logger
from kernel.tasks import spawn
from schema.types.context import Context
from schema.types.delivery import DeliveryPolicy
from subscriptions.cohorts import Cohorts, Membership
from subscriptions.deliveries import Delivery, OperationRefused, StreamOverflow
from subscriptions.errors import internal_error, refusal
from subscriptions.execution import Executor, Prepared
from subscriptions.outbox import Lane, Outbox

log = get_logger(__name__)


class Frames(Protocol):
    """How a transport writes what an operation says."""

    def next(self, delivery: Delivery) -> bytes: ...

    def error(self, errors: list[dict[str, Any]]) -> bytes: ...

    def complete(self) -> bytes: ...


class Works:
    """The mutations that are under way in this process. They outlive connections, and the drain waits for them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def add(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def __contains__(self, task: object) -> bool:
        return task in self._tasks

    @property
    def idle(self) -> bool:
        return not self._tasks


@dataclass(frozen=True, slots=True)
class Engine:
    """What operations of every transport are executed by."""

    executor: Executor
    cohorts: Cohorts
    works: Works


class Operation:
    """An operation that runs, and the outlet of its subscription.

    It is a task until its answer is there or its stream is open, and none after that. `on_end` is called once, when it
    has said its last word; never where it was stopped.
    """

    __slots__ = ("_context", "_engine", "_frames", "_lane", "_membership", "_on_end", "_outbox", "_over", "_task")

    def __init__(
        self, engine: Engine, outbox: Outbox, frames: Frames, context: Context, *, on_end: Callable[[], None]
    ) -> None:
        self._engine, self._outbox, self._frames, self._context = engine, outbox, frames, context
        self._on_end = on_end
        self._over = False
        self._task: asyncio.Task[None] | None = None
        self._lane: Lane | None = None
        self._membership: Membership | None = None

    def start(self, prepare: Callable[[], Prepared], *, name: str) -> None:
        """Run, beside the caller, what `prepare` returns; what it raises is the operation's error."""
        self._task = spawn(self._run(prepare), name=f"operation:{name}")

    @property
    def under_way(self) -> bool:
        """Whether it has a task still, as a mutation may after it was stopped."""
        return self._task is not None and not self._task.done()

    def deliver(self, delivery: Delivery) -> None:
        if not self._over and self._lane is not None:
            self._lane.deliver(delivery)

    async def room(self) -> None:
        if not self._over and self._lane is not None:
            self._outbox.watch()
            await self._lane.room()

    def end(self, errors: list[dict[str, Any]] | None) -> None:
        """Say the last word, behind what waits."""
        if self._over:
            return
        last = self._frames.complete() if errors is None else self._frames.error(errors)
        if self._lane is not None:
            self._lane.finish(last)
        else:
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
        membership, self._membership = self._membership, None
        if membership is not None:
            membership.close()
        task = self._task
        if task is not None and task is not asyncio.current_task() and task not in self._engine.works:
            task.cancel()

    async def _run(self, prepare: Callable[[], Prepared]) -> None:
        try:
            # What nobody has room to be told is not worked out yet.
            self._outbox.watch()
            await self._outbox.wire.room()
            prepared = prepare()
            if prepared.type is OperationType.SUBSCRIPTION:
                self._join(await self._engine.cohorts.open(prepared, self._context, self._outlet))
            else:
                await self._answer(prepared)
        except OperationRefused as refused:
            self.end(refused.errors)
        except Exception as error:
            self.end([internal_error(error, locale=self._context.locale)])

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
        self._outbox.write(self._frames.next(Delivery(orjson.dumps(answer, default=str))))
        self.end(None)

    def _outlet(self, policy: DeliveryPolicy) -> Operation:
        self._lane = self._outbox.lane(frame=self._frames.next, policy=policy, on_overflow=self._overflow)
        return self

    def _join(self, membership: Membership) -> None:
        """Keep the membership, or close it where the operation was over before it was there."""
        if self._over:
            membership.close()
        else:
            self._membership = membership

    def _overflow(self, cursor: str | None) -> None:
        if self._over:
            return
        log.info("stream.overflowed", request_id=self._context.request_id)
        error = refusal(StreamOverflow(cursor=cursor), locale=self._context.locale)
        self._outbox.write(self._frames.error([error]))
        self._finish()
