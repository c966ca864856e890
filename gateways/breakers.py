"""Where the state of circuit breakers is kept: in Redis for all processes, or in this one where there is no Redis.

purgatory's own repositories compare the clocks of different machines, count failures beside the state, and let every
caller through once a pause is over. These decide in one step each, by one clock, and let one caller through.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from purgatory.domain.model import CLOSED, HALF_OPENED, OPENED, Context
from purgatory.service._async.repository import AsyncAbstractRepository
from purgatory.service._async.unit_of_work import AsyncAbstractUnitOfWork
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from kernel.logs import get_logger
from kernel.settings import Settings

KEY_PREFIX = "youka:breaker:"
# A call to a third party waits for so long for the breaker's state, and then goes by what this process knows.
REDIS_TIMEOUT_S = 0.1
# For so long a Redis that failed is not asked again.
REDIS_PAUSE_S = 1.0
# What nobody has touched for so long is forgotten.
KEPT_MS = 3_600_000
# Failures are counted where the state is kept, so purgatory must not open a breaker by a count it has read before.
NEVER = sys.maxsize

# KEYS[1] is the breaker. Each script takes Redis's own clock, so those of the machines do not matter.
NOW = "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) "
LOOK = (
    NOW
    + """
local s = redis.call('HMGET', KEYS[1], 'open', 'until', 'probe', 'failures')
if s[1] ~= '1' then return {'closed', tonumber(s[4] or 0)} end
if tonumber(s[2]) > now or tonumber(s[3] or 0) > now then return {'opened', 0} end
redis.call('HSET', KEYS[1], 'probe', now + ARGV[1])
return {'half-opened', 0}
"""
)
OPEN = (
    NOW
    + """
redis.call('HSET', KEYS[1], 'open', '1', 'until', now + ARGV[1], 'probe', 0, 'failures', 0)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
)
FAIL = (
    NOW
    + """
if redis.call('HGET', KEYS[1], 'open') == '1' then return 0 end
if redis.call('HINCRBY', KEYS[1], 'failures', 1) >= tonumber(ARGV[3]) then
  redis.call('HSET', KEYS[1], 'open', '1', 'until', now + ARGV[1], 'probe', 0, 'failures', 0)
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
)
CLOSE = "return redis.call('DEL', KEYS[1])"
FORGIVE = "if redis.call('HGET', KEYS[1], 'open') == '1' then return 0 end return redis.call('DEL', KEYS[1])"

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BreakerRule:
    """After so many failures in a row nobody calls for `pause_s`; then one caller tries, who has `probe_s` for it."""

    failures_max: int
    pause_s: float
    probe_s: float

    @classmethod
    def of(cls, settings: Settings) -> BreakerRule:
        return cls(
            failures_max=settings.third_party_failures_max,
            pause_s=settings.third_party_pause_s,
            probe_s=settings.third_party_timeout_s,
        )


@dataclass(slots=True)
class _Local:
    failures: int = 0
    open: bool = False
    until_s: float = 0.0
    probe_until_s: float = 0.0


class LocalBreakers(AsyncAbstractRepository):
    """The state as this process alone knows it."""

    def __init__(self, rule: BreakerRule, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self.messages = []
        self._rule, self._monotonic_s = rule, monotonic_s
        self._states: defaultdict[str, _Local] = defaultdict(_Local)

    async def get(self, name: str) -> Context:
        """Return the breaker as the next caller finds it; the first one after a pause finds it half open."""
        now_s, state = self._monotonic_s(), self._states[name]
        if not state.open:
            return context_of(name, CLOSED, failures=state.failures)
        if max(state.until_s, state.probe_until_s) > now_s:
            return context_of(name, OPENED)
        state.probe_until_s = now_s + self._rule.probe_s
        return context_of(name, HALF_OPENED)

    async def register(self, context: Context) -> None:
        """Every name has a state from the start."""

    async def update_state(self, name: str, state: str, opened_at: float | None) -> None:
        if state == OPENED:
            self._open(self._states[name])
        elif state == CLOSED:
            self._states[name] = _Local()

    async def inc_failures(self, name: str, failure_count: int) -> None:
        state = self._states[name]
        if not state.open:
            state.failures += 1
            if state.failures >= self._rule.failures_max:
                self._open(state)

    async def reset_failure(self, name: str) -> None:
        self._states[name].failures = 0

    def _open(self, state: _Local) -> None:
        state.failures, state.open, state.probe_until_s = 0, True, 0.0
        state.until_s = self._monotonic_s() + self._rule.pause_s


class SharedBreakers(AsyncAbstractRepository):
    """The state as every process knows it. Where Redis does not answer in time, this process goes by its own."""

    def __init__(self, redis: Redis, rule: BreakerRule, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self.messages = []
        self._redis, self._monotonic_s = redis, monotonic_s
        self._local = LocalBreakers(rule, monotonic_s=monotonic_s)
        self._away_until_s = float("-inf")
        self._failures_max = rule.failures_max
        self._pause_ms, self._probe_ms = int(rule.pause_s * 1_000), int(rule.probe_s * 1_000)

    async def get(self, name: str) -> Context:
        # What this process knows is kept beside, so that it is right where Redis goes away.
        found = await self._ask(LOOK, name, self._probe_ms)
        if found is None:
            return await self._local.get(name)
        state, failures = found
        return context_of(name, state.decode(), failures=int(failures))

    async def register(self, context: Context) -> None:
        """Every name has a state from the start."""

    async def update_state(self, name: str, state: str, opened_at: float | None) -> None:
        await self._local.update_state(name, state, opened_at)
        if state == OPENED:
            await self._ask(OPEN, name, self._pause_ms, KEPT_MS)
        elif state == CLOSED:
            await self._ask(CLOSE, name)

    async def inc_failures(self, name: str, failure_count: int) -> None:
        if await self._ask(FAIL, name, self._pause_ms, KEPT_MS, self._failures_max) is None:
            await self._local.inc_failures(name, failure_count)

    async def reset_failure(self, name: str) -> None:
        if await self._ask(FORGIVE, name) is None:
            await self._local.reset_failure(name)

    async def _ask(self, script: str, name: str, *values: int) -> Any:
        """Return what the script says, or None where Redis is away."""
        if self._monotonic_s() < self._away_until_s:
            return None
        try:
            return await self._redis.eval(script, 1, KEY_PREFIX + name, *map(str, values))
        except (RedisError, OSError) as error:
            self._away_until_s = self._monotonic_s() + REDIS_PAUSE_S
            log.warning("breakers.redis_away", error=type(error).__name__)
            return None


class Breakers(AsyncAbstractUnitOfWork):
    """purgatory's unit of work over one of these. Each step is whole, so there is nothing to commit."""

    def __init__(self, contexts: AsyncAbstractRepository) -> None:
        self.contexts = contexts

    async def commit(self) -> None:
        """Everything is written already."""

    async def rollback(self) -> None:
        """Nothing is taken back."""


def context_of(name: str, state: str, *, failures: int = 0) -> Context:
    opened_at = time.time() if state == OPENED else None
    return Context(name, NEVER, NEVER, state=cast(Any, state), failure_count=failures, opened_at=opened_at)


@asynccontextmanager
async def keeping_breakers(settings: Settings) -> AsyncIterator[Breakers]:
    """Hold the connection to Redis, where there is one, for as long as the context lasts."""
    rule = BreakerRule.of(settings)
    if not settings.redis_url:
        yield Breakers(LocalBreakers(rule))
        return
    redis = Redis.from_url(
        settings.redis_url,
        protocol=2,
        socket_timeout=REDIS_TIMEOUT_S,
        socket_connect_timeout=REDIS_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        yield Breakers(SharedBreakers(redis, rule))
    finally:
        await redis.aclose()
