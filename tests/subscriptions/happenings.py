"""What happens in the house, for tests of what subscribers hear of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from domain.events import purging
from domain.events.operations import append
from domain.events.streams import STATIONS, EventType, arrivals_stream
from domain.identity.staff import Staff
from domain.orders import cases, reviewing
from domain.orders.lifecycle import Trigger
from domain.orders.transitions import advance, lock
from domain.pricing.operations import load_prices
from domain.pricing.records import PriceRecord
from domain.work import operations as work
from domain.work.operations import Kind
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.states import Product, RechargeState, StationBrand
from models.database import transactional
from models.jobs import Job
from models.orders import RechargeAttempt, RechargeOrder
from models.pricing import PriceZone
from models.reviews import ManualCase, Review
from models.stations import Station
from tests.subscriptions.support import all_published, eventually

DAY = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
WAY_TO_SUCCESS = (Trigger.START_PAYMENT, Trigger.CONFIRM_PAYMENT, Trigger.SUBMIT_RECHARGE, Trigger.CONFIRM_RECHARGE)


@transactional
async def arrive(order: RechargeOrder, now: datetime | None = None) -> None:
    """Append what the end of a recharge appends."""
    await append(
        stream=arrivals_stream(order.user_id),
        type=EventType.RECHARGE_ARRIVED,
        payload={"order_id": str(order.id), "card_id": str(order.card_id), "amount_fen": order.amount_fen},
        now=now or utc_now(),
    )


@transactional
async def step(order_id: UUID, *triggers: Trigger, now: datetime | None = None) -> None:
    order = await lock(order_id)
    for trigger in triggers:
        await advance(order, trigger, actor="tests", now=now or utc_now())


@transactional
async def recharge(order: RechargeOrder) -> None:
    """Take the order to its success, in one transaction and one moment with the arrival."""
    now = utc_now()
    await RechargeAttempt.create(
        id=new_id(), order_id=order.id, user_id=order.user_id, number=1, issuer="card_issuer",
        state=RechargeState.SUCCEEDED, cost_fen=order.amount_fen, issuer_order_id=str(order.id), submitted_at=now,
        settled_at=now,
    )  # fmt: skip
    await step(order.id, *WAY_TO_SUCCESS, now=now)
    await arrive(order, now)


async def create_zone(code: str) -> PriceZone:
    return await PriceZone.create(id=new_id(), province_code="530000", province_name="云南省", code=code, name=code)


async def create_station(zone: PriceZone | None, *, latitude: float = 25.0, longitude: float = 102.7) -> Station:
    identifier = new_id()
    station = await Station.create(
        id=identifier, source_key=str(identifier), name="加油站", brand=StationBrand.SINOPEC, address="",
        province="云南省", city="", district="", latitude=latitude, longitude=longitude, zone=zone,
        created_at=utc_now(), updated_at=utc_now(),
    )  # fmt: skip
    await tell_of(station)
    return station


@transactional
async def tell_of(station: Station) -> None:
    payload = {"station_ids": [str(station.id)]}
    await append(stream=STATIONS, type=EventType.STATIONS_CHANGED, payload=payload, now=utc_now())


@transactional
async def move(station: Station, zone: PriceZone | None) -> None:
    """Do what an import does where a region has come into another zone."""
    await Station.filter(id=station.id).update(zone_id=zone.id if zone else None)
    await tell_of(station)


async def change_price(zone: PriceZone, product: Product, milliyuan: int, *, days_ago: int) -> None:
    record = PriceRecord(
        province_code=zone.province_code, zone_code=zone.code, product=product, milliyuan=milliyuan,
        source="tests", source_url="https://prices.example/1",
    )  # fmt: skip
    await load_prices(prices=[record], effective_from=DAY - timedelta(days=days_ago), clock=utc_now)


@transactional
async def await_review(order: RechargeOrder) -> Review:
    """Begin the review of an order that is over the limit."""
    await reviewing.open_review(order, deadline_at=utc_now() + timedelta(hours=1), now=utc_now())
    return await Review.get(order_id=order.id)


async def open_case(staff: Staff, order: RechargeOrder) -> ManualCase:
    """Propose to reverse an order that has succeeded."""
    return await cases.open_reversal(staff=staff, order_id=order.id, reason="a letter", now=utc_now())


async def park_work() -> Job:
    """Let a worker give up on a piece of work."""
    key = uuid4().hex

    @transactional
    async def plan() -> None:
        now = utc_now()
        await work.schedule(kind=Kind.QUERY_PAYMENT, key=key, payload={"out_trade_no": key}, due_at=now, now=now)

    await plan()
    jobs = await work.claim(owner="tests", limit=100, lease=timedelta(minutes=1), now=utc_now() + timedelta(seconds=1))
    (job,) = (job for job in jobs if job.key == key)
    await work.park(job, reason="nobody answers", now=utc_now())
    return await Job.get(id=job.id)


async def forget_history() -> None:
    """Delete every event that was sent, as if it had grown old."""
    await eventually(all_published)
    while await purging.purge(before=utc_now() + timedelta(days=1), limit=1_000):
        pass
