"""Loads by key: shared statements, nothing older than its question, and waiters that do not harm one another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar

import pytest
from tortoise import Tortoise

from kernel.tasks import inside_transaction
from models import joining
from models.database import connected, transactional
from models.events import EventStream
from models.joining import Joined, WrongNumberOfValues
from models.lean import Statement, fetch

POSITIONS = Statement(
    postgres="SELECT name, position FROM event_stream WHERE name = ANY($1::text[]) ORDER BY name",
    sqlite="SELECT name, position FROM event_stream WHERE name IN (SELECT value FROM json_each(?1)) ORDER BY name",
)


# A key that no load survives.
UNLUCKY = 1_313


class Source:
    """Answers with ten times the key, when it is let; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.at_once = self.at_once_max = 0
        self.open = asyncio.Event()
        self.open.set()

    async def load(self, keys: list[int]) -> Sequence[int | BaseException]:
        self.asked.append(list(keys))
        self.at_once += 1
        self.at_once_max = max(self.at_once, self.at_once_max)
        await self.open.wait()
        self.at_once -= 1
        if UNLUCKY in keys:
            raise LookupError("no such luck")
        return [ValueError(key) if key < 0 else key * 10 for key in keys]


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_is_asked_in_one_moment_is_one_load_in_the_order_of_asking() -> None:
    source = Source()
    joined = Joined(source.load)
    assert await asyncio.gather(*map(joined.load, (3, 1, 3, 2))) == [30, 10, 30, 20]
    assert await joined.load_many([5, 4, 5]) == [50, 40, 50]
    assert source.asked == [[3, 1, 2], [5, 4]]


async def test_a_thousand_requests_are_few_loads() -> None:
    source = Source()
    joined = Joined(source.load, at_once_max=1)

    async def request(number: int) -> None:
        await asyncio.sleep(number % 7 / 1_000)
        assert await joined.load(number) == number * 10
        assert await joined.load(number % 10) == number % 10 * 10

    source.open.clear()
    asyncio.get_running_loop().call_later(0.05, source.open.set)
    await asyncio.gather(*(request(number) for number in range(20, 1_020)))
    assert len(source.asked) <= 5


async def test_what_is_asked_while_a_load_is_under_way_waits_for_another() -> None:
    """The one under way may have looked before the question was asked."""
    source = Source()
    joined = Joined(source.load, at_once_max=1)
    source.open.clear()
    first = asyncio.ensure_future(joined.load(1))
    await turns()
    later = [asyncio.ensure_future(joined.load(key)) for key in (1, 2)]
    await turns()
    assert source.asked == [[1]]
    source.open.set()
    assert await asyncio.gather(first, *later) == [10, 10, 20]
    assert source.asked == [[1], [1, 2]]


@pytest.mark.parametrize("most", [1, 2, 3])
async def test_no_more_loads_at_once_than_allowed(most: int) -> None:
    source = Source()
    joined = Joined(source.load, at_once_max=most)
    source.open.clear()
    waiting = []
    for key in range(6):
        waiting.append(asyncio.ensure_future(joined.load(key)))
        await turns()
    assert source.at_once == most
    source.open.set()
    assert await asyncio.gather(*waiting) == [0, 10, 20, 30, 40, 50]
    assert source.at_once_max == most


async def test_a_load_has_a_bounded_number_of_keys() -> None:
    source = Source()
    joined = Joined(source.load, keys_max=4)
    assert await asyncio.gather(*map(joined.load, range(10))) == [key * 10 for key in range(10)]
    assert source.asked == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


async def test_many_keys_are_one_answer_and_share_the_load() -> None:
    source = Source()
    joined = Joined(source.load)
    first, one, second = joined.load_many([3, 1, 3]), joined.load(2), joined.load_many([1, 4])
    assert (await first, await one, await second) == ([30, 10, 30], 20, [10, 40])
    assert source.asked == [[2, 3, 1, 4]]
    assert await joined.load_many([]) == []
    assert len(source.asked) == 1


async def test_who_asks_for_many_and_who_asks_for_one_do_not_hold_each_other_up() -> None:
    source = Source()
    joined = Joined(source.load, keys_max=6)
    many = [joined.load_many([100 + number, 200 + number, 300 + number]) for number in range(4)]
    one = [joined.load(number) for number in range(8)]
    assert [await each for each in one] == [number * 10 for number in range(8)]
    assert [(await each)[0] for each in many] == [1_000 + number * 10 for number in range(4)]
    assert max(map(len, source.asked)) <= 6 + 3
    assert {0, 100} <= set(source.asked[0])


async def test_an_error_of_one_of_many_keys_is_theirs_and_a_cancelled_one_is_nobodys() -> None:
    source = Source()
    joined = Joined(source.load)
    gone = asyncio.ensure_future(joined.load_many([7, 8]))
    spoilt, fine = joined.load_many([1, -1]), joined.load_many([1, 2])
    gone.cancel()
    with pytest.raises(ValueError, match="-1"):
        await spoilt
    assert await fine == [10, 20]
    assert source.asked == [[1, -1, 2]]


async def test_an_error_reaches_each_waiter_and_the_next_load_has_none() -> None:
    source = Source()
    joined = Joined(source.load)
    outcomes = await asyncio.gather(*(joined.load(key) for key in (1, UNLUCKY, 1)), return_exceptions=True)
    assert [type(each) for each in outcomes] == [LookupError] * 3
    assert await joined.load(1) == 10


async def test_an_error_of_one_key_is_of_that_key_alone() -> None:
    joined = Joined(Source().load)
    outcomes = await asyncio.gather(*(joined.load(key) for key in (1, -1, 2)), return_exceptions=True)
    assert outcomes[0] == 10
    assert isinstance(outcomes[1], ValueError)
    assert outcomes[2] == 20


async def test_too_few_values_are_an_error() -> None:
    async def load(keys: list[int]) -> list[int]:
        return keys[1:]

    with pytest.raises(WrongNumberOfValues):
        await Joined(load).load_many([1, 2])


async def test_who_is_cancelled_takes_nobody_along() -> None:
    source = Source()
    joined = Joined(source.load, at_once_max=1)
    source.open.clear()
    tasks = [asyncio.ensure_future(joined.load(key % 50)) for key in range(500)]
    await turns()
    late = [asyncio.ensure_future(joined.load(key)) for key in (1, 2, 3)]
    for task in (*tasks[1:], late[0], late[1]):
        task.cancel()
    await turns()
    source.open.set()
    assert await tasks[0] == 0
    assert await late[2] == 30
    # What nobody waited for any more was not asked.
    assert source.asked == [list(range(50)), [3]]


async def test_what_nobody_waits_for_does_not_stop_the_rest() -> None:
    source = Source()
    joined = Joined(source.load, keys_max=2)
    gone = [asyncio.ensure_future(joined.load(key)) for key in (1, 2)]
    kept = asyncio.ensure_future(joined.load(3))
    for each in gone:
        each.cancel()
    assert await kept == 30
    assert source.asked == [[3]]


async def test_a_load_that_is_cancelled_cancels_who_waits_for_it() -> None:
    async def load(keys: list[int]) -> list[int]:
        raise asyncio.CancelledError

    joined = Joined(load)
    with pytest.raises(asyncio.CancelledError):
        await joined.load(1)
    with pytest.raises(asyncio.CancelledError):
        await joined.load(1)


def test_it_may_be_used_in_one_loop_after_another() -> None:
    async def load(keys: list[int]) -> list[int]:
        await asyncio.sleep(0 if keys != [1] else 60)
        return keys

    joined = Joined(load)

    async def leave_something() -> None:
        left = asyncio.ensure_future(joined.load(1))
        await turns()
        assert not left.done()

    async def ask() -> int:
        return await joined.load(2)

    asyncio.run(leave_something())
    assert [asyncio.run(ask()) for _ in range(2)] == [2, 2]
    asyncio.run(joining.drain())


async def test_a_shared_load_knows_nothing_of_who_asked() -> None:
    who: ContextVar[str] = ContextVar("who", default="nobody")

    async def load(keys: list[int]) -> list[str]:
        return [who.get()] * len(keys)

    who.set("me")
    assert await Joined(load).load(1) == "nobody"
    assert await Joined(load, own_context=True).load(1) == "me"


async def positions(names: list[str]) -> list[int | None]:
    found = {row["name"]: row["position"] for row in await fetch(POSITIONS, names)}
    return [found.get(name) for name in names]


@pytest.mark.usefixtures("database")
async def test_inside_a_transaction_it_sees_what_that_wrote() -> None:
    joined = Joined(positions)

    @transactional
    async def write() -> int | None:
        assert inside_transaction.get()
        await EventStream.create(name="mine", position=7)
        assert await joined.load_many(["mine", "other", "mine"]) == [7, None, 7]
        return await joined.load("mine")

    assert await write() == 7
    assert await joined.load_many(["mine", "other"]) == [7, None]


async def test_closing_waits_for_loads_under_way(database_url: str) -> None:
    async def slow(names: list[str]) -> list[int | None]:
        await asyncio.sleep(0.05)
        return await positions(names)

    async with connected(database_url):
        await EventStream.create(name="here", position=1)
        waiting = asyncio.ensure_future(Joined(slow).load("here"))
        await turns()
    assert await waiting == 1
    with pytest.raises(Exception, match=r".*"):
        Tortoise.get_connection("default")
