"""One operation of a connection, from its request to its last message, whatever the transport."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import orjson
from graphql import OperationType

from kernel.deadlines import DeadlinePassed
from kernel.logs import get_logger
from kernel.tasks import spawn
from schema.types.charges import Charge, Meter
from schema.types.context import Context
from schema.types.delivery import DeliveryPolicy
from subscriptions.callers import Asker
from subscriptions.charging import Charging, CostTooHigh, Due, RateLimited, extension_of
from subscriptions.cohorts import Cohorts, Membership
from subscriptions.deliveries import Delivery, OperationRefused, Outlet, StreamOverflow
from subscriptions.errors import internal_error, refusal
from subscriptions.execution import Executed, Executor, OperationTimedOut, Prepared
from subscriptions.keeping import KeptAnswers
from subscriptions.outbox import Lane, Outbox
from subscriptions.tolls import Toll

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


class Answer(NamedTuple):
    """The JSON of an answer, or why nothing was executed; and what was charged, unless that is the reason."""

    body: bytes = b""
    refused: list[dict[str, Any]] | None = None
    charge: Charge | None = None
    # What it is without what was charged for it.
    executed: Executed | None = None


@dataclass(frozen=True, slots=True)
class Engine:
    """What operations of every transport are executed by."""

    executor: Executor
    cohorts: Cohorts
    works: Works
    charging: Charging
    shows_cost: bool = True
    kept: KeptAnswers | None = None

    async def answer(self, prepared: Prepared, context: Context) -> Answer:
        """Charge a query or a mutation, and execute it in time, in a context of its own."""
        begun = self.begin(prepared, context)
        return begun if isinstance(begun, Answer) else await begun

    def begin(self, prepared: Prepared, context: Context) -> Answer | Coroutine[Any, Any, Answer]:
        """As `answer`, but for what has to be waited for, which is returned to be awaited."""
        try:
            charge = self.charging.begin_here(prepared, context)
        except (RateLimited, CostTooHigh) as error:
            return Answer(refused=[refusal(error, locale=context.locale)])
        if isinstance(charge, Due):
            return self._taken(charge, prepared, context)
        return self._begun(charge, prepared, context)

    async def _taken(self, due: Due, prepared: Prepared, context: Context) -> Answer:
        try:
            charge = await self.charging.take(due, context)
        except RateLimited as error:
            return Answer(refused=[refusal(error, locale=context.locale)])
        begun = self._begun(charge, prepared, context)
        return begun if isinstance(begun, Answer) else await begun

    def _begun(self, charge: Charge, prepared: Prepared, context: Context) -> Answer | Coroutine[Any, Any, Answer]:
        context.charge, context.meter = charge, Meter()
        if prepared.type is OperationType.MUTATION:
            return self._to_the_end(prepared, context, charge)
        return self._executed(prepared, context, charge, context.meter)

    def _executed(
        self, prepared: Prepared, context: Context, charge: Charge, meter: Meter
    ) -> Answer | Coroutine[Any, Any, Answer]:
        try:
            found = self.answer_bytes(prepared, context)
        except BaseException:
            self.charging.settle(charge, meter.total)
            raise
        if not isinstance(found, Executed):
            return self._awaited(found, charge, meter)
        self.charging.settle(charge, meter.total)
        return self._answered(found, charge)

    async def _awaited(self, work: Awaitable[Executed], charge: Charge, meter: Meter) -> Answer:
        try:
            found = await work
        finally:
            self.charging.settle(charge, meter.total)
        return self._answered(found, charge)

    def _answered(self, found: Executed, charge: Charge) -> Answer:
        if found.refused is not None:
            return Answer(refused=found.refused, charge=charge)
        return Answer(self._extended(found, charge), charge=charge, executed=found)

    def answer_known(self, asked: bytes, asker: Asker) -> Answer | None:
        """Answer a request that came in these very letters before, where that is kept and can be charged at once."""
        kept = self.kept.known(asked, asker) if self.kept is not None else None
        charge = self.charging.begin_known(kept.price, kept.cost, asker) if kept is not None else None
        if kept is None or charge is None:
            return None
        return Answer(self._extended(kept.executed, charge), charge=charge, executed=kept.executed)

    def answer_bytes(self, prepared: Prepared, context: Context) -> Executed | Awaitable[Executed]:
        """Return what a query or a mutation comes to, or what to await for it, when it is charged already.

        One that is kept is counted into the context's meter as if it were executed; what the operation was charged is
        written behind it.
        """
        if self.kept is not None and prepared.type is OperationType.QUERY:
            return self.kept.answer(prepared, context, self.executor.answer_bytes)
        return self.executor.answer_bytes(prepared, context)

    def know(self, asked: bytes, prepared: Prepared, answer: Answer, context: Context) -> None:
        """Find an answer by the letters of its request from now on, where it is kept and nothing is to be noted."""
        keeping = answer.executed.keeping if answer.executed is not None else None
        if self.kept is not None and keeping is not None and not self.executor.uses_deprecated(prepared):
            self.kept.know(asked, prepared, context, keeping)

    async def open(
        self, prepared: Prepared, context: Context, outlet: Callable[[DeliveryPolicy], Outlet]
    ) -> Membership:
        """Begin a subscription whose events are charged to whoever it is. Raises OperationRefused."""
        try:
            charge = await self.charging.begin(prepared, context)
        except (RateLimited, CostTooHigh) as error:
            raise OperationRefused([refusal(error, locale=context.locale)]) from None
        self.charging.opening(charge, prepared)
        return await self.cohorts.open(prepared, context, outlet)

    async def _to_the_end(self, prepared: Prepared, context: Context, charge: Charge) -> Answer:
        """Return what a mutation comes to.

        Money moves in it: whoever asked may go, or not wait any longer, and it is done to its end all the same.
        """
        work = spawn(self._done(prepared, context, charge), name="mutation")
        self.works.add(work)
        deadlines = self.executor.deadlines
        if deadlines is None:
            return await asyncio.shield(work)
        try:
            with deadlines.begin():
                return await asyncio.shield(work)
        except DeadlinePassed:
            late = OperationTimedOut(maximum=deadlines.seconds)
        body = orjson.dumps({"data": None, "errors": [refusal(late, locale=context.locale)]})
        return self._answered(Executed(body, failed=True), charge)

    async def _done(self, prepared: Prepared, context: Context, charge: Charge) -> Answer:
        assert context.meter is not None, "what is charged is metered"
        begun = self._executed(prepared, context, charge, context.meter)
        return begun if isinstance(begun, Answer) else await begun

    def _extended(self, found: Executed, charge: Charge) -> bytes:
        """Return the answer with its extensions, and what it was charged where that is shown."""
        others = orjson.dumps(found.extensions, default=str)[1:-1] if found.extensions else b""
        if self.shows_cost:
            between = b"," if others else b""
            return b'%b,"extensions":{%b%b"cost":%b}}' % (found.body[:-1], others, between, extension_of(charge))
        return b'%b,"extensions":{%b}}' % (found.body[:-1], others) if others else found.body


class Operation:
    """An operation that runs, and the outlet of its subscription.

    It is a task until its answer is there or its stream is open, and none after that. `on_end` is called once, when it
    has said its last word; never where it was stopped.
    """

    __slots__ = (
        "_context", "_engine", "_frames", "_lane", "_membership", "_on_end", "_outbox", "_over", "_task", "_toll",
    )  # fmt: skip

    def __init__(
        self, engine: Engine, outbox: Outbox, frames: Frames, context: Context, *, on_end: Callable[[], None]
    ) -> None:
        self._engine, self._outbox, self._frames, self._context = engine, outbox, frames, context
        self._on_end = on_end
        self._over = False
        self._task: asyncio.Task[None] | None = None
        self._lane: Lane | None = None
        self._membership: Membership | None = None
        self._toll: Toll | None = None

    def start(self, prepare: Callable[[], Awaitable[Prepared]], *, name: str) -> None:
        """Run, beside the caller, what `prepare` returns; what it raises is the operation's error."""
        self._task = spawn(self._run(prepare), name=f"operation:{name}")

    @property
    def under_way(self) -> bool:
        """Whether it has a task still, as a mutation may after it was stopped."""
        return self._task is not None and not self._task.done()

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
        if self._toll is not None:
            self._toll.close()
        membership, self._membership = self._membership, None
        if membership is not None:
            membership.close()
        task = self._task
        if task is not None and task is not asyncio.current_task() and task not in self._engine.works:
            task.cancel()

    async def _run(self, prepare: Callable[[], Awaitable[Prepared]]) -> None:
        try:
            # What nobody has room to be told is not worked out yet.
            self._outbox.watch()
            await self._outbox.wire.room()
            prepared = await prepare()
            if prepared.type is OperationType.SUBSCRIPTION:
                self._join(await self._engine.open(prepared, self._context, self._outlet))
            else:
                await self._answer(prepared)
        except OperationRefused as refused:
            self.end(refused.errors)
        except Exception as error:
            self.end([internal_error(error, locale=self._context.locale)])
        finally:
            if self._membership is not None:
                # The stream may be open for hours, and needs nothing of what opened it.
                self._task = None

    async def _answer(self, prepared: Prepared) -> None:
        if prepared.type is OperationType.MUTATION:
            # Money moves in it: whoever asked may go, and it is done to its end all the same.
            task = asyncio.current_task()
            assert task is not None
            self._engine.works.add(task)
        answer = await self._engine.answer(prepared, self._context.executing())
        if self._over:
            return
        if answer.refused is not None:
            self.end(answer.refused)
            return
        self._outbox.write(self._frames.next(Delivery(answer.body)))
        self.end(None)

    def _outlet(self, policy: DeliveryPolicy) -> Toll:
        self._lane = self._outbox.lane(frame=self._frames.next, policy=policy, on_overflow=self._overflow)
        # A lane takes nothing any more once the operation is over.
        self._toll = Toll(
            self,
            self._lane.deliver,
            self._engine.charging.budgets,
            self._context,
            policy=policy,
            held_max=self._outbox.queue_size_max,
        )
        return self._toll

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
