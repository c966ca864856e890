"""Buckets in Redis: one budget for all processes, and one each where Redis is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest
import redis as sync_redis

from kernel import leases, shared_buckets
from kernel.buckets import Bucket, Draw, MemoryBuckets
from kernel.lean_redis import Word
from kernel.settings import Settings
from kernel.shared_buckets import EXCHANGE, FAILURES, PREFIX, RedisBuckets, opened_buckets
from tests.services import find_free_port
from tests.subscriptions.support import eventually

# One comes back in a hundred seconds, so that none does while a test runs.
SLOW = Bucket(50, 0.01)


@pytest.fixture
async def two(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[RedisBuckets, RedisBuckets]]:
    """The buckets of two processes, which have more patience than a busy machine needs."""
    monkeypatch.setattr(shared_buckets, "REDIS_PATIENCE_S", 10.0)
    async with AsyncExitStack() as stack:
        first, second = RedisBuckets(redis_url, keys_max=100), RedisBuckets(redis_url, keys_max=100)
        for each in (first, second):
            await stack.enter_async_context(aclosing(each))
        yield first, second


def draw(amount: int, key: str = "a", bucket: Bucket = SLOW) -> Draw:
    return Draw(key, bucket, amount)


class TestTwoProcesses:
    async def test_the_budget_holds_beside_each_other(self, two: tuple[RedisBuckets, RedisBuckets]) -> None:
        answers = await asyncio.gather(*(two[number % 2].take([draw(1)]) for number in range(80)))
        assert sum(level.enough for (level,) in answers) == SLOW.capacity
        refused = [level for (level,) in answers if not level.enough]
        assert all(90 < level.wait_s <= 100 and level.remaining == 0 for level in refused)

    async def test_all_keys_of_one_call_are_taken_of_or_none(self, two: tuple[RedisBuckets, RedisBuckets]) -> None:
        first, second = two
        small = Bucket(1, 0.01)
        assert all(level.enough for level in await first.take([draw(1), draw(1, "b", small)]))
        levels = await second.take([draw(1), draw(1, "b", small)])
        assert [level.enough for level in levels] == [True, False]
        assert (await first.take([draw(0)]))[0].remaining == 49

    async def test_what_is_put_back_in_one_is_there_in_the_other(self, two: tuple[RedisBuckets, RedisBuckets]) -> None:
        first, second = two
        await first.take([draw(50)])
        assert not (await second.take([draw(1)]))[0].enough
        first.give_back(draw(20))
        await eventually(lambda: _takes(second, 20))
        assert not (await first.take([draw(1)]))[0].enough

    async def test_what_is_spent_at_once_is_told(self, two: tuple[RedisBuckets, RedisBuckets]) -> None:
        first, second = two
        assert all(first.spend(draw(5)).enough for _ in range(10))
        assert not first.spend(draw(1)).enough
        # The one who has spent it counts it already.
        assert not (await first.take([draw(1)]))[0].enough

        async def told() -> bool:
            return not (await second.take([draw(1, "a")]))[0].remaining

        await eventually(told)

    async def test_what_only_this_process_has_to_know_is_not_told(
        self, redis_url: str, two: tuple[RedisBuckets, RedisBuckets]
    ) -> None:
        two[0].spend(Draw("own", SLOW, 5, shared=False))
        two[0].spend(draw(5))
        with sync_redis.from_url(redis_url) as server:
            await eventually(lambda: server.exists(f"{PREFIX}a"))
            assert not server.exists(f"{PREFIX}own")

    async def test_a_full_bucket_is_not_kept(self, redis_url: str, two: tuple[RedisBuckets, RedisBuckets]) -> None:
        await two[0].take([draw(3, bucket=Bucket(10, 5.0))])
        with sync_redis.from_url(redis_url) as server:
            assert 0 < server.pttl(f"{PREFIX}a") <= 610
            await eventually(lambda: not server.exists(f"{PREFIX}a"))


async def _takes(buckets: RedisBuckets, amount: int) -> bool:
    return (await buckets.take([draw(amount)]))[0].enough


class TestTakesOfSeveral:
    """What is asked for while a call is under way goes with the next one, and each take stands for itself."""

    @pytest.fixture
    async def sizes(self, two: tuple[RedisBuckets, RedisBuckets], monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """The number of keys of each call that the first of the two makes."""
        found: list[int] = []
        run = two[0]._takes._run

        async def counted(script: str, keys: Sequence[str], numbers: Sequence[Word]) -> list[bytes] | None:
            found.append(len(keys))
            return await run(script, keys, numbers)

        monkeypatch.setattr(two[0]._takes, "_run", counted)
        return found

    async def test_all_or_nothing_holds_for_each(
        self, two: tuple[RedisBuckets, RedisBuckets], sizes: list[int]
    ) -> None:
        first, _ = two
        small = Bucket(3, 0.01)
        answers = await asyncio.gather(
            *(first.take([draw(1, f"user-{number}"), draw(2, "card", small), draw(1, "all")]) for number in range(3)),
            first.take([draw(1, "all")]),
        )
        assert [[level.enough for level in levels] for levels in answers] == [
            [True, True, True],
            [True, False, True],
            [True, False, True],
            [True],
        ]
        # The two that were refused have taken nothing.
        left = await first.take([draw(0, "user-1"), draw(0, "all"), draw(0, "card", small)])
        assert [level.remaining for level in left] == [50, 48, 1]
        assert sizes == [10, 3]

    async def test_one_who_went_meanwhile_leaves_the_others(self, two: tuple[RedisBuckets, RedisBuckets]) -> None:
        first, _ = two
        asked = [asyncio.create_task(first.take([draw(1)])) for _ in range(5)]
        await asyncio.sleep(0)
        asked[2].cancel()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert [isinstance(each, BaseException) for each in answers] == [False, False, True, False, False]

    async def test_more_than_a_call_takes_wait_for_the_next(
        self, two: tuple[RedisBuckets, RedisBuckets], sizes: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, _ = two
        monkeypatch.setattr(first._takes._takes, "_size_max", 20)
        answers = await asyncio.gather(*(first.take([draw(1)]) for _ in range(60)))
        assert sum(level.enough for (level,) in answers) == SLOW.capacity
        assert sizes == [20, 20, 20]

    async def test_an_error_reaches_each(
        self, two: tuple[RedisBuckets, RedisBuckets], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, _ = two

        async def fail(*_: object) -> list[bytes] | None:
            raise LookupError

        with monkeypatch.context() as patch:
            patch.setattr(first._takes, "_run", fail)
            answers = await asyncio.gather(*(first.take([draw(1)]) for _ in range(3)), return_exceptions=True)
        assert [type(each) for each in answers] == [LookupError] * 3
        assert (await first.take([draw(1)]))[0].enough


class TestRedisAway:
    @pytest.mark.parametrize("leased", [False, True])
    async def test_each_process_goes_by_itself_and_the_metric_says_so(self, leased: bool) -> None:
        before = FAILURES._value.get()
        address = f"redis://127.0.0.1:{find_free_port()}/0"
        async with aclosing(RedisBuckets(address, keys_max=10)) as buckets:
            answers = [(await buckets.take([Draw("a", SLOW, 1, leased=leased)]))[0] for _ in range(60)]
        assert [level.enough for level in answers] == [True] * 50 + [False] * 10
        # It was asked once, and then left alone.
        assert FAILURES._value.get() == before + 1

    async def test_it_is_asked_again_after_a_while(self, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shared_buckets, "REDIS_PAUSE_S", 0.05)
        address = f"redis://127.0.0.1:{find_free_port()}/0"
        async with aclosing(RedisBuckets(address, keys_max=10)) as buckets:
            await buckets.take([draw(1)])
            buckets._url, buckets._client = redis_url, None

            async def asked() -> bool:
                await buckets.take([draw(1)])
                with sync_redis.from_url(redis_url) as server:
                    return bool(server.exists(f"{PREFIX}a"))

            await eventually(asked)


async def test_without_redis_they_are_in_memory() -> None:
    async with opened_buckets(Settings(redis_url="", rate_limit_keys_max=7)) as buckets:
        assert isinstance(buckets, MemoryBuckets)
        assert buckets._keys_max == 7


# A fiftieth of it is a lease of 20.
LARGE = Bucket(1_000, 0.01)


def leased(amount: int, key: str = "a", bucket: Bucket = LARGE) -> Draw:
    return Draw(key, bucket, amount, leased=True)


class TestLeases:
    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """How many keys each question was about."""
        found: list[int] = []
        run = RedisBuckets._run

        async def counting(self: RedisBuckets, script: str, keys: Sequence[str], arguments: Sequence[Word]) -> Any:
            if script is EXCHANGE:
                found.append(len(keys))
            return await run(self, script, keys, arguments)

        monkeypatch.setattr(RedisBuckets, "_run", counting)
        return found

    async def test_what_is_reserved_needs_no_question(
        self, two: tuple[RedisBuckets, RedisBuckets], asked: list[int]
    ) -> None:
        first, _ = two
        assert first.take_here(leased(3)) is None
        (level,) = await first.take([leased(3)])
        assert (level.remaining, level.wait_s) == (997, 0)
        left = [first.take_here(leased(2)) for _ in range(5)]
        assert [level.remaining for level in left if level] == [995, 993, 991, 989, 987]
        assert asked == [1]

    async def test_more_is_reserved_before_it_is_needed(
        self, two: tuple[RedisBuckets, RedisBuckets], asked: list[int]
    ) -> None:
        first, _ = two
        await first.take([leased(1)])
        assert first.take_here(leased(11))
        await eventually(lambda: first._leases.left("a") == 20)
        assert first.take_here(leased(20))
        assert asked == [1, 1]
        assert first.peek(leased(1)).remaining == 1_000 - 32

    async def test_who_asks_at_the_same_time_asks_together(
        self, two: tuple[RedisBuckets, RedisBuckets], asked: list[int]
    ) -> None:
        first, _ = two
        levels = await asyncio.gather(*(first.take([leased(2, key)]) for key in "abcabc"))
        assert all(level.enough for (level,) in levels)
        assert asked == [6]
        # What six have reserved is a lease for each of three.
        assert [first._leases.left(key) for key in "abc"] == [20, 20, 20]
        assert (await first.take([leased(0, "a")]))[0].remaining == 996

    async def test_all_processes_together_never_take_more_than_there_is(
        self, two: tuple[RedisBuckets, RedisBuckets]
    ) -> None:
        taken = 0
        for number in range(400):
            draws = [leased(7), leased(1)]
            levels = await asyncio.gather(*(two[number % 2].take([each]) for each in draws))
            taken += sum(each.amount for each, (level,) in zip(draws, levels, strict=True) if level.enough)
        # And, since little was left before nothing was, what both had reserved was given back.
        assert LARGE.capacity - 7 < taken <= LARGE.capacity + 1

    async def test_little_is_not_reserved(self, two: tuple[RedisBuckets, RedisBuckets], asked: list[int]) -> None:
        first, second = two
        await second.take([leased(740)])
        for _ in range(3):
            await first.take([leased(1)])
        assert asked == [1] * 4
        # Nor is anything of a small bucket.
        small = Bucket(799, 0.01)
        await first.take([leased(1, "b", small)])
        assert first.take_here(leased(1, "b", small)) is None
        assert not first._leases.left("b")

    async def test_who_is_refused_has_nothing_left(self, two: tuple[RedisBuckets, RedisBuckets]) -> None:
        first, second = two
        await first.take([leased(1)])
        assert not (await first.take([leased(1_000)]))[0].enough
        (level,) = await second.take([leased(999)])
        assert level.enough

    async def test_what_was_not_used_is_reserved_or_given_back(self, two: tuple[RedisBuckets, RedisBuckets]) -> None:
        first, second = two
        await first.take([leased(100)])
        first.give_back(leased(60))
        assert first._leases.left("a") == 20
        assert first.peek(leased(1)).remaining == 960

        async def told() -> bool:
            return (await second.take([Draw("a", LARGE, 0)]))[0].remaining == 940

        await eventually(told)

    async def test_what_nobody_uses_is_given_back(
        self, two: tuple[RedisBuckets, RedisBuckets], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in (leases, shared_buckets):
            monkeypatch.setattr(module, "IDLE_S", 0.02)
        first, second = two
        await first.take([leased(1)])

        async def given_back() -> bool:
            return (await second.take([Draw("a", LARGE, 0)]))[0].remaining == 999

        await eventually(given_back)
        assert not first._leases

    async def test_what_is_reserved_is_given_back_at_the_end(self, redis_url: str) -> None:
        async with aclosing(RedisBuckets(redis_url, keys_max=10)) as first:
            await first.take([leased(1)])
        async with aclosing(RedisBuckets(redis_url, keys_max=10)) as second:
            assert (await second.take([Draw("a", LARGE, 0)]))[0].remaining == 999

    async def test_a_bucket_of_another_size_is_asked_for(self, two: tuple[RedisBuckets, RedisBuckets]) -> None:
        first, _ = two
        await first.take([leased(1)])
        assert first.take_here(leased(1, bucket=Bucket(1_000, 0.01)))
        assert first.take_here(leased(1, bucket=Bucket(2_000, 0.01))) is None

    async def test_who_went_meanwhile_has_taken_nothing(self, two: tuple[RedisBuckets, RedisBuckets]) -> None:
        first, second = two
        task = asyncio.ensure_future(first.take([leased(500)]))
        await asyncio.sleep(0)
        assert first._questions._waiting
        task.cancel()

        async def given_back() -> bool:
            return (await second.take([Draw("a", LARGE, 0)]))[0].remaining == 1_000

        await eventually(given_back)
