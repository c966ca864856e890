"""Looking after the card issuers: their deposits by the clock, and how they stand."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from domain.cards import standings
from domain.cards.ports import Issuers
from domain.cards.routing import UNSEEN, is_resting
from domain.orders.policy import Policy
from domain.work.operations import Kind
from gateways.assembly import third_parties
from gateways.key_source import ThirdPartySettingsWrong
from jobs.commands import UNUSABLE, on_database
from jobs.recurring import RecurringHandler
from jobs.tables import table
from kernel.clock import utc_now
from kernel.logs import get_logger
from kernel.settings import Settings, get_settings
from models.jobs import Job

log = get_logger(__name__)

STATUS_TITLES = ("issuer", "deposit fen", "reached", "rests", "last failure")


@dataclass(frozen=True, slots=True)
class IssuerWork:
    settings: Settings
    issuers: Issuers

    def recurring(self) -> Mapping[str, RecurringHandler]:
        return {Kind.WATCH_ISSUERS: self.watch}

    async def watch(self, job: Job, now: datetime) -> datetime:
        """Note every issuer's deposit, by which orders are routed, and say where one is low."""
        for issuer in self.issuers.all:
            deposit_fen = await standings.look(issuer=issuer, now=now)
            if deposit_fen is not None and deposit_fen < self.settings.issuer_deposit_reserve_fen:
                log.warning("issuer.deposit_low", issuer=issuer.name, deposit_fen=deposit_fen)
        return now + timedelta(seconds=self.settings.issuer_watch_interval_s)


@dataclass(frozen=True, slots=True)
class IssuerStatus:
    """How one issuer stands: its deposit in fen as it says now, and its last failure as this house has seen it."""

    issuer: str
    deposit_fen: int | None
    reached: bool
    low: bool
    rests: bool
    unavailable_at: str | None
    reason: str


def add_commands(commands: Any) -> None:
    status = commands.add_parser("issuer-status", help="ask each card issuer for our deposit, and say how it stands")
    status.add_argument("--json", action="store_true", help="one object per issuer")
    status.set_defaults(run=lambda arguments: _with_issuers(arguments, _status))


def _with_issuers(arguments: argparse.Namespace, command: Any) -> int:
    """Run a command that asks issuers; return 2 where the settings do not let it."""

    async def run() -> int:
        async with third_parties(get_settings()) as parties:
            return int(await command(arguments, parties.issuers))

    try:
        return on_database(run)
    except ThirdPartySettingsWrong as error:
        print(f"youka: {error}", file=sys.stderr)
        return UNUSABLE


async def _status(arguments: argparse.Namespace, issuers: Issuers) -> int:
    """Print how each issuer stands. Return 1 where one cannot be reached or has less than the reserve."""
    found = [await _status_of(issuers, name) for name in [issuer.name for issuer in issuers.all]]
    if arguments.json:
        print(json.dumps([asdict(each) for each in found], indent=2))
    else:
        print(table(STATUS_TITLES, [_cells(each) for each in found]))
    return int(any(each.low or not each.reached for each in found))


async def _status_of(issuers: Issuers, name: str) -> IssuerStatus:
    settings, now = get_settings(), utc_now()
    deposit_fen = await standings.look(issuer=issuers.of(name), now=now)
    seen = {row.name: row for row in await standings.rows()}
    row, standing = seen[name], (await standings.standings()).get(name, UNSEEN)
    return IssuerStatus(
        issuer=name,
        deposit_fen=deposit_fen,
        reached=deposit_fen is not None,
        low=deposit_fen is not None and deposit_fen < settings.issuer_deposit_reserve_fen,
        rests=is_resting(standing, rules=Policy.of(settings).routing, now=now),
        unavailable_at=row.unavailable_at.isoformat() if row.unavailable_at else None,
        reason=row.reason,
    )


def _cells(status: IssuerStatus) -> tuple[str, ...]:
    deposit = "?" if status.deposit_fen is None else f"{status.deposit_fen}{' (low)' if status.low else ''}"
    failure = f"{status.unavailable_at} {status.reason}" if status.unavailable_at else "-"
    return status.issuer, deposit, "yes" if status.reached else "no", "yes" if status.rests else "no", failure
