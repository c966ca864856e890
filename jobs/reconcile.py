"""Commands about bills: compare one with our books now, and show how long money has stood in suspense."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from domain.ledger.postings import ESCROW_OPERATING, ESCROW_RESERVE
from domain.payments.bills import BillNotReady, BillRefused
from domain.payments.ports import ChannelRefused, ChannelUnavailable
from domain.reconciliation import queries
from domain.reconciliation.operations import Limits, Tell, TooManyDifferences, reconcile
from domain.reconciliation.queries import AGE_LIMITS_DAYS, Ageing
from domain.reconciliation.runs import RunBusy, RunLost
from domain.reconciliation.sources import BankFlow, BillSource
from gateways.assembly import third_parties
from gateways.key_source import ThirdPartySettingsWrong
from jobs.commands import on_database
from jobs.printing import printable
from jobs.reconciliation import folder_of, limits_of, sources_of
from jobs.tables import table
from kernel.clock import utc_now
from kernel.money import Money
from kernel.settings import get_settings
from kernel.states import DifferenceState
from models.reconciliation import ReconciliationDifference, ReconciliationRun

AGREED, DIFFERENT, REFUSED = 0, 1, 2
REFUSALS: dict[type[Exception], str] = {
    BillNotReady: "the bill is not there yet",
    BillRefused: "the bill cannot be used",
    ChannelUnavailable: "nobody answers",
    ChannelRefused: "the channel refuses",
    RunBusy: "somebody else compares a bill of it now",
    RunLost: "it took too long, and somebody else may have begun",
    TooManyDifferences: "there are more differences than can be real",
}
TITLES = ("class", "key", "state", "our books say", "the bill says", "in fen more")
ROWS_SHOWN_MAX = 50
BUCKETS = ("0-1 days", "2-7 days", "8-30 days", "over 30 days")
assert len(BUCKETS) == len(AGE_LIMITS_DAYS) + 1


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the commands; each sets `run`, which returns 0, 1 where something is different, or 2 with a reason."""
    command = subparsers.add_parser("reconcile", help="compare a bill of a third party with our books")
    command.add_argument("--source", required=True, metavar="NAME", help="such as wechat_pay:1900000209")
    command.add_argument("--day", required=True, type=_day, metavar="DAY", help="a day in Asia/Shanghai: 2026-05-20")
    command.add_argument("--bill", type=Path, metavar="FILE", help="a bill that is here already, such as a bank's flow")
    command.add_argument("--json", action="store_true", help="print the run as JSON")
    command.set_defaults(run=lambda given: on_database(lambda: compare(given)))

    command = subparsers.add_parser("suspense-ageing", help="show how long money has stood in suspense")
    command.add_argument("--json", action="store_true", help="print it as JSON")
    command.set_defaults(run=lambda given: on_database(lambda: show_ageing(given.json)))


async def compare(given: argparse.Namespace) -> int:
    """Compare one bill, and print what the run has found."""
    name: str = given.source
    settings = get_settings()
    limits = limits_of(settings)
    if name in (ESCROW_OPERATING, ESCROW_RESERVE):
        return await _compare(BankFlow(name), given.day, given.bill, limits, given.json)
    try:
        async with third_parties(settings) as parties:
            source = sources_of(parties).get(name)
            if source is None:
                return _refuse(f"there are no bills of {printable(name)}; there are {', '.join(sources_of(parties))}")
            return await _compare(source, given.day, given.bill, limits, given.json)
    except ThirdPartySettingsWrong as error:
        return _refuse(str(error))


async def _compare(source: BillSource, day: date, bill: Path | None, limits: Limits, as_json: bool) -> int:
    if bill is not None and not bill.is_file():  # noqa: ASYNC240 -- nothing else runs in this process.
        return _refuse(f"there is no file {bill}")
    try:
        with progress() as tell:
            run = await reconcile(
                source=source,
                day=day,
                folder=folder_of(get_settings()),
                limits=limits,
                owner=f"{socket.gethostname()[:24]}:{os.getpid()}",
                clock=utc_now,
                bill=bill,
                tell=tell,
            )
    except tuple(REFUSALS) as error:
        return _refuse(f"{REFUSALS[type(error)]}: {printable(str(error))}")
    rows = await queries.some_differences(
        states=[DifferenceState.WAITING, *queries.IN_SUSPENSE],
        source=run.source,
        day=run.business_day,
        first=limits.differences_max if as_json else ROWS_SHOWN_MAX,
        after=None,
    )
    print(orjson.dumps(_document(run, rows)).decode() if as_json else _text(run, rows))
    return DIFFERENT if run.difference_count else AGREED


def _document(run: ReconciliationRun, rows: Sequence[ReconciliationDifference]) -> dict[str, object]:
    return {
        "source": run.source,
        "day": run.business_day.isoformat(),
        "digest": run.digest,
        "passes": run.passes,
        "bill_lines": run.bill_line_count,
        "book_lines": run.book_line_count,
        "bill_fen": run.bill_fen,
        "book_fen": run.book_fen,
        "matched": run.matched_count,
        "differences": run.counts,
        "unresolved": [_difference_document(row) for row in rows],
    }


def _difference_document(row: ReconciliationDifference) -> dict[str, object]:
    return {
        "class": row.difference_class,
        "kind": row.kind,
        "key": row.key,
        "state": row.state,
        "book_state": row.book_state,
        "book_fen": row.book_fen,
        "bill_state": row.bill_state,
        "bill_fen": row.bill_fen,
        "amount_fen": row.amount_fen,
    }


def _text(run: ReconciliationRun, rows: Sequence[ReconciliationDifference]) -> str:
    counts = [("MATCH", str(run.matched_count)), *((name, str(count)) for name, count in sorted(run.counts.items()))]
    lines = f"{run.bill_line_count} lines of the bill, {run.book_line_count} of our books"
    text = f"{run.source} of {run.business_day}: {lines}\n{table(('class', 'keys'), counts)}"
    if not rows:
        return text
    upto = f", the oldest {ROWS_SHOWN_MAX}" if len(rows) == ROWS_SHOWN_MAX else ""
    return f"{text}\n\nunresolved{upto}:\n{table(TITLES, [_difference_row(row) for row in rows])}"


def _difference_row(row: ReconciliationDifference) -> tuple[str, ...]:
    ours = _said(row.book_state, row.book_fen)
    return row.difference_class, row.key, row.state, ours, _said(row.bill_state, row.bill_fen), str(row.amount_fen)


def _said(state: str | None, fen: int | None) -> str:
    return "-" if fen is None else f"{state or ''} {Money(fen).text}".strip()


async def show_ageing(as_json: bool) -> int:
    found = await queries.suspense_ageing(now=utc_now())
    if as_json:
        print(orjson.dumps([_ageing_document(each) for each in found]).decode())
    elif not found:
        print("nothing stands in suspense")
    else:
        titles = ("account", "balance", *BUCKETS, "unexplained")
        print(table(titles, [_ageing_row(each) for each in found]))
    return DIFFERENT if any(each.unexplained.fen for each in found) else AGREED


def _ageing_document(each: Ageing) -> dict[str, object]:
    buckets = [
        {"age": name, "count": count, "fen": amount.fen}
        for name, count, amount in zip(BUCKETS, each.counts, each.amounts, strict=True)
    ]
    return {
        "account": each.account,
        "balance_fen": each.balance.fen,
        "buckets": buckets,
        "unexplained_fen": each.unexplained.fen,
    }


def _ageing_row(each: Ageing) -> tuple[str, ...]:
    cells = [f"{amount.text} ({count})" for count, amount in zip(each.counts, each.amounts, strict=True)]
    return (each.account, each.balance.text, *cells, each.unexplained.text)


@contextmanager
def progress() -> Iterator[Tell]:
    """Give what shows how far a run is, on a terminal; it shows nothing where nobody looks."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed} lines"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        tasks: dict[str, TaskID] = {}

        def tell(doing: str, count: int) -> None:
            if doing not in tasks:
                # Both sides are known when they are compared; before that nobody knows how much there will be.
                total = max((bar.tasks[task].completed for task in tasks.values()), default=None)
                tasks[doing] = bar.add_task(doing, total=total if doing == "compare" else None)
            bar.update(tasks[doing], completed=count)

        yield tell


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day, such as 2026-05-20") from None


def _refuse(reason: str) -> int:
    print(f"youka: {reason}", file=sys.stderr)
    return REFUSED
