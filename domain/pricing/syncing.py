"""Prices of the price platform: taken once for each version, and published alone only where they move little."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from domain.events.streams import PRICES
from domain.pricing import sanity
from domain.pricing.operations import load_prices
from domain.pricing.ports import PriceDocumentRefused, PriceSource, PublishedPrices
from domain.pricing.queries import current
from domain.pricing.records import Change, PriceRecord
from domain.pricing.statements import hold
from kernel.clock import business_day
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.logs import get_logger
from kernel.states import HeldPriceState, Product
from models.database import transactional
from models.pricing import HeldPrice, PriceDocument, PriceZone

log = get_logger(__name__)

DOCUMENTS_PER_SYNC_MAX = 20
MOMENT = timedelta(microseconds=1)
HELD_SHOWN_MAX = 1_000

Clock = Callable[[], datetime]


class HeldPriceNotFound(YoukaError):
    code = "HELD_PRICE_NOT_FOUND"
    messages = {"zh-CN": "没有待审核的价格{id}", "en": "There is no held price {id}"}


class PriceDocumentChanged(YoukaError):
    """A version that was taken is another document now; which of them is right a person has to find out."""

    code = "PRICE_DOCUMENT_CHANGED"
    messages = {
        "zh-CN": "{province}的第{version}版价格文件与此前收到的不同",
        "en": "Version {version} of the prices of {province} is another document than before",
    }


class Taken(StrEnum):
    NEW = "new"
    KNOWN = "known"


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of one document."""

    taken: Taken
    published: int = 0
    held: int = 0
    refused: int = 0


async def sync(*, source: PriceSource, province_code: str, limit_basis_points: int, clock: Clock) -> list[Tally]:
    """Take what the platform has published since the last version that is known here, that one compared again.

    Raises PriceSourceUnavailable, PriceDocumentRefused or PriceDocumentChanged; documents before that one are taken.
    """
    last = await PriceDocument.filter(province_code=province_code).order_by("-version").first()
    documents = await source.documents(
        province_code=province_code, since_version=last.version if last else 0, limit=DOCUMENTS_PER_SYNC_MAX
    )
    return [await take(document=each, limit_basis_points=limit_basis_points, clock=clock) for each in documents]


@transactional
async def take(*, document: PublishedPrices, limit_basis_points: int, clock: Clock) -> Tally:
    """Publish a document's prices, and hold those that move too much. The same document again changes nothing.

    A price is compared with the one that is in force before its own moment, so that many small steps of one day are one
    large one. Raises PriceDocumentChanged or PriceDocumentRefused.
    """
    await hold(PRICES)
    now = clock()
    known = await PriceDocument.get_or_none(province_code=document.province_code, version=document.version)
    if known is not None:
        if known.digest != document.digest:
            raise PriceDocumentChanged(province=document.province_code, version=document.version)
        return Tally(Taken.KNOWN)
    if not sanity.is_plausible(document.adjusted_on, today=business_day(now)):
        raise PriceDocumentRefused(reason=f"the day of the adjustment is {document.adjusted_on.isoformat()}")
    moment = sanity.effective_from(document.adjusted_on)
    before = await _before(document, moment)
    await PriceDocument.create(
        id=new_id(),
        province_code=document.province_code,
        version=document.version,
        digest=document.digest,
        adjusted_on=document.adjusted_on,
        received_at=now,
    )
    good: list[PriceRecord] = []
    held = 0
    for record in document.prices:
        previous = before.get((record.zone_code, record.product))
        await _supersede(record, moment, now)
        if sanity.moves_too_much(
            milliyuan=record.milliyuan, previous_milliyuan=previous, limit_basis_points=limit_basis_points
        ):
            await _hold(record, previous, moment, document.version, now)
            held += 1
        else:
            good.append(record)
    outcomes = await load_prices(prices=good, effective_from=moment, clock=clock)
    refused = sum(each.change is Change.REFUSED for each in outcomes)
    tally = Tally(Taken.NEW, published=len(good) - refused, held=held, refused=refused)
    tell = log.warning if held or refused else log.info
    tell("prices.document_taken", province=document.province_code, version=document.version, held=held, refused=refused)
    return tally


async def _before(document: PublishedPrices, moment: datetime) -> dict[tuple[str, Product], int]:
    """Return what each zone's prices are just before the moment."""
    zones = {row.id: row.code for row in await PriceZone.filter(province_code=document.province_code)}
    prices = await current(zone_ids=zones, now=moment - MOMENT)
    return {(zones[zone_id], each.product): each.milliyuan for zone_id, found in prices.items() for each in found}


async def _supersede(record: PriceRecord, moment: datetime, now: datetime) -> None:
    """A held price that a newer document speaks of as well must not be released over it any more."""
    await HeldPrice.filter(
        province_code=record.province_code,
        zone_code=record.zone_code,
        product=record.product,
        effective_from=moment,
        state=HeldPriceState.HELD,
    ).update(state=HeldPriceState.SUPERSEDED, decided_at=now)


async def _hold(record: PriceRecord, previous: int | None, moment: datetime, version: int, now: datetime) -> None:
    await HeldPrice.create(
        id=new_id(),
        province_code=record.province_code,
        zone_code=record.zone_code,
        product=record.product,
        milliyuan_per_litre=record.milliyuan,
        previous_milliyuan=previous,
        effective_from=moment,
        source=record.source,
        source_url=record.source_url,
        version=version,
        state=HeldPriceState.HELD,
        held_at=now,
    )


async def held() -> Sequence[HeldPrice]:
    """Return the prices that wait for a person, the oldest first."""
    return await HeldPrice.filter(state=HeldPriceState.HELD).order_by("held_at", "id").limit(HELD_SHOWN_MAX)


@transactional
async def release(*, held_id: UUID, actor: str, clock: Clock) -> HeldPrice:
    """Publish a held price; whoever subscribes is told as of any other. Raises HeldPriceNotFound."""
    await hold(PRICES)
    row = await _decide(held_id, HeldPriceState.RELEASED, actor, None, clock())
    record = PriceRecord(
        province_code=row.province_code,
        zone_code=row.zone_code,
        product=row.product,
        milliyuan=row.milliyuan_per_litre,
        source=row.source,
        source_url=row.source_url,
    )
    (outcome,) = await load_prices(prices=[record], effective_from=row.effective_from, clock=clock)
    if outcome.change is Change.REFUSED:
        raise PriceDocumentRefused(reason=outcome.reason)
    return row


@transactional
async def refuse(*, held_id: UUID, actor: str, reason: str, now: datetime) -> HeldPrice:
    """Never publish a held price. Raises HeldPriceNotFound."""
    return await _decide(held_id, HeldPriceState.REFUSED, actor, reason, now)


async def _decide(held_id: UUID, state: HeldPriceState, actor: str, reason: str | None, now: datetime) -> HeldPrice:
    decided = await HeldPrice.filter(id=held_id, state=HeldPriceState.HELD).update(
        state=state, decided_by=actor, decided_at=now, reason=reason
    )
    if not decided:
        raise HeldPriceNotFound(id=held_id)
    return await HeldPrice.get(id=held_id)
