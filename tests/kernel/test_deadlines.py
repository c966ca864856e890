"""What takes too long is ended, and nothing else is."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import pytest

from kernel.deadlines import DeadlinePassed, within


async def test_what_is_done_in_time_is_returned_and_leaves_nothing() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    assert await within(0.0001, work()) == 7
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
        await within(0.001, work())
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
            await within(60, work(error))
        assert raised.value is error


async def test_who_is_cancelled_is_cancelled() -> None:
    task = asyncio.create_task(within(60, asyncio.Event().wait()))
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

    task = asyncio.create_task(within(0.001, work()))
    with pytest.raises(asyncio.CancelledError):
        await task
