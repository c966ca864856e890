"""Reading the finance journal: which one is valid, and how far behind the ledger it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.events import queries as events
from domain.events.streams import ledger_stream
from domain.ledger.shards import LEDGER_SHARDS
from models.finance import FinanceCursor, FinanceGeneration

FIRST_GENERATION = 1
STREAMS = {ledger_stream(shard): shard for shard in range(LEDGER_SHARDS)}


@dataclass(frozen=True, slots=True)
class StreamLag:
    """What one shard's stream has that a journal has not read; `since` is the time of the oldest such event."""

    shard: int
    stream: str
    position: int
    events_behind: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a generation of the journal is behind the ledger."""

    generation: int
    events_behind: int
    seconds_behind: float
    streams: Sequence[StreamLag]


async def current_generation() -> int:
    """Return the number of the journal to read."""
    row = await FinanceGeneration.filter(current_since__isnull=False).order_by("-number").first()
    return row.number if row else FIRST_GENERATION


async def open_generations() -> list[int]:
    """Return the journals that are carried on: the current one, and those that are being rebuilt."""
    current = await current_generation()
    rebuilt = await FinanceGeneration.filter(number__gt=current).order_by("number").values_list("number", flat=True)
    return [current, *(int(str(number)) for number in rebuilt)]


async def lag(*, generation: int, now: datetime) -> Lag:
    """Return how many events, and how many seconds of them, the generation has not read; zero where it has them all."""
    heads = await events.heads(list(STREAMS))
    cursors = await FinanceCursor.filter(generation=generation).values_list("stream", "position")
    read = {str(stream): int(position) for stream, position in cursors}
    behind = {stream: head - read.get(stream, 0) for stream, head in heads.items() if head > read.get(stream, 0)}
    since = await events.times([(stream, read.get(stream, 0) + 1) for stream in behind])
    streams = [
        StreamLag(STREAMS[stream], stream, read.get(stream, 0), behind[stream], since.get(stream))
        for stream in sorted(behind)
    ]
    oldest = min(since.values(), default=now)
    return Lag(generation, sum(behind.values()), max(0.0, (now - oldest).total_seconds()), streams)
