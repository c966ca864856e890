"""What several ask to take of shared buckets, in one call: whatever waits while a call is under way goes with the next.

Each of them is given all that it asked for or nothing, as if each had come alone, one behind the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from kernel.batches import Batches
from kernel.lean_redis import Word

# More than these wait for the call behind the next one.
TAKES_PER_CALL_MAX = 100

# Arguments for each take: how many keys it has; and for each key the amount, the seconds of one unit, the capacity, and
# by how many seconds it is full later for what was not told yet. Answers for each take whether everything was taken,
# and in how many seconds each bucket is full.
TAKE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local answer, key, place = {}, 0, 1
while place <= #ARGV do
  local size, full, enough = tonumber(ARGV[place]), {}, 1
  for i = 1, size do
    local at = place + 4 * i - 3
    local amount, unit, capacity = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    local was = tonumber(redis.call('GET', KEYS[key + i]) or '0')
    full[i] = math.max(math.max(was, now) + tonumber(ARGV[at + 3]), now)
    if full[i] + amount * unit > now + capacity * unit + 0.000001 then enough = 0 end
  end
  answer[#answer + 1] = enough
  for i = 1, size do
    local at = place + 4 * i - 3
    if enough == 1 then full[i] = full[i] + tonumber(ARGV[at]) * tonumber(ARGV[at + 1]) end
    if full[i] > now then
      redis.call('SET', KEYS[key + i], string.format('%.6f', full[i]), 'PX', math.ceil((full[i] - now) * 1000) + 1)
    else
      redis.call('DEL', KEYS[key + i])
    end
    answer[#answer + 1] = string.format('%.6f', full[i] - now)
  end
  key, place = key + size, place + 4 * size + 1
end
return answer
"""


class Taken(NamedTuple):
    """Whether everything was taken, and in how many seconds each bucket is full."""

    enough: bool
    full_after_s: list[float]


class _Take(NamedTuple):
    keys: Sequence[str]
    numbers: Sequence[Word]
    answer: asyncio.Future[Taken | None]


Run = Callable[[str, Sequence[str], Sequence[Word]], Awaitable[list[bytes] | None]]


class JoinedTakes:
    """`run` sends a script, and returns None where nobody answers. With `apart` each take has a call of its own."""

    def __init__(self, run: Run, *, apart: bool) -> None:
        self._run = run
        size_max = 1 if apart else TAKES_PER_CALL_MAX
        self._takes = Batches[_Take](self._answer, size_max=size_max, name="buckets:take")

    async def take(self, keys: Sequence[str], numbers: Sequence[Word]) -> Taken | None:
        """Take of the keys, four numbers for each (see TAKE); None where nobody answers."""
        answer: asyncio.Future[Taken | None] = asyncio.get_running_loop().create_future()
        self._takes.put(_Take(keys, numbers, answer))
        return await answer

    async def aclose(self) -> None:
        await self._takes.aclose()

    async def _answer(self, takes: Sequence[_Take]) -> None:
        keys = [key for each in takes for key in each.keys]
        numbers = [number for each in takes for number in (len(each.keys), *each.numbers)]
        answers = await self._run(TAKE, keys, numbers)
        place = 0
        for each in takes:
            behind = place + 1 + len(each.keys)
            if not each.answer.done():
                each.answer.set_result(_taken(answers[place:behind]) if answers is not None else None)
            place = behind


def _taken(answer: Sequence[bytes]) -> Taken:
    return Taken(int(answer[0]) == 1, [float(text) for text in answer[1:]])
