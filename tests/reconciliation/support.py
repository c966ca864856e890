"""Books, bills that a test writes itself, and the run between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Any

import orjson

from domain.ledger import audit as ledger
from domain.ledger import postings
from domain.ledger.postings import Whose
from domain.ledger.queries import balance
from domain.payments.bills import BillLine, BillLineKind, BillNotReady, BillRefused
from domain.reconciliation import audit
from domain.reconciliation.books import books_of
from domain.reconciliation.deciding import approve, propose
from domain.reconciliation.operations import Limits, reconcile
from domain.reconciliation.queries import suspense_ageing
from domain.reconciliation.rules import Entry
from domain.reconciliation.sources import BillSource, of_channel, read_whole
from kernel.clock import SHANGHAI, utc_now
from kernel.ids import new_id, numbered, short_text
from kernel.states import (
    DifferenceClass,
    DifferenceOutcome,
    DifferenceState,
    FailureKind,
    OrderState,
    PaymentState,
    RefundState,
    ReviewState,
)
from models.orders import RechargeOrder
from models.payments import PaymentAttempt, Refund
from models.reconciliation import ReconciliationDifference, ReconciliationRun
from tests.factories import create_card, create_staff, create_viewer, sign
from tests.ledger.booking import book

CHANNEL, SUB_MCHID = "wechat_pay", "1900000209"
SOURCE = f"{CHANNEL}:{SUB_MCHID}"
CLEARING = postings.channel_clearing(CHANNEL, SUB_MCHID)
DAY = date(2026, 5, 20)
LIMITS = Limits(lines_in_memory_max=7, differences_max=1_000, lease=timedelta(seconds=30))


def at(day: date, hour: int = 12, minute: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute), SHANGHAI)


@dataclass
class FakeChannel:
    """A source whose bills are what a test says, written line by line with a count at the end."""

    name: str = SOURCE
    bills: dict[date, list[BillLine]] = field(default_factory=dict)
    cut_off: bool = False
    on_line: Callable[[int], None] = lambda _number: None

    async def fetch(self, *, day: date, into: Path) -> None:
        if day not in self.bills:
            raise BillNotReady(day.isoformat())
        lines = [orjson.dumps(line) for line in self.bills[day]]
        end = b"" if self.cut_off else b"%d" % len(lines)
        into.write_bytes(b"\n".join([*lines, end]))  # noqa: ASYNC240 -- a few lines.

    def read(self, path: Path, *, day: date) -> Iterator[Entry]:
        return read_whole(map(of_channel, self._lines(path)))

    def _lines(self, path: Path) -> Iterator[BillLine]:
        *lines, end = path.read_bytes().split(b"\n")
        for number, line in enumerate(lines):
            self.on_line(number)
            found = orjson.loads(line)
            found |= {"kind": BillLineKind(found["kind"]), "occurred_at": datetime.fromisoformat(found["occurred_at"])}
            yield BillLine(**found)
        if end != b"%d" % len(lines):
            raise BillRefused("the bill has no end")


async def run(
    source: BillSource, folder: Path, day: date = DAY, *, limits: Limits = LIMITS, now: datetime | None = None
) -> ReconciliationRun:
    moment = now or utc_now()
    return await reconcile(source=source, day=day, folder=folder, limits=limits, owner="test", clock=lambda: moment)


async def create_order() -> RechargeOrder:
    viewer = await create_viewer()
    card = await create_card(viewer)
    return await RechargeOrder.create(
        id=new_id(),
        user_id=viewer.user_id,
        card_id=card.id,
        amount_fen=50_000,
        price_fen=50_000,
        state=OrderState.FAILED,
        failure_kind=FailureKind.UNPAID,
        version=1,
        refund_state=RefundState.NONE,
        review_state=ReviewState.NONE,
        pay_deadline_at=at(DAY),
        created_at=at(DAY),
        updated_at=at(DAY),
    )


async def pay(order: RechargeOrder, number: int, amount_fen: int, when: datetime, **changes: object) -> BillLine:
    """Pay an attempt of the order, booked as the house books it, and return what a true bill says of it."""
    values: dict[str, Any] = {"state": PaymentState.PAID, "settled_at": when, **changes}
    identifier = new_id()
    attempt = await PaymentAttempt.create(
        id=identifier,
        order_id=order.id,
        user_id=order.user_id,
        number=number,
        channel=CHANNEL,
        sub_mchid=SUB_MCHID,
        out_trade_no=numbered(identifier, 1),
        amount_fen=amount_fen,
        transaction_id=f"42{short_text(identifier)}",
        created_at=when,
        **values,
    )
    if attempt.state is PaymentState.PAID:
        whose = Whose(order.id, order.user_id)
        await book(postings.paid(whose, attempt=number, source=CLEARING, amount_fen=amount_fen), now=when)
    return payment_line(attempt.out_trade_no, amount_fen, when, transaction_id=attempt.transaction_id or "")


async def pay_back(order: RechargeOrder, paid: BillLine, when: datetime, **changes: object) -> BillLine:
    """Refund a payment, booked as the house books it, and return what a true bill says of it."""
    attempt = await PaymentAttempt.get(out_trade_no=paid.out_trade_no)
    values: dict[str, Any] = {"state": RefundState.SUCCESS, "settled_at": when, **changes}
    refund = await Refund.create(
        id=new_id(),
        order_id=order.id,
        attempt_id=attempt.id,
        user_id=order.user_id,
        out_refund_no=f"R{attempt.out_trade_no}",
        amount_fen=attempt.amount_fen,
        created_at=when,
        channel_refund_id=f"50{attempt.out_trade_no}",
        **values,
    )
    if refund.state is RefundState.SUCCESS:
        whose = Whose(order.id, order.user_id)
        await book(
            postings.failed(whose, attempt=attempt.number, amount_fen=attempt.amount_fen),
            postings.refunded(whose, attempt=attempt.number, source=CLEARING, amount_fen=attempt.amount_fen),
            now=when,
        )
    return replace(
        paid,
        kind=BillLineKind.REFUND,
        out_refund_no=refund.out_refund_no,
        refund_id=refund.channel_refund_id,
        occurred_at=when,
    )


def payment_line(out_trade_no: str, amount_fen: int, when: datetime, *, transaction_id: str = "42") -> BillLine:
    return BillLine(
        kind=BillLineKind.PAYMENT,
        out_trade_no=out_trade_no,
        transaction_id=transaction_id,
        out_refund_no=None,
        refund_id=None,
        sub_mchid=SUB_MCHID,
        state="SUCCESS",
        amount_fen=amount_fen,
        fee_fen=0,
        occurred_at=when,
    )


def stranger(number: int, amount_fen: int = 12_300, day: date = DAY) -> BillLine:
    """A payment that our books have never heard of."""
    return payment_line(f"STRANGER{number:06d}", amount_fen, at(day))


def totals(lines: Sequence[BillLine]) -> int:
    """Return what the lines make of the channel's clearing, in fen."""
    return sum(-line.amount_fen if line.kind is BillLineKind.REFUND else line.amount_fen for line in lines)


async def find_and_resolve(
    source: BillSource,
    folder: Path,
    days: Sequence[date],
    draw: Random,
    *,
    expected: Mapping[tuple[str, str], Set[tuple[DifferenceClass, int]]],
    account: str,
    told_fen: int,
) -> None:
    """Compare every day: exactly what is expected is found, again and again, and resolving all of it empties suspense.

    `told_fen` is what the bills make of the party's account.
    """
    suspense = postings.suspense(books_of(source.name).party)
    for day in days:
        await run(source, folder, day)
    rows = await ReconciliationDifference.filter(state__not=DifferenceState.SELF_RESOLVED)
    found: dict[tuple[str, str], set[tuple[DifferenceClass, int]]] = {}
    for row in rows:
        found.setdefault((row.kind.value, row.key), set()).add((row.difference_class, row.amount_fen))
    assert found == expected
    assert {row.state for row in rows} == {DifferenceState.OPEN}
    assert await audit.findings() == []
    # Together with what is in suspense, the account is what the bills say that the party has.
    assert (await balance(account)).fen == told_fen
    for _ in range(2):
        for day in draw.sample(days, len(days)):
            await run(source, folder, day)
    again = await ReconciliationDifference.filter(state__not=DifferenceState.SELF_RESOLVED).values_list("id", "version")
    assert sorted(again) == sorted((row.id, row.version) for row in rows)
    maker, checker = await create_staff(), await create_staff()
    for row in rows:
        # Only what came in can be owed to somebody; what is missing is a loss.
        outcome = draw.choice(list(DifferenceOutcome)) if row.amount_fen > 0 else DifferenceOutcome.WRITE_OFF
        wish = {"difference_id": row.id, "reason": "seen", "now": utc_now()}
        waiting = await propose(staff=maker, version=row.version, outcome=outcome, **wish)  # type: ignore[arg-type]
        await approve(signature=await sign(checker), version=waiting.version, **wish)  # type: ignore[arg-type]
    assert (await balance(suspense)).fen == 0
    assert await suspense_ageing(now=utc_now()) == []
    assert [*await ledger.findings(), *await audit.findings()] == []
