"""What channels pay out: booked once for each merchant and day of trade, after the day's bill was compared.

What arrives under the day's reference at the bank is compared with what the bill has cleared, less its fees; what
differs stands in suspense as a difference of the escrow account, for two people.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from tortoise.exceptions import IntegrityError

from domain.ledger import postings
from domain.ledger.operations import post
from domain.payments.banks import Arrival, Bank
from domain.payments.ports import PaymentChannel
from domain.reconciliation import differences
from domain.reconciliation.rules import Finding, Standing, entry
from domain.reconciliation.sources import ChannelSource
from domain.work.operations import Kind, schedule
from kernel.clock import business_day
from kernel.ids import new_id
from kernel.states import BillEntryKind, DifferenceClass, ReconciliationState
from models.database import transactional
from models.funds import FundSettlement
from models.reconciliation import ReconciliationRun

CATCH_UP_DAYS_MAX = 31


class NotCleared(Exception):
    """The bill of the day was not compared to its end yet, or it is another one by now."""


class NotArrived(Exception):
    """The bank has nothing of it yet."""


class SettlementOwed(Exception):
    """The day leaves nothing to pay out: refunds and fees were more. Somebody has to see what the channel does."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """What a day's bill has cleared, in fen: payments less refunds, and the fees on them."""

    gross_fen: int
    fee_fen: int

    @property
    def net_fen(self) -> int:
        return self.gross_fen - self.fee_fen


def reference_of(channel: str, sub_mchid: str, day: date) -> str:
    """Return what a settlement is known by, in our books and in the bank's flow."""
    return f"{channel}:{sub_mchid}:{day.isoformat()}"


async def cleared(*, channel: PaymentChannel, day: date, folder: Path) -> Cleared:
    """Return what a day's bill has cleared. Raises NotCleared, and what asking for the bill raises."""
    source = ChannelSource(channel)
    runs = ReconciliationRun.filter(source=source.name, business_day=day, state=ReconciliationState.DONE)
    run = await runs.order_by("-begun_at").first()
    if run is None:
        raise NotCleared(f"the bill of {source.name} of {day} was not compared yet")
    with tempfile.TemporaryDirectory(dir=folder) as place:
        bill = Path(place) / "bill"
        await channel.fetch_bill(day=day, into=bill)
        found = await asyncio.to_thread(_sum, channel, bill, day)
    if found.gross_fen != run.bill_fen:
        raise NotCleared(f"the bill of {source.name} of {day} is not the one that was compared")
    return found


def _sum(channel: PaymentChannel, bill: Path, day: date) -> Cleared:
    gross_fen = fee_fen = 0
    settled = ChannelSource(channel)
    for read, line in zip(settled.read(bill, day=day), channel.read_bill(bill), strict=True):
        if read.standing == Standing.SETTLED:
            gross_fen, fee_fen = gross_fen + read.moved_fen, fee_fen + line.fee_fen
    return Cleared(gross_fen, fee_fen)


async def settle(
    *, channel: PaymentChannel, bank: Bank, day: date, folder: Path, now: datetime
) -> FundSettlement | None:
    """Book what a channel has paid out for a day, once; None where there was nothing to pay.

    Raises NotCleared, NotArrived, SettlementOwed, BankUnavailable, and what asking for the bill raises.
    """
    key: dict[str, Any] = {"channel": channel.name, "sub_mchid": channel.sub_mchid, "business_day": day}
    done = await FundSettlement.get_or_none(**key)
    if done is not None:
        return done
    found = await cleared(channel=channel, day=day, folder=folder)
    if not found.gross_fen and not found.fee_fen:
        return None
    if found.gross_fen <= 0 or found.net_fen <= 0:
        raise SettlementOwed(f"{channel.name} {channel.sub_mchid} {day}: {found.net_fen} fen")
    arrival = await bank.arrival(reference_of(channel.name, channel.sub_mchid, day))
    if arrival is None:
        raise NotArrived(reference_of(channel.name, channel.sub_mchid, day))
    try:
        return await _book(channel.name, channel.sub_mchid, day, found, arrival, now)
    except IntegrityError:
        # Of two who come upon it at once the database lets one book it.
        return await FundSettlement.get(**key)


@transactional
async def _book(
    channel: str, sub_mchid: str, day: date, found: Cleared, arrival: Arrival, now: datetime
) -> FundSettlement:
    reference = reference_of(channel, sub_mchid, day)
    row = await FundSettlement.create(
        id=new_id(),
        channel=channel,
        sub_mchid=sub_mchid,
        business_day=day,
        reference=reference,
        bank_reference=arrival.bank_reference,
        gross_fen=found.gross_fen,
        fee_fen=found.fee_fen,
        arrived_fen=arrival.amount_fen,
        occurred_at=now,
    )
    expected = postings.settled(
        reference=reference,
        clearing=postings.channel_clearing(channel, sub_mchid),
        amount_fen=found.gross_fen,
        fee_fen=found.fee_fen,
    )
    await post(expected, now=now)
    if arrival.amount_fen != found.net_fen:
        await differences.note(
            source=postings.ESCROW_OPERATING,
            day=business_day(now),
            finding=_difference(reference, found, arrival),
            found_by=row.id,
            now=now,
        )
    return row


def _difference(reference: str, found: Cleared, arrival: Arrival) -> Finding:
    """Return what a bank's flow with this line would be found to differ in, so that both are one difference."""
    book, bill = (
        entry(BillEntryKind.TRANSFER, reference, Standing.SETTLED, state="BOOKED", amount_fen=amount, effect_fen=amount)
        for amount in (found.net_fen, arrival.amount_fen)
    )
    return Finding(DifferenceClass.AMOUNT_DIFF, book, bill)


@transactional
async def schedule_days(*, sources: Iterable[str], now: datetime) -> int:
    """Write down the work of every day whose bill was compared and whose payout is not booked; return how many."""
    since, count = business_day(now) - timedelta(days=CATCH_UP_DAYS_MAX), 0
    for source in sources:
        channel, _, sub_mchid = source.partition(":")
        runs = ReconciliationRun.filter(source=source, state=ReconciliationState.DONE, business_day__gte=since)
        booked = FundSettlement.filter(channel=channel, sub_mchid=sub_mchid, business_day__gte=since)
        known = set(await booked.values_list("business_day", flat=True))
        days = set(await runs.values_list("business_day", flat=True)) - known
        for day in sorted(days):
            await schedule(
                kind=Kind.SETTLE,
                key=f"{source}:{day}",
                payload={"source": source, "day": str(day)},
                due_at=now,
                now=now,
            )
        count += len(days)
    return count
