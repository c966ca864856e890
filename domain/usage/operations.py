"""Counting who still uses what is announced to go."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from tortoise.expressions import F

from kernel.ids import new_id
from models.database import transactional
from models.usage import DeprecatedUse


@transactional
async def record(*, uses: Mapping[tuple[str, str], int], now: datetime) -> None:
    """Add to the counts of clients and schema coordinates, all or nothing.

    Two processes that count at once take the rows in one order, so neither waits for the other in a circle.
    """
    keys = sorted(uses)
    await DeprecatedUse.bulk_create(
        [
            DeprecatedUse(
                id=new_id(), client_id=client_id, coordinate=coordinate, count=0, first_used_at=now, last_used_at=now
            )
            for client_id, coordinate in keys
        ],
        ignore_conflicts=True,
    )
    for client_id, coordinate in keys:
        await DeprecatedUse.filter(client_id=client_id, coordinate=coordinate).update(
            count=F("count") + uses[client_id, coordinate], last_used_at=now
        )
