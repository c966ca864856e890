"""Writing down what a pass finds: rows that are found again stay as they are, and those that have gone are closed.

What is open stands in suspense by balanced postings, each under a key of its own; the caller's pass holds its lease in
every transaction here. Where an account does not hold what is missing, the row waits for people all the same, and is
booked by a later run or with their decision.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from domain.events.alerts import raise_alert
from domain.events.streams import AlertKind
from domain.ledger import postings
from domain.ledger.operations import AccountOverdrawn, post
from domain.ledger.postings import Posting
from domain.reconciliation.books import books_of
from domain.reconciliation.rules import LIVE, Finding
from domain.reconciliation.runs import Pass
from kernel.ids import new_id
from kernel.states import BillEntryKind, DifferenceClass, DifferenceState, DifferenceStep
from models.database import transactional
from models.reconciliation import ReconciliationCrossing, ReconciliationDifference, ReconciliationStep

ACTOR = "system"
BATCH_SIZE = 200
GONE = (DifferenceState.SELF_RESOLVED, DifferenceState.OVERTAKEN)
MAY_GO = (*LIVE, DifferenceState.RESOLVED)

T = TypeVar("T")


async def _within_means(items: Sequence[T], work: Callable[[Sequence[T], bool], Awaitable[None]]) -> None:
    """Do the work in one transaction, or in smaller ones where that would overdraw an account.

    The work is told whether it may book; for the one thing whose account does not hold enough it may not.
    """
    try:
        await work(items, True)
    except AccountOverdrawn:
        if len(items) == 1:
            await work(items, False)
            return
        half = len(items) // 2
        await _within_means(items[:half], work)
        await _within_means(items[half:], work)


async def record(a_pass: Pass, day: date, findings: Sequence[Finding], *, grace: bool, now: datetime) -> None:
    """Write up to a batch of findings about one day's bill; with `grace` what is SHORT waits for the next day's."""
    await _within_means(findings, lambda some, books: _record(a_pass, day, some, grace=grace, books=books, now=now))


@transactional
async def _record(
    a_pass: Pass, day: date, findings: Sequence[Finding], *, grace: bool, books: bool, now: datetime
) -> None:
    await a_pass.hold()
    keys = {finding.name[1] for finding in findings}
    rows = await ReconciliationDifference.filter(
        source=a_pass.source, business_day=day, key__in=keys
    ).select_for_update()
    known = {(row.kind.value, row.key, row.difference_class, row.figures): row for row in rows}
    booked: list[Posting] = []
    opened: list[ReconciliationDifference] = []
    for finding in findings:
        row = known.get((*finding.name, finding.difference_class, finding.figures))
        waits = grace and finding.difference_class is DifferenceClass.SHORT
        if row is None:
            row = await _create(a_pass, day, finding, waits=waits, books=books, now=now)
            booked += suspend(row)
            opened.append(row)
        elif row.state in GONE:
            target = DifferenceState.WAITING if waits else DifferenceState.OPEN
            changes: dict[str, Any] = {"suspended": books and not waits, "opened_at": None if waits else now}
            await move(row, target, DifferenceStep.FOUND_AGAIN, now=now, round=row.round + 1, **changes)
            booked += suspend(row)
            opened.append(row)
    seen = {(*finding.name, finding.difference_class, finding.figures) for finding in findings}
    found = [row.id for name, row in known.items() if name in seen]
    await ReconciliationDifference.filter(id__in=found).update(seen_pass=a_pass.id, run_id=a_pass.run_id)
    await _post(booked, now)
    await _alert(opened, now)


@transactional
async def note(*, source: str, day: date, finding: Finding, found_by: UUID, now: datetime) -> None:
    """Write down one thing that somebody beside the runs has found, whose id is `found_by`, and suspend it."""
    found = Pass(found_by, source, day, found_by, timedelta(0))
    await _post(suspend(await _create(found, day, finding, waits=False, books=True, now=now)), now)


async def _create(
    a_pass: Pass, day: date, finding: Finding, *, waits: bool, books: bool, now: datetime
) -> ReconciliationDifference:
    book, bill = finding.book, finding.bill
    kind, key = finding.name
    row = await ReconciliationDifference.create(
        id=new_id(),
        source=a_pass.source,
        business_day=day,
        kind=BillEntryKind(kind),
        key=key,
        difference_class=finding.difference_class,
        figures=finding.figures,
        amount_fen=finding.amount_fen,
        book_fen=book.amount_fen if book else None,
        book_state=book.state if book else None,
        bill_fen=bill.amount_fen if bill else None,
        bill_state=bill.state if bill else None,
        bill_standing=bill.standing if bill else None,
        bill_moved_fen=bill.moved_fen if bill else None,
        reference=(bill or book).reference,  # type: ignore[union-attr]
        owner_id=UUID(book.owner) if book and book.owner else None,
        run_id=a_pass.run_id,
        seen_pass=a_pass.id,
        state=DifferenceState.WAITING if waits else DifferenceState.OPEN,
        suspended=books and not waits,
        round=1,
        version=1,
        reason="",
        found_at=now,
        opened_at=None if waits else now,
    )
    await tell(row, DifferenceStep.FOUND, before=None, actor=ACTOR, reason="", now=now)
    return row


async def move(
    row: ReconciliationDifference,
    state: DifferenceState,
    step: DifferenceStep,
    *,
    now: datetime,
    actor: str = ACTOR,
    why: str = "",
    **changes: Any,
) -> None:
    """Change a locked row, with a line of its story that says why.

    What somebody has proposed is void with every other change.
    """
    before = row.state
    values: dict[str, Any] = {"state": state, "version": row.version + 1, **changes}
    if state in (DifferenceState.OPEN, DifferenceState.WAITING):
        values |= {"outcome": None, "reason": "", "proposed_by": None, "proposed_at": None}
        values |= {"approved_by": None, "approved_at": None}
    await ReconciliationDifference.filter(id=row.id).update(**values)
    row.update_from_dict(values)
    await tell(row, step, before=before, actor=actor, reason=why, now=now)


async def tell(
    row: ReconciliationDifference,
    step: DifferenceStep,
    *,
    before: DifferenceState | None,
    actor: str,
    reason: str,
    now: datetime,
) -> None:
    await ReconciliationStep.create(
        id=new_id(),
        difference_id=row.id,
        version=row.version,
        step=step,
        from_state=before,
        to_state=row.state,
        amount_fen=row.amount_fen,
        outcome=row.outcome,
        actor=actor,
        reason=reason,
        occurred_at=now,
    )


def suspend(row: ReconciliationDifference) -> list[Posting]:
    """Return the posting that puts an open row's amount into suspense; none where no money is in it."""
    return [postings.suspended(**_accounts(row))] if row.suspended and row.amount_fen else []


def _accounts(row: ReconciliationDifference) -> dict[str, Any]:
    books = books_of(row.source)
    return {
        "difference_id": row.id,
        "number": row.round,
        "account": books.account,
        "party": books.party,
        "amount_fen": row.amount_fen,
    }


async def _post(booked: Sequence[Posting], now: datetime) -> None:
    if booked:
        await post(*booked, now=now)


async def _alert(rows: Sequence[ReconciliationDifference], now: datetime) -> None:
    """Tell staff of what waits for them from now on."""
    for row in rows:
        if row.state is DifferenceState.OPEN:
            await raise_alert(kind=AlertKind.DIFFERENCE, subject_id=row.id, now=now)


async def close(a_pass: Pass, ids: Sequence[UUID], *, reason: str, now: datetime) -> None:
    """Close rows that bill and books agree about by now: suspense is emptied again, and the row tells why.

    Where two people have decided already, and the books have moved as well, the same money is booked twice: a new row
    asks them to take back what they have decided. What an account cannot give back now stays for the next run.
    """
    await _within_means(ids, lambda some, books: _close(a_pass, some, reason=reason, books=books, now=now))


@transactional
async def _close(a_pass: Pass, ids: Sequence[UUID], *, reason: str, books: bool, now: datetime) -> None:
    await a_pass.hold()
    rows = ReconciliationDifference.filter(id__in=list(ids), state__in=MAY_GO).order_by("id").select_for_update()
    booked: list[Posting] = []
    opened: list[ReconciliationDifference] = []
    for row in await rows:
        if row.amount_fen and row.suspended:
            if not books:
                continue
            booked.append(postings.unsuspended(**_accounts(row)))
        if row.state is DifferenceState.RESOLVED:
            await move(row, DifferenceState.OVERTAKEN, DifferenceStep.OVERTAKEN, why=reason, now=now)
            opened += await _overtake(a_pass, row, now)
        else:
            await move(
                row,
                DifferenceState.SELF_RESOLVED,
                DifferenceStep.SELF_RESOLVED,
                why=reason,
                now=now,
                suspended=False,
            )
    await _post(booked, now)
    await _alert(opened, now)


async def _overtake(a_pass: Pass, row: ReconciliationDifference, now: datetime) -> list[ReconciliationDifference]:
    """Open what is to be taken back; closing the row has put its amount into suspense the other way round."""
    if not row.amount_fen:
        return []
    counter = await ReconciliationDifference.create(
        id=new_id(),
        source=row.source,
        business_day=row.business_day,
        kind=row.kind,
        key=row.key,
        difference_class=DifferenceClass.OVERTAKEN,
        figures=f"{row.id}:{row.round}",
        amount_fen=-row.amount_fen,
        reference=row.reference,
        owner_id=row.owner_id,
        run_id=a_pass.run_id,
        seen_pass=a_pass.id,
        state=DifferenceState.OPEN,
        suspended=True,
        round=1,
        version=1,
        reason="",
        found_at=now,
        opened_at=now,
    )
    reason = f"was decided as {row.outcome}" if row.outcome else ""
    await tell(counter, DifferenceStep.FOUND, before=None, actor=ACTOR, reason=reason, now=now)
    return [counter]


async def end_grace(a_pass: Pass, ids: Sequence[UUID], *, now: datetime) -> None:
    """Open what has waited for the next day's bill, which does not have it either."""
    await _within_means(ids, lambda some, books: _end_grace(a_pass, some, books=books, now=now))


@transactional
async def _end_grace(a_pass: Pass, ids: Sequence[UUID], *, books: bool, now: datetime) -> None:
    await a_pass.hold()
    rows = ReconciliationDifference.filter(id__in=list(ids), state=DifferenceState.WAITING).order_by("id")
    booked: list[Posting] = []
    opened = await rows.select_for_update()
    for row in opened:
        await move(row, DifferenceState.OPEN, DifferenceStep.GRACE_OVER, now=now, suspended=books, opened_at=now)
        booked += suspend(row)
    await _post(booked, now)
    await _alert(opened, now)


async def suspend_late(a_pass: Pass, ids: Sequence[UUID], *, now: datetime) -> None:
    """Book open rows into suspense whose account holds enough by now; the others stay as they are."""
    await _within_means(ids, lambda some, books: _suspend_late(a_pass, some if books else [], now=now))


@transactional
async def _suspend_late(a_pass: Pass, ids: Sequence[UUID], *, now: datetime) -> None:
    await a_pass.hold()
    rows = ReconciliationDifference.filter(id__in=list(ids), state=DifferenceState.OPEN, suspended=False)
    booked: list[Posting] = []
    for row in await rows.order_by("id").select_for_update():
        await move(row, DifferenceState.OPEN, DifferenceStep.SUSPENDED, now=now, suspended=True)
        booked += suspend(row)
    await _post(booked, now)


@transactional
async def note_crossings(a_pass: Pass, day: date, names: Collection[tuple[str, str]]) -> None:
    """Keep which keys the bill of this day has that our books have on another."""
    await a_pass.hold()
    crossings = [
        ReconciliationCrossing(
            id=new_id(), source=a_pass.source, kind=BillEntryKind(kind), key=key, bill_day=day, seen_pass=a_pass.id
        )
        for kind, key in names
    ]
    await ReconciliationCrossing.bulk_create(
        crossings,
        on_conflict=("source", "kind", "key", "bill_day"),
        update_fields=("seen_pass",),
    )


async def crossed(source: str, keys: Collection[str], *, besides: date | None = None) -> set[tuple[str, str]]:
    """Return the kinds and keys among these that bills of other days have; `besides` is a day that does not count."""
    crossings = ReconciliationCrossing.filter(source=source, key__in=list(keys))
    if besides:
        crossings = crossings.exclude(bill_day=besides)
    rows = await crossings.values_list("kind", "key")
    return {(BillEntryKind(kind).value, str(key)) for kind, key in rows}
