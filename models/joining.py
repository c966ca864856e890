"""Loads by key that share statements: those of one request with each other, and those of all requests with one another.

Whatever is asked for while a statement is under way goes out with the next one, so that the more is asked at once, the
less each question costs; and who asks alone does not wait for others. Every statement begins after what it answers was
asked, so that no answer is older than its question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from contextvars import Context
from itertools import chain
from typing import Generic, TypeAlias, TypeVar, cast

from kernel.tasks import inside_transaction

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_Waiting: TypeAlias = dict[K, list[asyncio.Future[V]]]
_WaitingForMany: TypeAlias = list[tuple[list[K], asyncio.Future[list[V]]]]

# As many keys a statement is given at most; the others wait for the next.
KEYS_PER_LOAD_MAX = 1_000
# A second load may begin while one is under way, so that one that is slow does not hold up everybody.
LOADS_AT_ONCE_MAX = 2
# A request is bounded by what it may cost.
LOADS_OF_REQUEST_MAX = 1_000

_under_way: set[asyncio.Task[None]] = set()


class WrongNumberOfValues(RuntimeError):
    """A load returned more or fewer values than it was given keys."""


class Joined(Generic[K, V]):
    """Joins what is asked by key. One for the whole process joins requests, and one for a request joins its fields.

    `load` is given different keys and returns a value for each of them, in their order; a value that is an exception is
    raised for that key alone. It runs in a task of its own, which knows nothing of who asked: what decides what may be
    seen, such as the viewer, has to be in the key. Inside a transaction nothing is joined, since only the transaction
    sees what it wrote.
    """

    __slots__ = (
        "_at_once_max",
        "_begun",
        "_keys_max",
        "_loop",
        "_own_context",
        "_waiting",
        "_waiting_for_many",
        "source",
    )

    def __init__(
        self,
        load: Callable[[list[K]], Awaitable[Sequence[V | BaseException]]],
        *,
        keys_max: int = KEYS_PER_LOAD_MAX,
        at_once_max: int = LOADS_AT_ONCE_MAX,
        own_context: bool = False,
    ) -> None:
        """With `own_context`, loads run in that of whoever asked first, as befits the loader of one request."""
        assert keys_max > 0
        assert at_once_max > 0
        self.source = load
        self._keys_max = keys_max
        self._at_once_max = at_once_max
        self._own_context = own_context
        self._waiting: _Waiting[K, V] = {}
        self._waiting_for_many: _WaitingForMany[K, V] = []
        # Loads under way, and those about to be.
        self._begun = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def load(self, key: K) -> Awaitable[V]:
        """Return what the key stands for, once it is awaited. Raises what the load raised."""
        if inside_transaction.get():
            return self._alone(key)
        loop = self._here()
        future: asyncio.Future[V] = loop.create_future()
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.append(future)
            return future
        self._waiting[key] = [future]
        self._see_to_it(loop, len(self._waiting) + len(self._waiting_for_many))
        return future

    def load_many(self, keys: Iterable[K]) -> Awaitable[list[V]]:
        """Return what the keys stand for, in their order. Raises the first error among them."""
        if inside_transaction.get():
            return self._many_alone(list(keys))
        loop = self._here()
        future: asyncio.Future[list[V]] = loop.create_future()
        self._waiting_for_many.append((list(keys), future))
        self._see_to_it(loop, len(self._waiting) + len(self._waiting_for_many))
        return future

    def _here(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # What waited in a loop that is no more waits for nothing.
            self._loop, self._begun, self._waiting, self._waiting_for_many = loop, 0, {}, []
        return loop

    def _see_to_it(self, loop: asyncio.AbstractEventLoop, waiting: int) -> None:
        if not self._begun or (self._begun < self._at_once_max and waiting == 1):
            self._begun += 1
            # At the end of this turn of the loop, so that the siblings of whoever asks now come along.
            loop.call_soon(self._begin)

    async def _alone(self, key: K) -> V:
        (value,) = await self._many_alone([key])
        return value

    async def _many_alone(self, keys: list[K]) -> list[V]:
        different = list(dict.fromkeys(keys))
        values = await self.source(different) if different else []
        _check(different, values)
        return _values_of(keys, dict(zip(different, values, strict=True)))

    def _begin(self) -> None:
        assert self._loop is not None
        task = self._loop.create_task(self._run(), name="load", context=None if self._own_context else Context())
        _under_way.add(task)
        task.add_done_callback(_under_way.discard)

    async def _run(self) -> None:
        loop = self._loop
        try:
            while self._waiting or self._waiting_for_many:
                await self._answer(*self._take())
        finally:
            if loop is self._loop:
                self._begun -= 1

    def _take(self) -> tuple[_Waiting[K, V], _WaitingForMany[K, V]]:
        """Return what to answer next, without those who do not wait any more."""
        singles, many = self._waiting, self._waiting_for_many
        self._waiting, self._waiting_for_many = {}, []
        if len(singles) + sum(len(keys) for keys, _ in many) > self._keys_max:
            # Neither kind holds up the other. Who asks for many keys is answered at once, if that is a few more.
            keep = self._keys_max // 2 if many else self._keys_max
            self._waiting = dict(list(singles.items())[max(1, keep) :])
            room, taken = self._keys_max - min(len(singles), keep), 0
            for keys, _ in many:
                if room <= 0:
                    break
                room, taken = room - len(keys), taken + 1
            self._waiting_for_many = many[taken:]
            singles, many = {key: singles[key] for key in singles if key not in self._waiting}, many[:taken]
        return (
            {key: waiting for key, waiting in singles.items() if not all(each.cancelled() for each in waiting)},
            [each for each in many if not each[1].cancelled()],
        )

    async def _answer(self, singles: _Waiting[K, V], many: _WaitingForMany[K, V]) -> None:
        keys = list(dict.fromkeys(chain(singles, *(asked for asked, _ in many)))) if many else list(singles)
        try:
            values = await self.source(keys) if keys else []
            _check(keys, values)
        except asyncio.CancelledError:
            for future in chain.from_iterable(singles.values()):
                future.cancel()
            for _, together in many:
                together.cancel()
            raise
        except Exception as error:
            values = [error] * len(keys)
        if not singles and len(many) == 1 and len(many[0][0]) == len(keys):
            # Who asks alone, and for nothing twice, has it in the order in which it was asked for.
            wrong = next((value for value in values if isinstance(value, BaseException)), None)
            _tell(many[0][1], cast("list[V]", list(values)) if wrong is None else wrong)
            return
        found = dict(zip(keys, values, strict=True))
        for key, waiting in singles.items():
            for future in waiting:
                _tell(future, found[key])
        for asked, together in many:
            try:
                _tell(together, _values_of(asked, found))
            except Exception as error:
                _tell(together, error)


def _tell(future: asyncio.Future[V], value: V | BaseException) -> None:
    if future.done():
        return
    if isinstance(value, BaseException):
        future.set_exception(value)
    else:
        future.set_result(value)


def _values_of(keys: Iterable[K], found: Mapping[K, V | BaseException]) -> list[V]:
    values = []
    for key in keys:
        value = found[key]
        if isinstance(value, BaseException):
            raise value
        values.append(value)
    return values


def of_request(load: Callable[[list[K]], Awaitable[Sequence[V | BaseException]]]) -> Joined[K, V]:
    """Join the loads of one request with each other alone, and begin one for each moment in which there are any."""
    return Joined(load, at_once_max=LOADS_OF_REQUEST_MAX, own_context=True)


def _check(keys: Sequence[object], values: Sequence[object]) -> None:
    if len(values) != len(keys):
        raise WrongNumberOfValues(f"{len(values)} for {len(keys)} keys")


async def drain() -> None:
    """Wait for the loads under way in this loop; those of a loop that is no more are forgotten."""
    loop = asyncio.get_running_loop()
    while mine := {task for task in _under_way if task.get_loop() is loop}:
        await asyncio.wait(mine)
    _under_way.clear()
