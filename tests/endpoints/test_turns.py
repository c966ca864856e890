"""A rush of sign-ins: a few at once, the others one by one in the order in which they came, and a bound on the line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from endpoints.oauth_requests import TemporarilyUnavailable
from endpoints.turns import Pace


class Timer:
    def __init__(self, due_s: float, work: Callable[[], None]) -> None:
        self.due_s, self.work, self.cancelled = due_s, work, False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """Stands still but for `pass_to`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        self.timers: list[Timer] = []
        monkeypatch.setattr("endpoints.turns.monotonic", lambda: self.now_s)
        monkeypatch.setattr("endpoints.turns.later", self._later)

    def _later(self, delay_s: float, work: Callable[[], None]) -> Timer:
        self.timers.append(Timer(self.now_s + delay_s, work))
        return self.timers[-1]

    async def pass_to(self, now_s: float) -> None:
        while due := [each for each in self.timers if not each.cancelled and each.due_s <= now_s]:
            first = min(due, key=lambda each: each.due_s)
            self.timers.remove(first)
            # A hair later than asked for, as timers are.
            self.now_s = first.due_s + 1e-6
            first.work()
        self.now_s = now_s
        await turns_of_the_loop()


async def turns_of_the_loop() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Queue:
    """Those who ask for a place, and who of them has begun."""

    def __init__(self, pace: Pace) -> None:
        self.pace, self.begun = pace, list[int]()

    async def _one(self, number: int) -> None:
        await self.pace.step()
        self.begun.append(number)

    async def come(self, *numbers: int) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(self._one(number)) for number in numbers]
        await turns_of_the_loop()
        return tasks


async def test_a_few_begin_at_once_and_the_others_one_by_one_in_order(clock: Clock) -> None:
    queue = Queue(Pace(per_s_max=10, burst_max=3, waiting_max=100))
    await queue.come(*range(6))
    assert queue.begun == [0, 1, 2]
    await clock.pass_to(100.09)
    assert queue.begun == [0, 1, 2]
    await clock.pass_to(100.25)
    assert queue.begun == [0, 1, 2, 3, 4]
    await clock.pass_to(100.31)
    assert queue.begun == list(range(6))


async def test_who_comes_last_does_not_pass_those_who_wait(clock: Clock) -> None:
    queue = Queue(Pace(per_s_max=10, burst_max=1, waiting_max=100))
    await queue.come(0, 1, 2)
    # The time of the second has come, but its timer is late.
    clock.now_s = 100.15
    await queue.come(3)
    assert queue.begun == [0]
    await clock.pass_to(101.0)
    assert queue.begun == [0, 1, 2, 3]


async def test_after_a_pause_a_few_begin_at_once_again_and_no_more(clock: Clock) -> None:
    queue = Queue(Pace(per_s_max=10, burst_max=2, waiting_max=100))
    await queue.come(0, 1)
    clock.now_s = 500.0
    await queue.come(2, 3, 4)
    assert queue.begun == [0, 1, 2, 3]
    await clock.pass_to(500.2)
    assert queue.begun == [0, 1, 2, 3, 4]


async def test_a_line_that_is_full_turns_away_and_moves_nobody(clock: Clock) -> None:
    queue = Queue(Pace(per_s_max=10, burst_max=1, waiting_max=2))
    _, first, _ = await queue.come(0, 1, 2)
    for _ in range(5):
        with pytest.raises(TemporarilyUnavailable):
            await queue.pace.step()
    first.cancel()
    await turns_of_the_loop()
    await queue.come(3)
    with pytest.raises(TemporarilyUnavailable):
        await queue.pace.step()
    await clock.pass_to(100.15)
    assert queue.begun == [0, 2]
    await clock.pass_to(100.25)
    assert queue.begun == [0, 2, 3]


async def test_a_place_that_is_given_back_is_the_next_ones(clock: Clock) -> None:
    queue = Queue(Pace(per_s_max=10, burst_max=1, waiting_max=100))
    await queue.come(0, 1, 2)
    queue.pace.step_back()
    await turns_of_the_loop()
    assert queue.begun == [0, 1]
    await clock.pass_to(100.05)
    assert queue.begun == [0, 1]
    await clock.pass_to(100.15)
    assert queue.begun == [0, 1, 2]


async def test_who_leaves_in_the_moment_of_beginning_gives_the_place_back(clock: Clock) -> None:
    queue = Queue(Pace(per_s_max=10, burst_max=1, waiting_max=100))
    _, leaving, _ = await queue.come(0, 1, 2)
    queue.pace.step_back()
    leaving.cancel()
    await turns_of_the_loop()
    assert queue.begun == [0, 2]
