"""`python -m jobs audit-ledger`: the invariants of the books, proven row by row."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from domain.finance import audit as finance
from domain.finance.queries import Lag, current_generation, lag
from domain.funds import audit as funds
from domain.funds.policy import Policy
from domain.ledger import audit as ledger
from domain.ledger.audit import FINDINGS_PER_RULE_MAX, Finding
from domain.orders import audit as orders
from domain.reconciliation import audit as reconciliation
from kernel.clock import utc_now
from kernel.settings import get_settings
from models.database import connected, patient


@dataclass(frozen=True, slots=True)
class Audit:
    """The rules in their order, what breaks them, and what the journal has not read yet."""

    rules: Sequence[str]
    findings: Sequence[Finding]
    lag: Lag

    @property
    def broken(self) -> set[str]:
        return {finding.rule for finding in self.findings}


def add_commands(commands: Any) -> None:
    parser = commands.add_parser("audit-ledger", help="prove the ledger's invariants, and name what breaks them")
    parser.add_argument("--json", action="store_true", help="print rules, findings and lag as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print every rule with its outcome. Return 0 where all hold, 1 where one does not."""
    audit = asyncio.run(_audit())
    if arguments.json:
        sys.stdout.write(_as_json(audit) + "\n")
    else:
        print(_as_text(audit))
    return 1 if audit.findings else 0


async def _audit() -> Audit:
    settings = get_settings()
    async with connected(settings.database, patient(settings)):
        rules = (
            *ledger.proofs(),
            *finance.proofs(),
            *orders.RULE_NAMES,
            *reconciliation.RULE_NAMES,
            *funds.RULE_NAMES,
        )
        found = [*await ledger.findings(), *await finance.findings(), *await orders.findings()]
        found += [*await reconciliation.findings(), *await funds.findings(policy=Policy.of(settings))]
        return Audit(rules, found, await lag(generation=await current_generation(), now=utc_now()))


def _as_text(audit: Audit) -> str:
    lines = [f"{'BROKEN' if rule in audit.broken else 'holds '}  {rule}" for rule in audit.rules]
    lines.append(
        f"journal {audit.lag.generation}: {audit.lag.events_behind} events, {audit.lag.seconds_behind:.1f} s to read"
    )
    for rule in audit.rules:
        found = [finding for finding in audit.findings if finding.rule == rule]
        for finding in found:
            figures = ", ".join(f"{name} {value}" for name, value in finding.figures.items())
            lines.append(f"  {finding.subject}: {rule}: {figures}")
        if len(found) >= FINDINGS_PER_RULE_MAX:
            lines.append(f"  and perhaps more: {len(found)} rows of a rule are shown at most")
    return "\n".join(lines)


def _as_json(audit: Audit) -> str:
    document = {
        "holds": not audit.findings,
        "rules": [{"rule": rule, "holds": rule not in audit.broken} for rule in audit.rules],
        "findings": [asdict(finding) for finding in audit.findings],
        "findings_per_rule_max": FINDINGS_PER_RULE_MAX,
        "lag": asdict(audit.lag),
    }
    # Figures are of any type that a column has; what JSON does not know is told as text.
    return orjson.dumps(document, default=str).decode()
