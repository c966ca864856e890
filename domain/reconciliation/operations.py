"""Comparing a bill with our books: fetched whole, sorted in files, merged in one pass, written down in small steps.

Nothing is written before the bill was read to its end, so one that is cut off or altered leaves nothing behind. A crash
leaves at most some of the findings, and the next pass finds the same rows again.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from domain.payments.bills import BillRefused
from domain.reconciliation import differences, runs
from domain.reconciliation.books import Books, books_of
from domain.reconciliation.differences import BATCH_SIZE, MAY_GO
from domain.reconciliation.rules import BILL_HAS_IT, LIVE, Entry, Finding, Standing, compare, merge
from domain.reconciliation.runs import Clock, Pass
from domain.reconciliation.sorting import Sorter
from domain.reconciliation.sources import BillSource
from kernel.clock import SHANGHAI
from kernel.states import DifferenceClass, DifferenceState, ReconciliationState
from models.database import transactional
from models.reconciliation import ReconciliationCrossing, ReconciliationDifference, ReconciliationRun

CHUNK_SIZE = 20_000
LOOK_UP_SIZE = 500
DIGEST_CHUNK_BYTES = 1024 * 1024
DAY = timedelta(days=1)
RECHECKED_FOR = timedelta(days=90)
AGREED = "bill and books agree by now"

T = TypeVar("T")
# What the run is doing, and how many lines of that are done.
Tell = Callable[[str, int], None]


class TooManyDifferences(Exception):
    """More than anybody could look at: the bill or the books are somebody else's. No difference was written."""


@dataclass(frozen=True, slots=True)
class Limits:
    lines_in_memory_max: int
    differences_max: int
    lease: timedelta


@dataclass(slots=True)
class Tally:
    """What one pass has met; `candidates` are lines of one side alone, until they were looked up."""

    matched: int = 0
    findings: list[Finding] = field(default_factory=list)


def silent(_doing: str, _count: int) -> None:
    """Tell nobody."""


async def reconcile(
    *,
    source: BillSource,
    day: date,
    folder: Path,
    limits: Limits,
    owner: str,
    clock: Clock,
    bill: Path | None = None,
    tell: Tell = silent,
) -> ReconciliationRun:
    """Compare a source's bill of a business day with our books, and return the run. The bill is fetched where none is
    given. Running it again changes nothing that is still so.

    Raises BillNotReady, BillRefused, ChannelUnavailable, ChannelRefused, RunBusy, RunLost, TooManyDifferences or
    UnknownSource; then the day is not reconciled and may be tried again.
    """
    books = books_of(source.name)
    with tempfile.TemporaryDirectory(prefix="reconcile-", dir=folder, ignore_cleanup_errors=True) as name:
        work = Path(name)
        path = bill or work / "bill"
        try:
            if bill is None:
                await source.fetch(day=day, into=path)
            digest = await asyncio.to_thread(_digest, path)
            a_pass = await runs.begin(
                source=source.name, day=day, digest=digest, lease=limits.lease, owner=owner, clock=clock
            )
            try:
                return await _Comparing(source, books, a_pass, day, work, limits, tell).run(path)
            except Exception as error:
                await runs.stop(a_pass, reason=type(error).__name__, now=clock())
                raise
        except BillRefused as error:
            await runs.refuse(source=source.name, day=day, reason=str(error), now=clock())
            raise


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(DIGEST_CHUNK_BYTES):
            found.update(chunk)
    return found.hexdigest()


@dataclass(slots=True)
class _Comparing:
    """One pass over one bill."""

    source: BillSource
    books: Books
    a_pass: Pass
    day: date
    folder: Path
    limits: Limits
    tell: Tell

    async def run(self, path: Path) -> ReconciliationRun:
        since = datetime.combine(self.day, time(), SHANGHAI)
        bill = Sorter(self.folder, "bill", lines_max=self.limits.lines_in_memory_max)
        mine = Sorter(self.folder, "books", lines_max=self.limits.lines_in_memory_max)
        await self._sort(bill, self.source.read(path, day=self.day), "bill")
        async for page in self.books.of_day(since=since, until=since + DAY):
            await asyncio.to_thread(mine.add, page)
            await self._step("books", mine.count)
        tally = Tally()
        rechecked, checked = await self._recheck()
        await self._merge(mine, bill, tally)
        await self._record(self.day, tally.findings)
        for day, findings in checked.items():
            await self._record(day, findings)
        await self._close_what_went(rechecked)
        await self._end_grace()
        await self._suspend_what_is_left()
        return await self._finish(bill, mine, tally)

    async def _sort(self, sorter: Sorter, entries: Iterator[Entry], doing: str) -> None:
        with _interruptible(entries) as lines:
            before = -1
            while sorter.count != before:
                before = sorter.count
                await asyncio.to_thread(lambda: sorter.add(islice(lines, CHUNK_SIZE)))
                await self._step(doing, sorter.count)

    async def _step(self, doing: str, count: int) -> None:
        self.tell(doing, count)
        await self.a_pass.keep()

    async def _merge(self, mine: Sorter, bill: Sorter, tally: Tally) -> None:
        """Compare both sides. What only one of them has is looked up with the others of its chunk."""
        pairs = merge(mine.sorted(), bill.sorted())
        done = 0
        with _interruptible(pairs) as steps:
            while chunk := await asyncio.to_thread(_differing, steps):
                done += chunk.count
                tally.matched += chunk.matched
                tally.findings += chunk.findings
                for names in _batches(chunk.long):
                    await self._look_up_bill(names, tally)
                for alone in _batches(chunk.short):
                    await self._look_up_books(alone, tally)
                if len(tally.findings) > self.limits.differences_max:
                    raise TooManyDifferences(self.source.name)
                await self._step("compare", done)

    async def _look_up_bill(self, groups: Sequence[list[Entry]], tally: Tally) -> None:
        """Lines of the bill that our books of the day do not have: of another day, not settled, or unknown to us."""
        found = await self.books.by_names([lines[0].name for lines in groups])
        for lines in groups:
            findings = compare(found.get(lines[0].name), lines)
            tally.findings += findings
            tally.matched += not findings
        known = [lines[0].name for lines in groups if lines[0].name in found]
        if known:
            await differences.note_crossings(self.a_pass, self.day, known)

    async def _look_up_books(self, alone: Sequence[Entry], tally: Tally) -> None:
        """Rows of ours that the bill of the day does not have: in the bill of another day, or nowhere."""
        keys = [line.key for line in alone]
        crossed = await differences.crossed(self.source.name, keys, besides=self.day)
        tally.matched += sum(line.name in crossed for line in alone)
        tally.findings += [Finding(DifferenceClass.SHORT, line, None) for line in alone if line.name not in crossed]

    def _of_other_days(self) -> QuerySet[ReconciliationDifference]:
        """Rows that may go although no bill of their day is looked at; what was decided long ago stays decided."""
        lately = Q(state=DifferenceState.RESOLVED) & Q(business_day__gte=self.day - RECHECKED_FOR)
        rows = ReconciliationDifference.filter(Q(state__in=list(LIVE)) | lately, source=self.source.name)
        return rows.exclude(business_day=self.day)

    async def _recheck(self) -> tuple[set[UUID], dict[date, list[Finding]]]:
        """Compare what earlier bills had with our books again, which may have caught up with them since.

        Returns the rows that were looked at, and by day what is different still.
        """
        rows = await self._of_other_days().filter(difference_class__in=list(BILL_HAS_IT))
        still: dict[date, list[Finding]] = {}
        for some in _batches(rows):
            found = await self.books.by_names([(row.kind.value, row.key) for row in some])
            by_day: dict[date, list[tuple[str, str]]] = {}
            for row in some:
                book = found.get((row.kind.value, row.key))
                still.setdefault(row.business_day, []).extend(compare(book, [_bill_entry(row)]))
                if book:
                    by_day.setdefault(row.business_day, []).append((row.kind.value, row.key))
            for day, names in by_day.items():
                await differences.note_crossings(self.a_pass, day, names)
        return {row.id for row in rows}, still

    async def _record(self, day: date, findings: Sequence[Finding]) -> None:
        grace = not await self._grace_is_over(day)
        for some in _batches(findings, BATCH_SIZE):
            await differences.record(self.a_pass, day, some, grace=grace, now=self.a_pass.clock())

    async def _grace_is_over(self, day: date) -> bool:
        return day + DAY == self.day or await runs.is_done(source=self.source.name, day=day + DAY)

    async def _close_what_went(self, rechecked: set[UUID]) -> None:
        """Close what this pass has looked at and not found again."""
        await self._drop_crossings()
        unseen = ReconciliationDifference.filter(state__in=MAY_GO).exclude(seen_pass=self.a_pass.id)
        today = unseen.filter(source=self.source.name, business_day=self.day)
        gone = await _ids(today.exclude(difference_class=DifferenceClass.OVERTAKEN))
        for some in _batches(sorted(rechecked)):
            gone += await _ids(unseen.filter(id__in=list(some)))
        short = self._of_other_days().filter(difference_class=DifferenceClass.SHORT)
        for rows in _batches(await short):
            crossed = await differences.crossed(self.source.name, [row.key for row in rows])
            gone += [row.id for row in rows if (row.kind.value, row.key) in crossed]
        for ids in _batches(gone, BATCH_SIZE):
            await differences.close(self.a_pass, ids, reason=AGREED, now=self.a_pass.clock())

    async def _drop_crossings(self) -> None:
        """Forget what an earlier bill of this day had and this one has not."""
        gone = ReconciliationCrossing.filter(source=self.source.name, bill_day=self.day).exclude(
            seen_pass=self.a_pass.id
        )

        async def drop() -> None:
            await self.a_pass.hold()
            await gone.delete()

        await transactional(drop)()

    async def _end_grace(self) -> None:
        waiting = await ReconciliationDifference.filter(source=self.source.name, state=DifferenceState.WAITING)
        for day in sorted({row.business_day for row in waiting}):
            if await self._grace_is_over(day):
                ids = [row.id for row in waiting if row.business_day == day]
                for some in _batches(ids, BATCH_SIZE):
                    await differences.end_grace(self.a_pass, some, now=self.a_pass.clock())

    async def _suspend_what_is_left(self) -> None:
        """Book what an account has not held when it was opened, where it does by now."""
        rows = ReconciliationDifference.filter(source=self.source.name, state=DifferenceState.OPEN, suspended=False)
        for ids in _batches(await _ids(rows.exclude(amount_fen=0)), BATCH_SIZE):
            await differences.suspend_late(self.a_pass, ids, now=self.a_pass.clock())

    async def _finish(self, bill: Sorter, mine: Sorter, tally: Tally) -> ReconciliationRun:
        counts = Counter(finding.difference_class.value for finding in tally.findings)
        now = self.a_pass.clock()

        async def finish() -> ReconciliationRun:
            await self.a_pass.hold()
            await ReconciliationRun.filter(id=self.a_pass.run_id).update(
                state=ReconciliationState.DONE,
                lease_owner=None,
                lease_until=None,
                finished_at=now,
                bill_line_count=bill.count,
                book_line_count=mine.count,
                matched_count=tally.matched,
                difference_count=len(tally.findings),
                bill_fen=bill.moved_fen,
                book_fen=mine.moved_fen,
                counts=dict(counts),
            )
            return await ReconciliationRun.get(id=self.a_pass.run_id)

        return await transactional(finish)()


@dataclass(slots=True)
class _Chunk:
    """What is not the same on both sides, among so many keys."""

    count: int = 0
    matched: int = 0
    findings: list[Finding] = field(default_factory=list)
    long: list[list[Entry]] = field(default_factory=list)
    short: list[Entry] = field(default_factory=list)


def _differing(pairs: Iterator[tuple[Entry | None, list[Entry]]]) -> _Chunk | None:
    """Go through the next keys, and return what is to be looked at; None behind the last."""
    chunk = _Chunk()
    for book, bill in islice(pairs, CHUNK_SIZE):
        chunk.count += 1
        if book is None:
            chunk.long.append(bill)
        elif not bill:
            chunk.short.append(book)
        else:
            findings = compare(book, bill)
            chunk.findings += findings
            chunk.matched += not findings
    return chunk if chunk.count else None


def _bill_entry(row: ReconciliationDifference) -> Entry:
    """Return what the bill had said, as far as it matters for comparing it again."""
    moved_fen, standing = row.bill_moved_fen or 0, row.bill_standing or Standing.VOID.value
    return Entry(
        row.kind.value, row.key, standing, row.bill_state or "", row.bill_fen or 0, moved_fen, row.reference, ""
    )


@contextmanager
def _interruptible(iterator: Iterator[T]) -> Iterator[Iterator[T]]:
    """Give an iterator that ends where its user has ended: a thread that still reads it stops at its next line."""
    over = False

    def until_over() -> Iterator[T]:
        for each in iterator:
            if over:
                return
            yield each

    try:
        yield until_over()
    finally:
        over = True


async def _ids(rows: QuerySet[ReconciliationDifference]) -> list[UUID]:
    return [row.id for row in await rows.only("id")]


def _batches(rows: Sequence[T], size: int = LOOK_UP_SIZE) -> Iterator[Sequence[T]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
