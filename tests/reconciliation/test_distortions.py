"""True books of several days, and bills that are distorted at random: exactly that is found and can be resolved."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from random import Random

import pytest

from domain.payments.bills import BillLine, BillLineKind
from kernel.states import DifferenceClass, PaymentState, RefundState
from models.orders import RechargeOrder
from tests.reconciliation.support import (
    CLEARING,
    DAY,
    FakeChannel,
    at,
    create_order,
    find_and_resolve,
    pay,
    pay_back,
    stranger,
    totals,
)

DAYS = [DAY + timedelta(days=number) for number in range(4)]
PAYMENTS = 30
Name = tuple[str, str]


def name_of(line: BillLine) -> Name:
    return line.kind.value, line.out_refund_no or line.out_trade_no


@dataclass
class Distorted:
    """What happened, what the bills say of it, and what of that is wrong."""

    draw: Random
    bills: dict[date, list[BillLine]] = field(default_factory=lambda: {day: [] for day in DAYS})
    expected: dict[Name, set[tuple[DifferenceClass, int]]] = field(default_factory=dict)

    def expect(self, line: BillLine, difference: DifferenceClass, amount_fen: int) -> None:
        sign = -1 if line.kind is BillLineKind.REFUND else 1
        self.expected.setdefault(name_of(line), set()).add((difference, sign * amount_fen))

    def tell(self, line: BillLine, day: date) -> None:
        """Put a true line into the bill of its day, or something else."""
        kinds = ["true"] * 5 + ["gone", "amount", "twice", "void", "day before", "day after", "two days after"]
        what = self.draw.choice(kinds)
        place = DAYS.index(day)
        if what == "gone":
            # The last day's rows still wait for a bill, so nothing is in suspense for them.
            self.expect(line, DifferenceClass.SHORT, -line.amount_fen)
        elif what == "amount":
            more = self.draw.choice([-1, 1]) * self.draw.randint(1, 99)
            self.bills[day].append(replace(line, amount_fen=line.amount_fen + more))
            self.expect(line, DifferenceClass.AMOUNT_DIFF, more)
        elif what == "twice":
            self.bills[day] += [line, replace(line, transaction_id=f"x{line.transaction_id}")]
            self.expect(line, DifferenceClass.DUPLICATE, line.amount_fen)
        elif what == "void":
            self.bills[day].append(replace(line, state="REVOKED"))
            self.expect(line, DifferenceClass.STATUS_DIFF, -line.amount_fen)
        else:
            move = {"day before": -1, "day after": 1, "two days after": 2}.get(what, 0)
            target = place + move
            self.bills[DAYS[target] if 0 <= target < len(DAYS) else day].append(line)

    def unknown_state(self, line: BillLine, day: date) -> None:
        """The bill has what our books say has not happened."""
        self.bills[day].append(line)
        self.expect(line, DifferenceClass.STATUS_DIFF, line.amount_fen)

    def strangers(self) -> None:
        for number in range(self.draw.randint(0, 5)):
            line = stranger(number, self.draw.randint(1, 10**6))
            self.bills[self.draw.choice(DAYS)].append(line)
            self.expect(line, DifferenceClass.LONG, line.amount_fen)


async def distort(order: RechargeOrder, draw: Random) -> Distorted:
    distorted = Distorted(draw)
    for number in range(1, PAYMENTS + 1):
        day = draw.choice(DAYS[:-1])
        when, amount_fen = at(day, draw.randint(0, 23), draw.randint(0, 59)), draw.randint(100, 500_000)
        if draw.random() < 0.1:
            state = PaymentState.CLOSED
            distorted.unknown_state(await pay(order, number, amount_fen, when, state=state), day)
            continue
        line = await pay(order, number, amount_fen, when)
        distorted.tell(line, day)
        if draw.random() < 0.3:
            back_day = draw.choice(DAYS[DAYS.index(day) : -1])
            if draw.random() < 0.2:
                pending = {"state": RefundState.PROCESSING, "settled_at": None}
                distorted.unknown_state(await pay_back(order, line, at(back_day), **pending), back_day)
            else:
                distorted.tell(await pay_back(order, line, at(back_day, 23)), back_day)
    distorted.strangers()
    for bill in distorted.bills.values():
        draw.shuffle(bill)
    return distorted


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("seed", range(3))
async def test_exactly_the_distortions_are_found_and_resolving_them_empties_suspense(seed: int, folder: Path) -> None:
    draw = Random(seed)
    distorted = await distort(await create_order(), draw)
    told_fen = sum(totals([line for line in bill if line.state == "SUCCESS"]) for bill in distorted.bills.values())
    channel = FakeChannel(bills=distorted.bills)
    await find_and_resolve(
        channel, folder, DAYS, draw, expected=distorted.expected, account=CLEARING, told_fen=told_fen
    )
