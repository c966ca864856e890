"""The work of funds, and its commands: transfers at the bank, the sweep of the day, and what channels pay out."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from uuid import UUID

import orjson

from domain.funds import operations, queries, sending, settling, sweeping
from domain.funds.moving import EscrowInsufficient
from domain.funds.policy import Policy
from domain.funds.queries import Position
from domain.funds.rules import BASIS_POINTS
from domain.orders.ports import ThirdParties
from domain.payments.banks import Bank, BankUnavailable
from domain.payments.bills import BillNotReady, BillRefused
from domain.payments.ports import ChannelRefused, ChannelUnavailable, PaymentChannel, merchant_name
from domain.work.operations import Kind
from domain.work.rules import backoff_s
from jobs.commands import on_database
from jobs.reconciliation import folder_of
from jobs.recurring import RecurringHandler
from jobs.tables import table
from jobs.worker import Handler, NeedsPerson
from kernel.clock import SHANGHAI, business_day, utc_now
from kernel.logs import get_logger
from kernel.money import Money
from kernel.sealing import Sealer
from kernel.settings import Settings, get_settings
from models.funds import FundSweep
from models.jobs import Job

DAY = timedelta(days=1)
KEPT, BROKEN = 0, 1
# What may be otherwise the next time.
FOR_LATER = (
    settling.NotCleared,
    settling.NotArrived,
    EscrowInsufficient,
    BankUnavailable,
    BillNotReady,
    BillRefused,
    ChannelUnavailable,
    ChannelRefused,
)

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FundWork:
    settings: Settings
    third_parties: ThirdParties
    sealer: Sealer

    def by_kind(self) -> Mapping[str, Handler]:
        return {
            Kind.SEND_TRANSFER: self.send_transfer,
            Kind.EXPIRE_TRANSFER: self.expire_transfer,
            Kind.SETTLE: self.settle,
        }

    def recurring(self) -> Mapping[str, RecurringHandler]:
        return {Kind.SWEEP: self.sweep, Kind.SCHEDULE_SETTLEMENTS: self.schedule_settlements}

    async def send_transfer(self, job: Job, now: datetime) -> datetime | None:
        transfer_id = UUID(job.payload["transfer_id"])
        try:
            over = await sending.push(transfer_id=transfer_id, bank=self._bank(), sealer=self.sealer, now=now)
        except BankUnavailable as error:
            # It may have been carried out: it is asked for, and never given up by a machine.
            log.warning("transfer.unknown", transfer=str(transfer_id), reason=str(error))
            over = False
        except sending.BankContradiction as error:
            raise NeedsPerson(str(error)) from error
        if over:
            return None
        if job.attempts + 1 >= self.settings.transfer_queries_max:
            raise NeedsPerson("the bank does not say what has become of the transfer")
        return self._later(job, now, self.settings.transfer_query_first_s)

    async def expire_transfer(self, job: Job, now: datetime) -> datetime | None:
        await operations.expire(transfer_id=UUID(job.payload["transfer_id"]), now=now)
        return None

    async def sweep(self, job: Job, now: datetime) -> datetime:
        """Sweep once each business day, from the hour of the settings on."""
        today = business_day(now)
        due_at = datetime.combine(today, time(self.settings.sweep_hour), SHANGHAI)
        if now < due_at:
            return due_at
        if self.third_parties.platforms.bank is not None:
            row = await sweeping.sweep(policy=Policy.of(self.settings), now=now)
            log.info("escrow.swept", day=str(row.business_day), amount_fen=row.amount_fen)
        return due_at + DAY

    async def schedule_settlements(self, job: Job, now: datetime) -> datetime:
        if self.third_parties.platforms.bank is not None:
            await settling.schedule_days(sources=sorted(self._channels()), now=now)
        return now + timedelta(seconds=self.settings.settlement_interval_s)

    async def settle(self, job: Job, now: datetime) -> datetime | None:
        name, day = job.payload["source"], date.fromisoformat(job.payload["day"])
        channel = self._channels().get(name)
        if channel is None:
            raise NeedsPerson(f"this deployment has no channel {name}")
        folder = folder_of(self.settings)
        try:
            bank = self._bank()
            booked = await settling.settle(channel=channel, bank=bank, day=day, folder=folder, now=now)
            if booked is not None:
                # What has arrived would lie in the operating account until tomorrow.
                await sweeping.sweep(policy=Policy.of(self.settings), now=now, settlement=booked)
        except settling.SettlementOwed as error:
            raise NeedsPerson(str(error)) from error
        except FOR_LATER as error:
            if job.attempts + 1 >= self.settings.settlement_attempts_max:
                raise NeedsPerson(f"{name} of {day} is not settled: {type(error).__name__}") from error
            return self._later(job, now, self.settings.settlement_retry_first_s)
        return None

    def _bank(self) -> Bank:
        bank = self.third_parties.platforms.bank
        if bank is None:
            raise NeedsPerson("this deployment has no bank (YOUKA_BANK_URL)")
        return bank

    def _channels(self) -> Mapping[str, PaymentChannel]:
        return {merchant_name(each): each for each in self.third_parties.channels.merchants}

    @staticmethod
    def _later(job: Job, now: datetime, first_s: float) -> datetime:
        return now + timedelta(seconds=backoff_s(job.attempts + 1, first_s=first_s))


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the commands; each sets `run`, which returns 0, or 1 where the reserve has less than its share."""
    command = subparsers.add_parser("sweep", help="do the sweep of today between the escrow accounts, once")
    command.add_argument("--json", action="store_true", help="print it as JSON")
    command.set_defaults(run=lambda given: on_database(lambda: sweep(given.json)))

    command = subparsers.add_parser("escrow", help="show what lies in escrow, and whether the reserve has its share")
    command.add_argument("--json", action="store_true", help="print it as JSON")
    command.set_defaults(run=lambda given: on_database(lambda: show(given.json)))


async def sweep(as_json: bool) -> int:
    """Do the sweep of today; what it moves is sent by the worker."""
    policy, now = Policy.of(get_settings()), utc_now()
    try:
        row = await sweeping.sweep(policy=policy, now=now)
    except EscrowInsufficient as error:
        print(f"youka: {error.message('en')}; sweep again")
        return BROKEN
    print(orjson.dumps(_document(row)).decode() if as_json else _text(row))
    return _verdict(await queries.position(policy=policy, now=now))


def _document(row: FundSweep) -> dict[str, object]:
    return {
        "day": row.business_day.isoformat(),
        "forecast_fen": row.forecast_fen,
        "operating_fen": row.operating_fen,
        "reserve_fen": row.reserve_fen,
        "target_fen": row.target_fen,
        "amount_fen": row.amount_fen,
        "transfer": str(row.transfer_id) if row.transfer_id else None,
    }


def _text(row: FundSweep) -> str:
    amount = Money(abs(row.amount_fen)).text
    if row.amount_fen > 0:
        said = f"{amount} goes into the reserve"
    else:
        said = f"{amount} out of the reserve is proposed" if row.amount_fen else "nothing is to be moved"
    forecast = "no history" if row.forecast_fen is None else f"a forecast of {Money(row.forecast_fen).text}"
    return f"{row.business_day}: {said}; {forecast}, {Money(row.target_fen).text} should lie in the operating account"


async def show(as_json: bool) -> int:
    """Print the position of escrow."""
    found = await queries.position(policy=Policy.of(get_settings()), now=utc_now())
    escrow = found.escrow
    figures = {
        "operating": escrow.operating_fen,
        "reserve": escrow.reserve_fen,
        "held for withdrawals": escrow.withdrawing_fen,
        "on its way to the reserve": escrow.to_reserve_fen,
        "held to leave the reserve": escrow.from_reserve_fen,
        "the reserve's least": found.reserve_min_fen,
    }
    if as_json:
        document = {name.replace(" ", "_").replace("'s", ""): fen for name, fen in figures.items()}
        print(orjson.dumps({**document, "keeps_the_reserve": found.keeps_the_reserve}).decode())
    else:
        print(table(("part", "amount"), [(name, Money(fen).text) for name, fen in figures.items()]))
        share = escrow.in_reserve_fen * BASIS_POINTS // escrow.total_fen if escrow.total_fen else BASIS_POINTS
        print(f"the reserve has {share / 100:.2f}% of what is not spoken for")
    return _verdict(found)


def _verdict(found: Position) -> int:
    return KEPT if found.keeps_the_reserve else BROKEN
