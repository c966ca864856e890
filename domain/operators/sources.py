"""The rows of every table that belong to one order; each is found by an index, and bounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from domain.actions import queries as actions
from domain.events.streams import EventType, arrivals_stream, order_stream
from domain.operators.statements import notices_about
from domain.work.operations import Kind
from kernel.states import MessageTemplate
from models.events import Event
from models.jobs import Job, JobIntervention
from models.ledger import LedgerAccount, LedgerEntry, LedgerTransaction
from models.messages import OutgoingMessage
from models.orders import OrderTransition, RechargeAttempt, RechargeOrder
from models.payments import PaymentAttempt, Refund, ThirdPartyNotice
from models.reconciliation import ReconciliationDifference, ReconciliationStep
from models.reviews import ErrorEntry, FaceCheck, ManualCase, Review
from models.staff_actions import StaffAction

# Of a user's arrivals so many are looked through for that of the order.
ARRIVALS_MAX = 500
WORK_OF_ORDERS = (
    *(Kind.EXPIRE_ORDER, Kind.QUERY_PAYMENT, Kind.SUBMIT_RECHARGE, Kind.QUERY_RECHARGE, Kind.FOLLOW_RECHARGE),
    *(Kind.REFUND, Kind.EXPIRE_REVIEW, Kind.CAPTURE_WALLET, Kind.SETTLE_DEDUCTION, Kind.APPLY_NOTICE),
)


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One line of one posting of the order; positive fen debit the account."""

    posting_key: str
    shard: int
    position: int
    line_number: int
    account: str
    amount_fen: int
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Sources:
    """What the tables have; `complete` says whether none of them had more than was read."""

    steps: Sequence[OrderTransition]
    payments: Sequence[PaymentAttempt]
    face_checks: Sequence[FaceCheck]
    recharges: Sequence[RechargeAttempt]
    refunds: Sequence[Refund]
    callbacks: Sequence[ThirdPartyNotice]
    ledger: Sequence[LedgerLine]
    errors: Sequence[ErrorEntry]
    differences: Sequence[ReconciliationStep]
    reviews: Sequence[Review]
    cases: Sequence[ManualCase]
    interventions: Sequence[JobIntervention]
    actions: Sequence[StaffAction]
    events: Sequence[Event]
    messages: Sequence[OutgoingMessage]
    complete: bool


async def read(order: RechargeOrder, *, limit: int) -> Sources:
    """Return the order's rows, up to `limit` of each table, oldest first."""
    payments = await PaymentAttempt.filter(order_id=order.id).order_by("number").limit(limit)
    recharges = await RechargeAttempt.filter(order_id=order.id).order_by("number").limit(limit)
    refunds = await Refund.filter(order_id=order.id).order_by("created_at", "id").limit(limit)
    reviews = await Review.filter(order_id=order.id).limit(limit)
    cases = await ManualCase.filter(order_id=order.id).order_by("created_at", "id").limit(limit)
    trades, attempts = [row.out_trade_no for row in payments], [str(row.id) for row in recharges]
    callbacks = await _callbacks(trades, attempts, limit)
    numbers = [*trades, *attempts, *(row.out_refund_no for row in refunds)]
    arrivals = await _arrivals(order)
    named = [("Order", str(order.id)), *(("Case", str(case.id)) for case in cases)]
    found = Sources(
        steps=await OrderTransition.filter(order_id=order.id).order_by("version").limit(limit),
        payments=payments,
        face_checks=await FaceCheck.filter(order_id=order.id).order_by("created_at", "id").limit(limit),
        recharges=recharges,
        refunds=refunds,
        callbacks=callbacks,
        ledger=await _ledger(order, limit),
        errors=await ErrorEntry.filter(order_id=order.id).order_by("occurred_at", "id").limit(limit),
        differences=await _differences(numbers, limit),
        reviews=reviews,
        cases=cases,
        interventions=await _interventions([str(order.id), *numbers, *(str(row.id) for row in callbacks)], limit),
        actions=await actions.about(object_ids=named, limit=limit),
        events=[*await Event.filter(stream=order_stream(order.id)).order_by("position").limit(limit), *arrivals],
        messages=await _messages(order, arrivals),
        complete=True,
    )
    return _marked(found, limit)


def _marked(found: Sources, limit: int) -> Sources:
    parts = [getattr(found, name) for name in Sources.__slots__ if name != "complete"]
    if all(len(part) < limit for part in parts):
        return found
    values = {name: getattr(found, name) for name in Sources.__slots__}
    return Sources(**{**values, "complete": False})


async def _callbacks(trades: Sequence[str], attempts: Sequence[str], limit: int) -> list[ThirdPartyNotice]:
    rows = await notices_about(trades=trades, attempts=attempts, limit=limit)
    return [ThirdPartyNotice._init_from_db(**{**row, "facts": _object(row["facts"])}) for row in rows]


def _object(facts: Any) -> str:
    return facts if isinstance(facts, str) else orjson.dumps(facts).decode()


async def _ledger(order: RechargeOrder, limit: int) -> list[LedgerLine]:
    transactions = {row.id: row for row in await LedgerTransaction.filter(order_id=order.id).limit(limit)}
    if not transactions:
        return []
    times = [row.occurred_at for row in transactions.values()]
    # PostgreSQL reads the months of the entries only that lie between these.
    entries = LedgerEntry.filter(
        transaction_id__in=list(transactions), occurred_at__gte=min(times), occurred_at__lte=max(times)
    )
    lines = await entries.limit(limit)
    accounts = await LedgerAccount.filter(id__in={line.account_id for line in lines})
    codes = {account.id: account.code for account in accounts}
    found = [
        LedgerLine(
            posting_key=transactions[line.transaction_id].key,
            shard=line.shard,
            position=transactions[line.transaction_id].position,
            line_number=line.line_number,
            account=codes[line.account_id],
            amount_fen=line.amount_fen,
            occurred_at=line.occurred_at,
        )
        for line in lines
    ]
    return sorted(found, key=lambda line: (line.shard, line.position, line.line_number))


async def _differences(numbers: Sequence[str], limit: int) -> list[ReconciliationStep]:
    rows = ReconciliationDifference.filter(key__in=list(numbers)).limit(limit)
    ids = await rows.values_list("id", flat=True)
    if not ids:
        return []
    return (
        await ReconciliationStep.filter(difference_id__in=list(ids)).order_by("difference_id", "version").limit(limit)
    )


async def _interventions(keys: Sequence[str], limit: int) -> list[JobIntervention]:
    jobs = await Job.filter(kind__in=list(WORK_OF_ORDERS), key__in=list(keys)).limit(limit).values_list("id", flat=True)
    return (
        await JobIntervention.filter(job_id__in=list(jobs)).order_by("occurred_at", "id").limit(limit) if jobs else []
    )


async def _arrivals(order: RechargeOrder) -> list[Event]:
    """The user's arrivals are one stream; those that tell of this order are few, and among the newest."""
    rows = Event.filter(stream=arrivals_stream(order.user_id), type=EventType.RECHARGE_ARRIVED.value)
    newest = await rows.order_by("-position").limit(ARRIVALS_MAX)
    return [row for row in reversed(newest) if row.payload.get("order_id") == str(order.id)]


async def _messages(order: RechargeOrder, arrivals: Sequence[Event]) -> list[OutgoingMessage]:
    keys = [f"{event.stream}:{event.position}" for event in arrivals]
    if not keys:
        return []
    rows = OutgoingMessage.filter(user_id=order.user_id, template=MessageTemplate.ARRIVAL, event_key__in=keys)
    return await rows.order_by("created_at", "id")
