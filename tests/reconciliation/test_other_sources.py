"""Bills of an issuer and of a bank, distorted at random: exactly that is found, and resolving it empties suspense."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from domain.cards.ports import IssuerBillLine as BillLine
from domain.cards.ports import IssuerOrderState
from domain.ledger import postings
from domain.ledger.postings import Line, Posting
from domain.payments.bills import BillNotReady
from domain.reconciliation.books import books_of
from domain.reconciliation.rules import Entry
from domain.reconciliation.sources import BankFlow, of_issuer, read_whole
from kernel.ids import new_id
from kernel.money import Money
from kernel.states import BillEntryKind, DifferenceClass, ErrorKind, RechargeState
from models.orders import RechargeAttempt, RechargeOrder
from models.reviews import ErrorEntry
from tests.ledger.booking import book
from tests.reconciliation.support import DAY, at, create_order, find_and_resolve

DAYS = [DAY + timedelta(days=number) for number in range(4)]
LINES = 40
ISSUER = "ofpay"
MOVES = {"day before": -1, "day after": 1, "two days after": 2}
Name = tuple[str, str]


@dataclass
class Bills:
    """What a third party tells of each day, and what of it is wrong: by name, the class and the amount in fen."""

    draw: Random
    days: dict[date, list[Any]] = field(default_factory=lambda: {day: [] for day in DAYS})
    expected: dict[Name, set[tuple[DifferenceClass, int]]] = field(default_factory=dict)

    def expect(self, entry: Entry, difference: DifferenceClass, amount_fen: int) -> None:
        self.expected.setdefault(entry.name, set()).add((difference, amount_fen))

    def place(self, line: Any, day: date, what: str) -> None:
        """Put a line into the bill of its day, or of one near it."""
        target = DAYS.index(day) + MOVES.get(what, 0)
        self.days[DAYS[target] if 0 <= target < len(DAYS) else day].append(line)

    def distorted(self, line: Any, entry: Entry, day: date, ways: dict[str, Any]) -> None:
        """Tell a true line, which `entry` is, as it is or in one of the ways that all bills or those of a kind have."""
        what = self.draw.choice(["true"] * 4 + ["gone", "twice", *MOVES, *ways])
        if what == "gone":
            self.expect(entry, DifferenceClass.SHORT, -entry.effect_fen)
        elif what == "twice":
            self.days[day] += [line, line]
            self.expect(entry, DifferenceClass.DUPLICATE, entry.effect_fen)
        elif what in ways:
            other, amount_fen = ways[what]
            self.days[day].append(other)
            self.expect(entry, DifferenceClass.AMOUNT_DIFF, amount_fen)
        else:
            self.place(line, day, what)

    def shuffle(self) -> None:
        for bill in self.days.values():
            self.draw.shuffle(bill)


@dataclass
class FakeIssuer:
    bills: Bills
    name: str = f"issuer:{ISSUER}"

    async def fetch(self, *, day: date, into: Path) -> None:
        into.write_bytes(orjson.dumps(self.bills.days[day]))  # noqa: ASYNC240 -- a few lines.

    def read(self, path: Path, *, day: date) -> Iterator[Entry]:
        assert orjson.loads(path.read_bytes()) == orjson.loads(orjson.dumps(self.bills.days[day]))
        return read_whole(map(of_issuer, self.bills.days[day]))

    def told_fen(self) -> int:
        return sum(of_issuer(line).effect_fen for bill in self.bills.days.values() for line in bill)


async def recharge(number: int, cost_fen: int, when: datetime, state: RechargeState) -> tuple[RechargeOrder, BillLine]:
    """Recharge an order, booked at its cost, and return it with what a true bill says of it."""
    order = await create_order()
    attempt = await RechargeAttempt.create(
        id=new_id(), order_id=order.id, user_id=order.user_id, number=1, issuer=ISSUER,
        issuer_order_id=f"S{number:04d}", state=state, cost_fen=cost_fen, submitted_at=when, settled_at=when,
    )  # fmt: skip
    if state is not RechargeState.REFUSED:
        await deposit(f"{attempt.id}:recharged", -cost_fen, when)
    return order, BillLine(attempt.id, f"S{number:04d}", IssuerOrderState.SUCCEEDED, order.amount_fen, cost_fen)


async def deposit(key: str, fen: int, when: datetime) -> None:
    lines = (Line(postings.issuer_prepaid(ISSUER), fen), Line(postings.LOSS, -fen))
    await book(Posting(key, None, None, lines), now=when)


async def issuer_bills(draw: Random) -> FakeIssuer:
    bills = Bills(draw)
    for number in range(1, LINES + 1):
        day, cost_fen = draw.choice(DAYS[:-1]), draw.randint(40_000, 49_999)
        when, kind = at(day, draw.randint(0, 23), draw.randint(0, 59)), draw.random()
        if kind < 0.1:
            _, line = await recharge(number, cost_fen, when, RechargeState.REFUSED)
            bills.days[day].append(line)
            bills.expect(of_issuer(line), DifferenceClass.STATUS_DIFF, -cost_fen)
            continue
        state = draw.choice([RechargeState.SUCCEEDED, RechargeState.SURPLUS])
        order, line = await recharge(number, cost_fen, when, RechargeState.REVERSED if kind < 0.3 else state)
        more = draw.choice([-1, 1]) * draw.randint(1, 99)
        bills.distorted(
            line,
            of_issuer(line),
            day,
            {
                "cost": (replace(line, cost_fen=cost_fen + more), -more),
                "face value": (replace(line, amount_fen=line.amount_fen + more), 0),
            },
        )
        if kind < 0.3:
            await take_back(bills, order, line, draw.choice(DAYS[DAYS.index(day) : -1]))
    for number in range(draw.randint(1, 4)):
        line = BillLine(new_id(), f"X{number}", IssuerOrderState.SUCCEEDED, 50_000, draw.randint(1, 50_000))
        bills.days[draw.choice(DAYS)].append(line)
        bills.expect(of_issuer(line), DifferenceClass.LONG, -line.cost_fen)
    bills.shuffle()
    return FakeIssuer(bills)


async def take_back(bills: Bills, order: RechargeOrder, line: BillLine, day: date) -> None:
    """Have the issuer take a recharge back, as our books have it and as a bill may tell of it."""
    when = at(day, 23, 59)
    await ErrorEntry.create(
        id=new_id(), key=f"{ErrorKind.RECHARGE_REVERSED}:{line.attempt_id}", kind=ErrorKind.RECHARGE_REVERSED,
        order_id=order.id, user_id=order.user_id, amount_fen=order.amount_fen, detail="", occurred_at=when,
    )  # fmt: skip
    await deposit(f"{line.attempt_id}:taken_back", line.cost_fen, when)
    back = replace(line, state=IssuerOrderState.REVERSED)
    more = bills.draw.randint(1, 99)
    bills.distorted(back, of_issuer(back), day, {"cost": (replace(back, cost_fen=line.cost_fen + more), more)})


@dataclass
class FakeBank:
    """The real reader over files that a test writes; a line is a reference and its fen."""

    bills: Bills
    name: str = postings.ESCROW_OPERATING

    async def fetch(self, *, day: date, into: Path) -> None:
        if day not in self.bills.days:
            raise BillNotReady(day.isoformat())
        bill = self.bills.days[day]
        lines = [f"{reference},{Money(fen).yuan}\n" for reference, fen in bill]
        total = f"total,{len(bill)},{Money(sum(fen for _, fen in bill)).yuan}\n"
        into.write_text(f"reference,yuan\n{''.join(lines)}{total}")  # noqa: ASYNC240 -- a few lines.

    def read(self, path: Path, *, day: date) -> Iterator[Entry]:
        return BankFlow(self.name).read(path, day=day)

    def told_fen(self) -> int:
        return sum(fen for bill in self.bills.days.values() for _, fen in bill)


def moved(reference: str, fen: int) -> Entry:
    return Entry(BillEntryKind.TRANSFER.value, reference, "SETTLED", "BOOKED", abs(fen), fen, "", "")


async def bank_bills(draw: Random) -> FakeBank:
    bills, clearing = Bills(draw), postings.channel_clearing("wechat_pay", "1900000209")
    # There is enough for whatever is missing; tests of overdrafts see to the rest.
    first = postings.settled(reference="FIRST", clearing=clearing, amount_fen=100_000_000, fee_fen=0)
    await book(first, now=at(DAYS[0], 0, 0))
    bills.days[DAYS[0]].append(("FIRST", 100_000_000))
    for number in range(1, LINES + 1):
        reference, fen, day = f"R{number:04d}", draw.randint(100, 500_000), draw.choice(DAYS[:-1])
        when = at(day, draw.randint(0, 23), draw.randint(0, 59))
        if draw.random() < 0.4:
            posting = postings.swept(reference=reference, into=postings.ESCROW_RESERVE, amount_fen=fen)
            fen = -fen
        else:
            posting = postings.settled(reference=reference, clearing=clearing, amount_fen=fen, fee_fen=0)
        await book(posting, now=when)
        more = draw.choice([-1, 1]) * draw.randint(1, 99)
        bills.distorted((reference, fen), moved(reference, fen), day, {"amount": ((reference, fen + more), more)})
    for number in range(draw.randint(1, 4)):
        fen = draw.choice([-1, 1]) * draw.randint(1, 10**6)
        bills.days[draw.choice(DAYS)].append((f"X{number}", fen))
        bills.expect(moved(f"X{number}", fen), DifferenceClass.LONG, fen)
    bills.shuffle()
    return FakeBank(bills)


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("make", [issuer_bills, bank_bills])
async def test_exactly_the_distortions_are_found_and_resolving_them_empties_suspense(
    make: Any, seed: int, folder: Path
) -> None:
    source = await make(Random(seed))
    await find_and_resolve(
        source,
        folder,
        DAYS,
        Random(seed),
        expected=source.bills.expected,
        account=books_of(source.name).account,
        told_fen=source.told_fen(),
    )
