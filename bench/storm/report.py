"""What a storm has shown: the bars and whether each is met, for people and for programs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from bench.storm.database import LEASE
from bench.storm.options import Options
from bench.storm.run import Outcome
from bench.storm.verify import Fault
from bench.storm.weather import HEALED_WITHIN_S as WAITED_FOR_HEALING_S

BACK_WITHIN_S = 3.0
# What a worker had leased when it died waits for the rest of the lease, and then for its turn among what is due.
TAKEN_OVER_WITHIN_S = 2 * LEASE.total_seconds()
HEALED_WITHIN_S = 5.0
SHOWN_MAX = 20
WIDTH_MIN = 120


@dataclass(frozen=True, slots=True)
class Bar:
    """One thing that a storm must show, and what it has shown as people read it."""

    name: str
    shown: str
    met: bool


def bars(outcome: Outcome, options: Options) -> list[Bar]:
    return [*_amounts(outcome, options), *_money(outcome), *_recovery(outcome, options), *_healing(outcome)]


def _amounts(outcome: Outcome, options: Options) -> Iterator[Bar]:
    acknowledged, kills = outcome.witness.acknowledged, len(outcome.kills)
    if options.recharges:
        shown = f"{acknowledged:,} of {options.recharges:,}"
        yield Bar("recharges acknowledged", shown, acknowledged >= options.recharges)
    if options.kills:
        yield Bar("kills", f"{kills} of {options.kills}", kills >= options.kills)


def _money(outcome: Outcome) -> Iterator[Bar]:
    promised_fen = sum(promise.amount_fen for promise in outcome.witness if promise.acknowledged)
    for fault in (Fault.LOST, Fault.DOUBLED):
        fen, count = outcome.verdict.fen(fault), outcome.verdict.count(fault)
        share = fen / promised_fen if promised_fen else 0.0
        yield Bar(fault, f"¥{fen / 100:.2f} of ¥{promised_fen / 100:,.2f} ({share:.2%}), {count} findings", count == 0)
    orders, ended = outcome.verdict.ends.total(), outcome.verdict.count(Fault.UNEXPLAINED)
    yield Bar("orders at no end and unexplained", f"{ended} of {orders:,}", ended == 0)
    contradictions = outcome.verdict.count(Fault.CONTRADICTION)
    yield Bar("records that contradict each other", str(contradictions), contradictions == 0)
    yield Bar("audit-ledger", "every rule holds" if outcome.audit_passed else "broken", outcome.audit_passed)
    unanswered, leaks = outcome.witness.unanswered, len(outcome.ears.leaks)
    yield Bar("requests never answered", str(unanswered), unanswered == 0)
    yield Bar("answers with text of a driver", f"{leaks} of {outcome.ears.bodies_read:,}", leaks == 0)


def _recovery(outcome: Outcome, options: Options) -> Iterator[Bar]:
    if not options.kills:
        return
    served = [kill.served_s for kill in outcome.kills if kill.served_s is not None]
    moved = [kill.moved_s for kill in outcome.kills if kill.moved_s is not None]
    for name, seconds, within_s in (
        ("a request is answered after a kill", served, BACK_WITHIN_S),
        ("work in flight moves after a kill", moved, TAKEN_OVER_WITHIN_S),
    ):
        yield Bar(name, spread(seconds), bool(seconds) and max(seconds) <= within_s)


def _healing(outcome: Outcome) -> Iterator[Bar]:
    for spell in outcome.spells:
        shown = f"mutations after {_seconds(spell.served_s)}, work after {_seconds(spell.worked_s)}"
        yield Bar(f"healed of {spell.fault}", shown, spell.forgotten_s <= HEALED_WITHIN_S)
    if outcome.spells:
        yield Bar("connections left in a transaction", str(outcome.idle), outcome.idle == 0)


def spread(seconds: Sequence[float]) -> str:
    if not seconds:
        return "never measured"
    return f"p50 {statistics.median(seconds):.2f} s, max {max(seconds):.2f} s, {len(seconds)} times"


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if math.isfinite(value) else f"more than {WAITED_FOR_HEALING_S:.0f} s"


def show(outcome: Outcome, options: Options) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, WIDTH_MIN))
    table = Table(
        title=f"{outcome.engine}, seed {options.seed}", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for heading in ("bar", "shown", ""):
        table.add_column(heading)
    for bar in bars(outcome, options):
        table.add_row(bar.name, bar.shown, "" if bar.met else "MISSED")
    console.print(table)
    for line in (*_figures(outcome), *_complaints(outcome)):
        console.print(line, highlight=False, markup=False)


def _figures(outcome: Outcome) -> Iterator[str]:
    rate = outcome.witness.acknowledged / outcome.seconds
    yield f"· {outcome.witness.acknowledged:,} recharges in {outcome.seconds:.0f} s, {rate:.1f}/s"
    yield f"· no order moved any more {outcome.settled_s:.1f} s after the last request"
    returned = [kill.returned_s for kill in outcome.kills if kill.returned_s is not None]
    if returned:
        yield f"· a killed server itself answered again: {spread(returned)}"
    yield f"· orders: {_counts(outcome.verdict.ends)}"
    yield f"· answers: {_counts(outcome.ears.outcomes)}"
    if outcome.witness.refusals:
        yield f"· refusals that ended a recharge: {_counts(outcome.witness.refusals)}"
    for spell in outcome.spells:
        yield f"· during {spell.fault} ({spell.lasted_s:.1f} s): {_counts(spell.answers)}"


def _complaints(outcome: Outcome) -> Iterator[str]:
    for finding in outcome.verdict.findings[:SHOWN_MAX]:
        yield f"{finding.fault}: {finding.subject}: {finding.what}"
    more = len(outcome.verdict.findings) - SHOWN_MAX
    if more > 0:
        yield f"and {more} more"
    for leak in outcome.ears.leaks:
        yield f"text of a driver: {leak}"
    if not outcome.audit_passed:
        yield outcome.audit


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items(), key=lambda pair: -pair[1])) or "none"


def document(
    outcomes: Sequence[Outcome], options: Options, *, begun: datetime, machine: Mapping[str, Any]
) -> dict[str, Any]:
    """Return everything about a run. JSON has no infinity, so what never came is null."""
    return {
        "begun_at": begun.isoformat(timespec="seconds"),
        "machine": dict(machine),
        "options": asdict(options),
        "engines": [
            {
                "engine": outcome.engine,
                "met": all(bar.met for bar in bars(outcome, options)),
                "bars": [asdict(bar) for bar in bars(outcome, options)],
                "acknowledged": outcome.witness.acknowledged,
                "seconds": outcome.seconds,
                "recharges_per_s": outcome.witness.acknowledged / outcome.seconds,
                "settled_s": outcome.settled_s,
                "orders": dict(outcome.verdict.ends),
                "answers": dict(outcome.ears.outcomes),
                "refusals": dict(outcome.witness.refusals),
                "kills": [asdict(kill) for kill in outcome.kills],
                "spells": [asdict(spell) for spell in outcome.spells],
                "findings": [asdict(finding) for finding in outcome.verdict.findings],
                "leaks": outcome.ears.leaks,
                "audit": outcome.audit,
            }
            for outcome in outcomes
        ],
    }
