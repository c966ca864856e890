"""What takes too long is ended, and nothing else is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, NoReturn, TypeVar

import pytest

from kernel.deadlines import DeadlinePassed, Deadlines

T = TypeVar("T")


async def within(deadlines: Deadlines, work: Awaitable[T]) -> T:
    with deadlines.begin():
        return await work


async def test_what_is_done_in_time_is_returned_and_leaves_nothing() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    assert await within(Deadlines(0.0001), work()) == 7
    await asyncio.sleep(0.01)
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_what_takes_too_long_is_ended() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(DeadlinePassed):
        await within(Deadlines(0.001), work())
    assert ended.is_set()
    # Whoever goes on is not cancelled any more.
    await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_its_own_timeouts_and_errors_are_not_ours() -> None:
    async def work(error: Exception) -> NoReturn:
        await asyncio.sleep(0)
        raise error

    for error in (TimeoutError("another one"), ValueError()):
        with pytest.raises(type(error)) as raised:
            await within(Deadlines(60), work(error))
        assert raised.value is error


async def test_who_is_cancelled_is_cancelled() -> None:
    task = asyncio.create_task(within(Deadlines(60), asyncio.Event().wait()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_is_cancelled_at_the_same_moment_is_cancelled() -> None:
    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            task.cancel()

    task = asyncio.create_task(within(Deadlines(0.001), work()))
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_one_timer_sees_to_many_in_their_order() -> None:
    deadlines, loop = Deadlines(0.02), asyncio.get_running_loop()
    timers: list[float] = []
    call_at = loop.call_at

    def counted(at_s: float, *rest: Any, **options: Any) -> asyncio.TimerHandle:
        if getattr(rest[0], "__self__", None) is deadlines:
            timers.append(at_s)
        return call_at(at_s, *rest, **options)

    loop.call_at = counted  # type: ignore[assignment, method-assign]
    try:
        quick = [asyncio.create_task(within(deadlines, asyncio.sleep(0, number))) for number in range(100)]
        slow = [asyncio.create_task(within(deadlines, asyncio.Event().wait())) for _ in range(3)]
        assert await asyncio.gather(*quick) == list(range(100))
        assert len(deadlines) == 3
        found = await asyncio.gather(*slow, return_exceptions=True)
    finally:
        loop.call_at = call_at  # type: ignore[method-assign]
    assert [type(each) for each in found] == [DeadlinePassed] * 3
    assert len(deadlines) == 0
    assert len(timers) <= 5


def test_it_outlives_its_loop() -> None:
    deadlines = Deadlines(0.005)
    for _ in range(2):

        async def both() -> int:
            with pytest.raises(DeadlinePassed):
                await within(deadlines, asyncio.Event().wait())
            forgotten = asyncio.create_task(within(deadlines, asyncio.Event().wait()))
            await asyncio.sleep(0)
            forgotten.cancel()
            return await within(deadlines, asyncio.sleep(0, 7))

        assert asyncio.run(both()) == 7
