"""Who sends bills: what fetches one, and how its lines are read as entries."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from domain.cards.ports import (
    CardIssuer,
    IssuerBillLine,
    IssuerBillNotReady,
    IssuerBillRefused,
    IssuerOrderState,
    IssuerUnavailable,
)
from domain.payments.bills import BillLine, BillLineKind, BillNotReady, BillRefused
from domain.payments.ports import ChannelUnavailable, PaymentChannel, merchant_name
from domain.reconciliation.rules import Entry, Standing, entry
from kernel.clock import business_day
from kernel.money import Money
from kernel.states import BillEntryKind

# The channels' own words: WeChat Pay "交易状态" and "退款状态", Alipay "业务类型", whose lines are of what is done.
PAID_WORDS = frozenset({"SUCCESS", "交易"})
REFUNDED_WORDS = frozenset({"SUCCESS", "退款"})
PENDING_WORDS = frozenset({"PROCESSING"})

BANK_HEADER = ["reference", "yuan"]
BANK_TOTAL = "total"
BANK_YUAN = re.compile(r"-?\d{1,12}\.\d{2}", re.ASCII)


class BillSource(Protocol):
    """One third party whose bill of a business day is compared with our books.

    `fetch` raises BillNotReady, BillRefused, and what its channel or issuer raises where it cannot be asked. `read`
    raises BillRefused, possibly behind lines that were good, and where its lines are those of another day.
    """

    @property
    def name(self) -> str: ...

    async def fetch(self, *, day: date, into: Path) -> None: ...

    def read(self, path: Path, *, day: date) -> Iterator[Entry]: ...


@dataclass(frozen=True, slots=True)
class ChannelSource:
    """The trade bill of one merchant of a payment channel."""

    channel: PaymentChannel

    @property
    def name(self) -> str:
        return merchant_name(self.channel)

    async def fetch(self, *, day: date, into: Path) -> None:
        await self.channel.fetch_bill(day=day, into=into)

    def read(self, path: Path, *, day: date) -> Iterator[Entry]:
        return read_whole(map(of_channel, of_day(self.channel.read_bill(path), day)))


@dataclass(frozen=True, slots=True)
class IssuerSource:
    """The bill of a card issuer. A recharge that it took back is a line of its own, beside that of the recharge."""

    issuer: CardIssuer

    @property
    def name(self) -> str:
        return f"issuer:{self.issuer.name}"

    async def fetch(self, *, day: date, into: Path) -> None:
        try:
            await self.issuer.fetch_bill(day, into)
        except IssuerBillNotReady as error:
            raise BillNotReady(str(error)) from error
        except IssuerBillRefused as error:
            raise BillRefused(str(error)) from error
        except IssuerUnavailable as error:
            raise ChannelUnavailable(str(error)) from error

    def read(self, path: Path, *, day: date) -> Iterator[Entry]:
        return read_whole(map(of_issuer, self._lines(path)))

    def _lines(self, path: Path) -> Iterator[IssuerBillLine]:
        try:
            yield from self.issuer.read_bill(path)
        except IssuerBillRefused as error:
            raise BillRefused(str(error)) from error


@dataclass(frozen=True, slots=True)
class BankFlow:
    """The flow of an escrow account, which the bank gives as a file: `reference,yuan`, and a last line with the total.

    Money that arrives is positive. The reference is the one that a settlement or a sweep was booked under.
    """

    name: str

    async def fetch(self, *, day: date, into: Path) -> None:
        raise BillNotReady(f"the flow of {self.name} comes as a file")

    def read(self, path: Path, *, day: date) -> Iterator[Entry]:
        return read_whole(_bank_lines(path))


def read_whole(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Pass the lines on. Raises BillRefused for one that nobody could compare."""
    try:
        yield from entries
    except ValueError as error:
        raise BillRefused(str(error)) from None


def of_day(lines: Iterable[BillLine], day: date) -> Iterator[BillLine]:
    """Pass the lines on. Raises BillRefused behind the last one where there are payments and none was made on the day:
    that is the bill of another one. A single stray line is a difference, and no reason to believe nothing of it."""
    payments, of_the_day = 0, 0
    for line in lines:
        if line.kind is BillLineKind.PAYMENT:
            payments += 1
            of_the_day += business_day(line.occurred_at) == day
        yield line
    if payments and not of_the_day:
        raise BillRefused("the bill is of another day")


def of_channel(line: BillLine) -> Entry:
    """Return a channel's line as an entry. Raises ValueError."""
    if line.kind is BillLineKind.REFUND:
        return entry(
            BillEntryKind.REFUND,
            line.out_refund_no or "",
            _standing(line.state, REFUNDED_WORDS),
            state=line.state,
            amount_fen=line.amount_fen,
            effect_fen=-line.amount_fen,
            reference=line.refund_id or "",
        )
    return entry(
        BillEntryKind.PAYMENT,
        line.out_trade_no,
        _standing(line.state, PAID_WORDS),
        state=line.state,
        amount_fen=line.amount_fen,
        effect_fen=line.amount_fen,
        reference=line.transaction_id,
    )


def of_issuer(line: IssuerBillLine) -> Entry:
    """Return an issuer's line as an entry: its face value, and what it cost of our deposit. Raises ValueError."""
    taken_back = line.state is IssuerOrderState.REVERSED
    return entry(
        BillEntryKind.REVERSAL if taken_back else BillEntryKind.RECHARGE,
        str(line.attempt_id),
        Standing.SETTLED,
        state=line.state.value,
        amount_fen=line.amount_fen,
        effect_fen=line.cost_fen if taken_back else -line.cost_fen,
        reference=line.issuer_order_id,
    )


def _standing(state: str, settled: frozenset[str]) -> Standing:
    if state in settled:
        return Standing.SETTLED
    return Standing.PENDING if state in PENDING_WORDS else Standing.VOID


def _bank_lines(path: Path) -> Iterator[Entry]:
    """Read a bank's file. Raises BillRefused where it is cut off or altered."""
    count, total_fen = 0, 0
    with path.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file, strict=True)
        if next(lines, None) != BANK_HEADER:
            raise BillRefused("the file does not begin with its columns")
        for line in lines:
            if line[:1] == [BANK_TOTAL]:
                if line[1:] != [str(count), Money(total_fen).yuan] or next(lines, None) is not None:
                    raise BillRefused("the total is not that of the lines")
                return
            if len(line) != len(BANK_HEADER) or not BANK_YUAN.fullmatch(line[1]):
                raise BillRefused("a line is not one of a bank's flow")
            amount_fen = Money.from_yuan(Decimal(line[1])).fen
            count, total_fen = count + 1, total_fen + amount_fen
            yield entry(
                BillEntryKind.TRANSFER,
                line[0],
                Standing.SETTLED,
                state="BOOKED",
                amount_fen=abs(amount_fen),
                effect_fen=amount_fen,
            )
    raise BillRefused("the file has no end")
