"""What is left of a client's bucket."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self

import strawberry

from kernel.buckets import Draw, Level
from schema.types.scalars import DateTime


@strawberry.type(description="What a client may still ask: what a request costs is taken of it, and time refills it.")
class RateLimit:
    limit: int = strawberry.field(description="How much there is at most, and so what one request may cost at most.")
    cost: int = strawberry.field(description="What this request was charged, or what the given document would be.")
    remaining: int = strawberry.field(description="What is left now. What this request does not use is given back.")
    reset_at: DateTime = strawberry.field(description="When there is as much as can be, if nothing more is asked.")

    @classmethod
    def of(cls, draw: Draw, level: Level, *, cost: int, now: datetime) -> Self:
        return cls(
            limit=draw.bucket.capacity,
            cost=cost,
            remaining=level.remaining,
            reset_at=DateTime(now + timedelta(seconds=level.full_after_s)),
        )
