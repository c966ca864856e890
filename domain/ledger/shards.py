"""Which part of the ledger a user's money lies in, so that each part can move to a database of its own. No I/O."""

from __future__ import annotations

from uuid import UUID

# The number of parts never changes, because rows carry theirs; how many databases they are spread over may.
LEDGER_SHARDS = 16
# Postings that belong to no user, such as a settlement into escrow.
HOUSE_SHARD = 0


def shard_of(user_id: UUID | None) -> int:
    """Return the user's shard, from 0 to LEDGER_SHARDS - 1: the last four bits of the id.

    The end of an id is random (RFC 9562, section 5.7), so it is a hash already, and one that SQL of every engine can
    read: it is the last character of the id's text.
    """
    return HOUSE_SHARD if user_id is None else user_id.int % LEDGER_SHARDS
