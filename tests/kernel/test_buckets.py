"""Buckets that time refills: what is taken is gone, time brings it back, and memory is bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kernel.buckets import Bucket, Draw, MemoryBuckets

BUCKET = Bucket(10, 2.0)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def draw(amount: int, key: str = "a", bucket: Bucket = BUCKET) -> Draw:
    return Draw(key, bucket, amount)


class TestOneBucket:
    def test_it_holds_its_capacity_and_says_when_to_come_back(self) -> None:
        buckets = MemoryBuckets(clock=Clock())
        assert [buckets.spend(draw(4)).remaining for _ in range(2)] == [6, 2]
        refused = buckets.spend(draw(5))
        assert (refused.remaining, refused.enough, round(refused.wait_s, 3)) == (2, False, 1.5)
        assert buckets.spend(draw(2)).enough

    def test_time_refills_it_up_to_its_capacity(self) -> None:
        clock = Clock()
        buckets = MemoryBuckets(clock=clock)
        assert buckets.spend(draw(10)).remaining == 0
        clock.now_s += 1.5
        assert buckets.peek(draw(1)).remaining == 3
        clock.now_s += 1_000
        assert buckets.spend(draw(10)).enough
        assert not buckets.spend(draw(1)).enough

    def test_what_is_put_back_is_there_and_never_more_than_that(self) -> None:
        buckets = MemoryBuckets(clock=Clock())
        buckets.spend(draw(6))
        buckets.give_back(draw(4))
        assert buckets.peek(draw(1)).remaining == 8
        buckets.give_back(draw(9))
        assert buckets.peek(draw(1)).remaining == 10
        assert not buckets.spend(draw(11)).enough

    @given(st.lists(st.tuples(st.integers(0, 12), st.floats(0, 2)), max_size=60))
    def test_nobody_takes_more_than_the_capacity_and_what_time_brings(self, steps: list[tuple[int, float]]) -> None:
        clock = Clock()
        buckets = MemoryBuckets(clock=clock)
        taken, began_s = 0, clock.now_s
        for amount, pause_s in steps:
            clock.now_s += pause_s
            level = buckets.spend(draw(amount))
            taken += amount if level.enough else 0
            assert 0 <= level.remaining <= BUCKET.capacity
            assert taken <= BUCKET.capacity + (clock.now_s - began_s) * BUCKET.refill_per_s + 0.001
            if not level.enough and amount <= BUCKET.capacity:
                clock.now_s += level.wait_s
                assert buckets.peek(draw(amount)).enough


class TestSeveral:
    async def test_all_are_taken_of_or_none(self) -> None:
        buckets = MemoryBuckets(clock=Clock())
        small = Bucket(1, 1.0)
        assert all(level.enough for level in await buckets.take([draw(1), draw(1, "b", small)]))
        levels = await buckets.take([draw(1), draw(1, "b", small)])
        assert [level.enough for level in levels] == [True, False]
        assert buckets.peek(draw(0)).remaining == 9


class TestMemory:
    def test_full_buckets_are_forgotten(self) -> None:
        clock = Clock()
        buckets = MemoryBuckets(clock=clock)
        for number in range(100):
            buckets.spend(draw(1, str(number)))
        clock.now_s += 10
        for number in range(60):
            buckets.spend(draw(1, f"new-{number}"))
        assert len(buckets) == 60

    def test_there_are_never_more_than_the_limit(self) -> None:
        buckets = MemoryBuckets(keys_max=10, clock=Clock())
        for number in range(1_000):
            buckets.spend(draw(10, str(number)))
            assert len(buckets) <= 10
        assert not buckets.spend(draw(1, "999")).enough
        assert buckets.spend(draw(10, "0")).enough

    def test_looking_keeps_nothing(self) -> None:
        buckets = MemoryBuckets(clock=Clock())
        buckets.peek(draw(1))
        buckets.give_back(draw(1))
        assert len(buckets) == 0
