"""What this house has seen of its issuers: their deposits, and when they failed. Amounts are fen."""

from __future__ import annotations

from datetime import datetime

from domain.cards.ports import CardIssuer, IssuerUnavailable
from domain.cards.routing import Standing
from models.cards import IssuerStanding
from models.database import transactional

REASON_LENGTH_MAX = 128


async def standings() -> dict[str, Standing]:
    """Return what was last seen, by the issuers' names."""
    return {row.name: Standing(row.deposit_fen, row.unavailable_at) for row in await IssuerStanding.all()}


async def rows() -> list[IssuerStanding]:
    return await IssuerStanding.all().order_by("name")


@transactional
async def note_unavailable(*, name: str, reason: str, now: datetime) -> None:
    """Note that the issuer did not take what was sent, so that others go first for a while."""
    await _note(name, unavailable_at=now, reason=reason[:REASON_LENGTH_MAX])


@transactional
async def note_deposit(*, name: str, deposit_fen: int, now: datetime) -> None:
    await _note(name, deposit_fen=deposit_fen, deposit_at=now)


async def _note(name: str, **seen: object) -> None:
    fresh = IssuerStanding(name=name, reason="")
    await IssuerStanding.bulk_create([fresh], ignore_conflicts=True)
    await IssuerStanding.filter(name=name).update(**seen)


async def look(*, issuer: CardIssuer, now: datetime) -> int | None:
    """Ask the issuer for our deposit and note it; return it in fen, or None where it cannot be reached."""
    try:
        facts = await issuer.balance()
    except IssuerUnavailable as error:
        await note_unavailable(name=issuer.name, reason=str(error), now=now)
        return None
    await note_deposit(name=issuer.name, deposit_fen=facts.available_fen, now=now)
    return facts.available_fen
