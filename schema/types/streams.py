"""What all events of subscriptions have: a cursor to resume from, and a way to say that something is missing."""

from __future__ import annotations

from typing import Annotated

import strawberry

from domain.events.cursors import GapReason
from schema.types.describing import described

CURSOR = "Give this as `after` when you subscribe again, and nothing is missed or repeated."
COMPLETE = "Whether this is all; false where there was more than a snapshot holds."

After = Annotated[
    str | None,
    strawberry.argument(description="The cursor of the last event you have; without it you start with the next one."),
]

described(
    GapReason,
    "GapReason",
    "Why events behind a cursor cannot be told one by one.",
    {
        "HISTORY_GONE": "They are older than what is kept.",
        "EPOCH_CHANGED": "The history was restored from a backup since; what the cursor names is not what it was.",
    },
)


@strawberry.interface(description="What a subscription delivers.")
class StreamEvent:
    cursor: str = strawberry.field(description=CURSOR)


@strawberry.interface(
    description="Events are missing here. The gap holds what is true now; forget what you have, take this, and go on "
    "from its cursor."
)
class StreamGap(StreamEvent):
    reason: GapReason = strawberry.field(description="Why.")
