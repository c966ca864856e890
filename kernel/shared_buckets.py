"""The buckets of all processes, in Redis, behind those of this process, which are what is left without Redis.

All buckets of one draw are looked at and changed by one script, so that a budget holds whatever happens beside it, and
by Redis's own clock. Where Redis does not answer, each process goes by itself for a while: a client may then take as
much of each process, which is better than to serve nobody.

What requests cost is asked for together, whatever waits while a question is under way, and a process that asks reserves
a little more as long as most of the bucket is there; the next requests then take of that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, cast

from prometheus_client import Counter
from redis.exceptions import RedisError

from kernel.batches import Batches
from kernel.buckets import Buckets, Draw, Level, MemoryBuckets, level_of
from kernel.joined_takes import JoinedTakes
from kernel.lean_redis import LeanRedis, Word
from kernel.leases import IDLE_S, Leases
from kernel.logs import get_logger
from kernel.pubsub import ShardingUnsupported, cluster, is_cluster, single
from kernel.settings import Settings
from kernel.tasks import cancel_and_wait, spawn

if TYPE_CHECKING:
    from redis.asyncio.cluster import RedisCluster

log = get_logger(__name__)

REDIS_PATIENCE_S = 0.25
REDIS_PAUSE_S = 5.0
# Each call that is under way has a connection.
CALLS_MAX = 8
# What was spent or given back here is told to the others so often.
TELL_INTERVAL_S = 0.1
TOLD_AT_ONCE_MAX = 100
ASKED_AT_ONCE_MAX = 100
# Of keys that nobody could be told of, so many are kept.
UNTOLD_MAX = 10_000
PREFIX = "youka:bucket:"

FAILURES = Counter(
    "youka_bucket_store_failures_total", "How often Redis did not answer for the buckets of all processes"
)

# Arguments for each question: as those of a take, and how much more is wanted. Each answer is whether it was taken, in
# how many seconds the bucket is full then, and how much more was taken: all of it, or nothing where too little is
# left.
EXCHANGE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local answer = {}
for i, key in ipairs(KEYS) do
  local amount, unit, capacity = tonumber(ARGV[5 * i - 4]), tonumber(ARGV[5 * i - 3]), tonumber(ARGV[5 * i - 2])
  local full = math.max(math.max(tonumber(redis.call('GET', key) or '0'), now) + tonumber(ARGV[5 * i - 1]), now)
  local taken, more = 0, 0
  if full + amount * unit <= now + capacity * unit + 0.000001 then
    taken, full = 1, full + amount * unit
    if full + tonumber(ARGV[5 * i]) * unit <= now + capacity * unit / 4 then
      more = tonumber(ARGV[5 * i])
      full = full + more * unit
    end
  end
  if full > now then
    redis.call('SET', key, string.format('%.6f', full), 'PX', math.ceil((full - now) * 1000) + 1)
  else
    redis.call('DEL', key)
  end
  answer[3 * i - 2], answer[3 * i - 1], answer[3 * i] = taken, string.format('%.6f', full - now), more
end
return answer
"""
# Arguments for each key: by how many seconds it is full later; less than 0 where something was given back.
TELL = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local answer = {}
for i, key in ipairs(KEYS) do
  local full = math.max(tonumber(redis.call('GET', key) or '0'), now) + tonumber(ARGV[i])
  if full > now then
    redis.call('SET', key, string.format('%.6f', full), 'PX', math.ceil((full - now) * 1000) + 1)
  else
    redis.call('DEL', key)
  end
  answer[i] = string.format('%.6f', math.max(full - now, 0))
end
return answer
"""


@dataclass(slots=True)
class Question:
    """A draw, and who waits for it; nobody does where a lease is renewed ahead of need."""

    draw: Draw
    answer: asyncio.Future[Level] | None = None


class RedisBuckets:
    """Buckets that all processes share."""

    def __init__(self, url: str, *, keys_max: int, sharded: bool = False) -> None:
        self._url, self._sharded = url, sharded
        self._near = MemoryBuckets(keys_max=keys_max)
        self._client: LeanRedis | RedisCluster | None = None
        self._in_cluster = False
        self._paused_until_s = 0.0
        self._calls = asyncio.Semaphore(CALLS_MAX)
        self._untold: dict[str, Draw] = {}
        self._telling: asyncio.Task[None] | None = None
        self._leases = Leases()
        # The keys of one call have to lie in one slot of a cluster.
        self._takes = JoinedTakes(self._run, apart=sharded)
        self._questions = Batches[Question](self._exchange, size_max=ASKED_AT_ONCE_MAX, name="buckets:ask")
        self._sweeping: asyncio.Task[None] | None = None

    async def take(self, draws: Sequence[Draw]) -> list[Level]:
        """As Buckets has it. In a cluster the keys of one call have to lie in one slot."""
        if len(draws) == 1 and draws[0].leased:
            return [self.take_here(draws[0]) or await self._asked(draws[0])]
        untold: list[Draw] = []
        numbers: list[Word] = []
        for each in draws:
            told = self._untold.pop(each.key, None)
            if told is not None:
                untold.append(told)
            bucket = each.bucket
            numbers += (each.amount, f"{bucket.unit_s:.9f}", bucket.capacity, "0" if told is None else _seconds(told))
        taken = await self._takes.take([each.key for each in draws], numbers)
        if taken is None:
            for each in untold:
                self._tell_later(each, each.amount)
            return self._near.take_now(draws)
        levels = []
        for draw, full_after_s in zip(draws, taken.full_after_s, strict=True):
            self._learn(draw, full_after_s)
            levels.append(level_of(draw, full_after_s, taken=taken.enough))
        return levels

    def take_here(self, draw: Draw) -> Level | None:
        lease = self._leases.take(draw)
        if lease is None:
            return None
        level = self._near.spend(draw)
        if not level.enough:
            # The clocks of two machines do not agree to the end.
            lease.left += draw.amount
            return None
        if lease.low:
            lease.renewing = True
            self._questions.put(Question(draw.of(0)))
        return level

    def spend(self, draw: Draw) -> Level:
        level = self._near.spend(draw)
        if level.enough:
            self._tell_later(draw, draw.amount)
        return level

    def give_back(self, draw: Draw) -> None:
        self._near.give_back(draw)
        left_over = self._leases.put_back(draw)
        if left_over:
            self._tell_later(draw, -left_over)

    def peek(self, draw: Draw) -> Level:
        return self._near.peek(draw)

    def holds(self, draw: Draw) -> bool:
        return self._near.holds(draw)

    async def aclose(self) -> None:
        """Give back what is reserved, and hold no connection any more."""
        await self._questions.aclose()
        await self._takes.aclose()
        await cancel_and_wait(*filter(None, (self._sweeping, self._telling)))
        if self._leases:
            for idle in self._leases.idle(all_of_them=True):
                self._tell_later(idle, -idle.amount)
            await self._tell_now()
        if self._client is not None:
            await self._client.aclose()

    def _tell_later(self, draw: Draw, amount: int) -> None:
        if not draw.shared or not amount:
            return
        known = self._untold.get(draw.key)
        if known is None and len(self._untold) >= UNTOLD_MAX:
            return
        self._untold[draw.key] = draw.of(amount + (known.amount if known else 0))
        if self._telling is None or self._telling.done():
            self._telling = spawn(self._tell(), name="buckets:tell")

    async def _tell(self) -> None:
        """Tell until there is nothing to tell."""
        while self._untold:
            await asyncio.sleep(TELL_INTERVAL_S)
            await self._tell_now()

    async def _tell_now(self) -> None:
        untold, self._untold = list(self._untold.values()), {}
        size = 1 if self._in_cluster else TOLD_AT_ONCE_MAX
        for start in range(0, len(untold), size):
            some = untold[start : start + size]
            answer = await self._run(TELL, [each.key for each in some], [_seconds(each) for each in some])
            for draw, text in zip(some, answer or (), strict=False):
                if draw.key not in self._untold:
                    self._learn(draw, float(text))

    def _learn(self, draw: Draw, backlog_s: float) -> None:
        """Know in how many seconds a bucket is full; what is reserved of it here is not spent yet."""
        self._near.set_backlog(draw.key, max(0.0, backlog_s - self._leases.left(draw.key) * draw.bucket.unit_s))

    async def _asked(self, draw: Draw) -> Level:
        answer: asyncio.Future[Level] = asyncio.get_running_loop().create_future()
        # What is reserved is too little for it, and whoever is refused must have nothing left.
        self._tell_later(draw, -self._leases.end(draw.key))
        self._questions.put(Question(draw, answer))
        return await answer

    async def _exchange(self, questions: Sequence[Question]) -> None:
        # The keys of one call would have to lie in one slot of a cluster.
        parts = [[each] for each in questions] if self._sharded else [questions]
        await asyncio.gather(*map(self._answer, parts))

    async def _answer(self, questions: Sequence[Question]) -> None:
        # Of several that draw of one bucket, the first reserves for all of them.
        first = {each.draw.key: number for number, each in reversed(list(enumerate(questions)))}
        wanted = [
            self._leases.wanted(each.draw) if first[each.draw.key] == number else 0
            for number, each in enumerate(questions)
        ]
        untold = [self._untold.pop(each.draw.key, each.draw.of(0)) for each in questions]
        numbers = [
            (draw.amount, f"{draw.bucket.unit_s:.9f}", draw.bucket.capacity, _seconds(told), more)
            for draw, told, more in zip((each.draw for each in questions), untold, wanted, strict=True)
        ]
        answers = await self._run(EXCHANGE, [each.draw.key for each in questions], list(chain.from_iterable(numbers)))
        if answers is None:
            for each in untold:
                self._tell_later(each, each.amount)
            for question in questions:
                _settle(question, self._near.take_now([question.draw])[0])
            return
        for position, (question, asked_for) in enumerate(zip(questions, wanted, strict=True)):
            taken, text, more = answers[3 * position : 3 * position + 3]
            if asked_for:
                self._reserve(question.draw, int(more))
            self._told(question, taken=int(taken) == 1, backlog_s=float(text))

    def _reserve(self, draw: Draw, amount: int) -> None:
        """Note that so much is reserved; nothing is where little is left, and then each piece is asked for."""
        if not amount:
            self._tell_later(draw, -self._leases.end(draw.key))
            return
        self._leases.grant(draw.key, draw.bucket, amount)
        if self._sweeping is None or self._sweeping.done():
            self._sweeping = spawn(self._sweep(), name="buckets:sweep")

    def _told(self, question: Question, *, taken: bool, backlog_s: float) -> None:
        draw = question.draw
        self._learn(draw, backlog_s)
        if taken and question.answer is not None and question.answer.cancelled():
            self.give_back(draw)
        reserved_s = self._leases.left(draw.key) * draw.bucket.unit_s
        _settle(question, level_of(draw, max(0.0, backlog_s - reserved_s), taken=taken))

    async def _sweep(self) -> None:
        """Give back what nobody uses, as long as anything is reserved."""
        while self._leases:
            await asyncio.sleep(IDLE_S / 2)
            for idle in self._leases.idle():
                self._tell_later(idle, -idle.amount)

    async def _run(self, script: str, keys: Sequence[str], arguments: Sequence[Word]) -> list[bytes] | None:
        """Return the script's answer; None where Redis does not give one, and then it is left alone for a while."""
        given = [*(PREFIX + key for key in keys), *arguments]
        client = self._client
        try:
            if isinstance(client, LeanRedis) and client.connected:
                # It has the same patience by itself, and sends one command behind the other.
                return None if self._paused else await client.eval(script, len(keys), *given)
            async with self._calls:
                return None if self._paused else await self._connect_and_run(script, len(keys), given)
        except (RedisError, OSError, TimeoutError, ShardingUnsupported) as error:
            # Of several that fail together the first has said so.
            if not self._paused:
                FAILURES.inc()
                log.warning("buckets.redis_unavailable", error=type(error).__name__)
            self._paused_until_s = time.monotonic() + REDIS_PAUSE_S
            return None

    @property
    def _paused(self) -> bool:
        return time.monotonic() < self._paused_until_s

    async def _connect_and_run(self, script: str, keys: int, given: Sequence[Word]) -> list[bytes]:
        async with asyncio.timeout(REDIS_PATIENCE_S):
            client = await self._connected()
            return await cast("Awaitable[list[bytes]]", client.eval(script, keys, *given))

    async def _connected(self) -> LeanRedis | RedisCluster:
        if self._client is None:
            self._in_cluster = self._sharded and await is_cluster(self._url)
            if self._in_cluster:
                self._client = cluster(self._url)
            else:
                self._client = LeanRedis(single(self._url, timeout_s=REDIS_PATIENCE_S))
        return self._client


def _settle(question: Question, level: Level) -> None:
    if question.answer is not None and not question.answer.done():
        question.answer.set_result(level)


def _seconds(draw: Draw) -> str:
    """Return by how many seconds the bucket is full later for what was drawn, or earlier for what was put back."""
    return f"{draw.amount * draw.bucket.unit_s:.9f}"


@asynccontextmanager
async def opened_buckets(settings: Settings) -> AsyncIterator[Buckets]:
    """The buckets, in Redis where its address is set."""
    keys_max = settings.rate_limit_keys_max
    if not settings.redis_url:
        yield MemoryBuckets(keys_max=keys_max)
        return
    sharded = settings.redis_sharded_pubsub
    async with aclosing(RedisBuckets(settings.redis_url, keys_max=keys_max, sharded=sharded)) as buckets:
        yield buckets
