"""What `python -m jobs audit-ledger` proves, for tests that have the database open."""

from __future__ import annotations

from domain.ledger import audit as ledger
from domain.orders import audit as orders


async def assert_audits_find_nothing() -> None:
    assert [*await ledger.findings(), *await orders.findings()] == []
