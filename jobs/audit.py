"""`python -m jobs audit-ledger`: the invariants of the books, proven row by row."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from domain.ledger import audit as ledger
from domain.orders import audit as orders
from kernel.settings import get_settings
from models.database import connected

FINDINGS_SHOWN_MAX = 100


def add_command(commands: Any) -> None:
    parser = commands.add_parser("audit-ledger", help="prove the ledger's invariants, and name what breaks them")
    parser.set_defaults(run=run)


def run(_arguments: argparse.Namespace) -> int:
    """Print every rule with its outcome. Return 0 where all hold, 1 where one does not."""
    return asyncio.run(_audit())


async def _audit() -> int:
    async with connected(get_settings().database):
        found = [*await ledger.findings(), *await orders.findings()]
    broken = {finding.rule for finding in found}
    for rule in (*ledger.PROOFS, *orders.RULE_NAMES):
        print(f"{'BROKEN' if rule in broken else 'holds '}  {rule}")
    for finding in found[:FINDINGS_SHOWN_MAX]:
        figures = ", ".join(f"{name} {value}" for name, value in finding.figures.items())
        print(f"  {finding.subject}: {finding.rule}: {figures}")
    if len(found) > FINDINGS_SHOWN_MAX:
        print(f"  and {len(found) - FINDINGS_SHOWN_MAX} more")
    return 1 if found else 0
