from __future__ import annotations

from uuid import UUID

from domain.ledger.shards import HOUSE_SHARD, LEDGER_SHARDS, shard_of
from kernel.ids import new_id


def test_a_shard_never_changes() -> None:
    """Rows carry their shard, so these are values of the database and not only of the code."""
    assert LEDGER_SHARDS == 16
    assert shard_of(UUID("01a210d1-ce85-78ab-8570-826773425443")) == 3
    assert shard_of(UUID("01a210d1-ce85-78ab-8570-82677342544f")) == 15
    assert shard_of(None) == HOUSE_SHARD == 0


def test_users_are_spread_evenly() -> None:
    counts = [0] * LEDGER_SHARDS
    for _ in range(16_000):
        counts[shard_of(new_id())] += 1
    assert min(counts) > 800
    assert max(counts) < 1_200
