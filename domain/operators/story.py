"""An order's whole story for staff: one timeline of all that any table knows of it. Each look is written down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import chain
from typing import Any
from uuid import UUID

from domain.actions.recording import Subject, looked
from domain.actions.rules import picture
from domain.identity.staff import Staff
from domain.operators import sources
from domain.operators.sources import Sources
from domain.orders.queries import OrderNotFound
from models.orders import RechargeOrder

STORY_ENTRIES_MAX = 1_000
ACTION = "orderStory"
SYSTEM = "system"
# Amounts and accounts have fields of their own.
TOLD_APART = frozenset({"amount_fen"})


class EntryKind(StrEnum):
    """What a line of the timeline comes from. Lines of one moment stand in this order."""

    STEP = "STEP"
    PAYMENT = "PAYMENT"
    DEDUCTION = "DEDUCTION"
    FACE_CHECK = "FACE_CHECK"
    CALLBACK = "CALLBACK"
    REVIEW = "REVIEW"
    RECHARGE = "RECHARGE"
    ISSUER_ANSWER = "ISSUER_ANSWER"
    REFUND = "REFUND"
    LEDGER = "LEDGER"
    ERROR = "ERROR"
    CASE = "CASE"
    DIFFERENCE = "DIFFERENCE"
    WORK = "WORK"
    EVENT = "EVENT"
    NOTICE = "NOTICE"
    STAFF_ACTION = "STAFF_ACTION"


ORDER_OF_KINDS = {kind: number for number, kind in enumerate(EntryKind)}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. `what` is a word of the kind, such as a trigger or a state; `facts` are masked.

    Ledger lines have an account, and a positive amount is a debit there. Elsewhere the amount is what it is about.
    """

    at: datetime
    kind: EntryKind
    what: str
    actor: str
    key: str
    amount_fen: int | None = None
    account: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Story:
    """The timeline, oldest first; `complete` says whether it is all there is."""

    order: RechargeOrder
    entries: Sequence[Entry]
    complete: bool


async def tell(*, staff: Staff, order_id: UUID | None, now: datetime) -> Story:
    """Return the story of an order. Raises OrderNotFound. The look is written down before anything is returned."""
    order = await RechargeOrder.get_or_none(id=order_id) if order_id else None
    if order is None:
        raise OrderNotFound
    told = await sources.read(order, limit=STORY_ENTRIES_MAX + 1)
    entries = sorted(_entries(order, told), key=lambda entry: (entry.at, ORDER_OF_KINDS[entry.kind], entry.key))
    await looked(who=staff, action=ACTION, subject=Subject("Order", order.id), seen={"entries": len(entries)}, now=now)
    return Story(order, entries[:STORY_ENTRIES_MAX], len(entries) <= STORY_ENTRIES_MAX and told.complete)


def _entries(order: RechargeOrder, told: Sources) -> Iterator[Entry]:
    return chain(
        _steps(told),
        _payments(order, told),
        _recharges(told),
        _refunds(told),
        _callbacks(told),
        _books(told),
        _people(told),
        _messages(told),
    )


def _entry(at: datetime, kind: EntryKind, what: str, actor: str, key: Any, **rest: Any) -> Entry:
    facts = {name: value for name, value in rest.pop("facts", {}).items() if value not in (None, "")}
    return Entry(at, kind, what, actor, str(key), facts=picture(facts), **rest)


def _steps(told: Sources) -> Iterator[Entry]:
    for row in told.steps:
        facts = {
            "version": row.version,
            "rule": row.rule,
            "from_state": row.from_state,
            "to_state": row.to_state,
            "reason": row.reason,
            "request_id": row.request_id,
        }
        # Steps of one moment stand in the order of their versions.
        key = f"{row.version:06d}"
        yield _entry(row.occurred_at, EntryKind.STEP, row.trigger, row.actor, key, facts=facts)


def _payments(order: RechargeOrder, told: Sources) -> Iterator[Entry]:
    user = f"user:{order.user_id}"
    for row in told.payments:
        kind = EntryKind.DEDUCTION if row.mandate_id else EntryKind.PAYMENT
        facts = {
            "number": str(row.number),
            "channel": row.channel,
            "sub_mchid": row.sub_mchid,
            "out_trade_no": row.out_trade_no,
            "mandate_id": row.mandate_id,
        }
        yield _entry(row.created_at, kind, "OPEN", user, row.id, amount_fen=row.amount_fen, facts=facts)
        if row.asked_at:
            yield _entry(row.asked_at, kind, "ASKED", SYSTEM, row.id, amount_fen=row.amount_fen)
        if row.settled_at:
            settled = {"transaction_id": row.transaction_id, "out_trade_no": row.out_trade_no}
            yield _entry(row.settled_at, kind, row.state, row.channel, row.id, amount_fen=row.amount_fen, facts=settled)
    for check in told.face_checks:
        yield _entry(check.created_at, EntryKind.FACE_CHECK, "OPEN", user, check.id)
        if check.settled_at:
            yield _entry(check.settled_at, EntryKind.FACE_CHECK, check.state, user, check.id)


def _recharges(told: Sources) -> Iterator[Entry]:
    for row in told.recharges:
        facts = {"number": str(row.number), "issuer": row.issuer, "attempt_id": row.id, "sends": row.sends}
        yield _entry(row.submitted_at, EntryKind.RECHARGE, "SUBMITTED", SYSTEM, row.id, facts=facts)
        if row.settled_at:
            answer = {"issuer_order_id": row.issuer_order_id, "attempt_id": row.id}
            yield _entry(
                row.settled_at,
                EntryKind.ISSUER_ANSWER,
                row.state,
                row.issuer,
                row.id,
                amount_fen=row.cost_fen,
                facts=answer,
            )


def _refunds(told: Sources) -> Iterator[Entry]:
    for row in told.refunds:
        facts = {"out_refund_no": row.out_refund_no, "channel_refund_id": row.channel_refund_id}
        yield _entry(row.created_at, EntryKind.REFUND, "PROCESSING", SYSTEM, row.id, amount_fen=row.amount_fen)
        if row.settled_at:
            yield _entry(
                row.settled_at, EntryKind.REFUND, row.state, SYSTEM, row.id, amount_fen=row.amount_fen, facts=facts
            )


def _callbacks(told: Sources) -> Iterator[Entry]:
    for row in told.callbacks:
        said: Mapping[str, Any] = row.facts.get("facts") or {}  # type: ignore[assignment]
        facts = {name: value for name, value in said.items() if name not in TOLD_APART}
        what = str(row.facts.get("kind", ""))
        yield _entry(
            row.received_at,
            EntryKind.CALLBACK,
            what,
            row.source,
            row.id,
            amount_fen=said.get("amount_fen"),
            facts={**facts, "notice_id": row.notice_id, "applied_at": row.applied_at},
        )


def _books(told: Sources) -> Iterator[Entry]:
    for line in told.ledger:
        yield _entry(
            line.occurred_at,
            EntryKind.LEDGER,
            "DEBIT" if line.amount_fen > 0 else "CREDIT",
            SYSTEM,
            f"{line.shard:02d}:{line.position:012d}:{line.line_number:02d}",
            amount_fen=line.amount_fen,
            account=line.account,
            facts={"posting": line.posting_key},
        )
    for row in told.errors:
        facts = {"detail": row.detail, "key": row.key}
        yield _entry(row.occurred_at, EntryKind.ERROR, row.kind, SYSTEM, row.id, amount_fen=row.amount_fen, facts=facts)
    for step in told.differences:
        told_of = {"difference_id": step.difference_id, "outcome": step.outcome, "reason": step.reason}
        yield _entry(
            step.occurred_at,
            EntryKind.DIFFERENCE,
            step.step,
            step.actor,
            f"{step.difference_id}:{step.version:06d}",
            amount_fen=step.amount_fen,
            facts=told_of,
        )


def _people(told: Sources) -> Iterator[Entry]:
    by: UUID | str | None
    for review in told.reviews:
        yield _entry(
            review.created_at,
            EntryKind.REVIEW,
            "PENDING",
            SYSTEM,
            review.id,
            facts={"reason": review.reason, "deadline_at": review.deadline_at},
        )
        if review.decided_at:
            by = f"staff:{review.decided_by}" if review.decided_by else SYSTEM
            yield _entry(review.decided_at, EntryKind.REVIEW, review.state, by, review.id)
    for case in told.cases:
        facts = {"kind": case.kind, "case_id": case.id, "outcome": case.outcome, "reason": case.reason}
        yield _entry(case.created_at, EntryKind.CASE, "OPEN", SYSTEM, case.id, amount_fen=case.amount_fen, facts=facts)
        for at, by, what in (
            (case.proposed_at, case.proposed_by, "PROPOSED"),
            (case.approved_at, case.approved_by, "RESOLVED"),
        ):
            if at:
                yield _entry(at, EntryKind.CASE, what, f"staff:{by}", case.id, amount_fen=case.amount_fen, facts=facts)
    for act in told.interventions:
        facts = {"job_id": act.job_id, "reason": act.reason}
        yield _entry(act.occurred_at, EntryKind.WORK, act.action, act.actor, act.id, facts=facts)
    for action in told.actions:
        facts = {
            "roles": action.roles,
            "reason": action.reason,
            "object": f"{action.object_type} {action.object_id}",
            "request_id": action.request_id,
        }
        key = f"{action.position:012d}"
        yield _entry(action.occurred_at, EntryKind.STAFF_ACTION, action.action, action.actor, key, facts=facts)


def _messages(told: Sources) -> Iterator[Entry]:
    for event in told.events:
        key = f"{event.stream}:{event.position:012d}"
        yield _entry(event.occurred_at, EntryKind.EVENT, event.type, SYSTEM, key, facts={"position": event.position})
    for message in told.messages:
        yield _entry(
            message.created_at, EntryKind.NOTICE, "PENDING", SYSTEM, message.id, facts={"template": message.template}
        )
        if message.settled_at:
            facts = {"template": message.template, "error_code": message.error_code}
            yield _entry(message.settled_at, EntryKind.NOTICE, message.state, SYSTEM, message.id, facts=facts)
