"""What operators see: queues, orders that were found, and what staff have done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Self
from uuid import UUID

import strawberry

from domain.operators.queues import ParkedPlace, SuspenseLine
from domain.operators.searching import Found
from domain.orders.alerts import Waiting
from domain.work.queries import KindStatus, ParkedJob
from kernel.ids import short_text
from kernel.money import Money as Amount
from models.jobs import Job
from models.orders import RechargeAttempt
from models.payments import PaymentAttempt
from models.reviews import ErrorEntry
from models.staff_actions import StaffAction as ActionRow
from schema.types import costs
from schema.types.alerts import ParkedWork
from schema.types.enums import OrderState, PaymentState
from schema.types.money import Money
from schema.types.operator_enums import AlertKind, ErrorKind, RechargeState
from schema.types.orders import Order
from schema.types.relay import Connection, Edge, Node, Placed, decode_cursor, global_id, read_id
from schema.types.scalars import DateTime, JsonObject


def moment(value: datetime | None) -> DateTime | None:
    return None if value is None else DateTime(value)


def read_moment(part: object) -> datetime:
    """Read one part of a cursor. Raises ValueError or TypeError."""
    if not isinstance(part, str):
        raise TypeError("not a time")
    value = datetime.fromisoformat(part)
    if value.tzinfo is None:
        raise ValueError("a naive time")
    return value


@strawberry.type(description="How much of one kind waits for the roles of whoever asks. For staff.")
class QueueCount:
    kind: AlertKind = strawberry.field(description="What waits.")
    count: int = strawberry.field(description="How much of it.")
    oldest_at: DateTime | None = strawberry.field(description="Since when the oldest waits; null where nothing does.")

    @classmethod
    def of(cls, row: Waiting) -> Self:
        return cls(kind=row.kind, count=row.count, oldest_at=moment(row.oldest_at))


@strawberry.type(description="How the work of one kind stands. For staff.")
class WorkStatus:
    kind: str = strawberry.field(description="What it does, such as `query_recharge`.")
    waiting: int = strawberry.field(description="How much is written down and does not run.")
    overdue: int = strawberry.field(description="How much of that should have begun.")
    oldest_overdue_s: float = strawberry.field(description="For how many seconds the oldest of that is late.")
    running: int = strawberry.field(description="How much runs.")
    parked: int = strawberry.field(description="How much waits for a person.")

    @classmethod
    def of(cls, row: KindStatus) -> Self:
        return cls(
            kind=row.kind,
            waiting=row.waiting,
            overdue=row.overdue,
            oldest_overdue_s=row.oldest_overdue_s,
            running=row.running,
            parked=row.parked,
        )


@strawberry.type(directives=[costs.FREE], description="What a person did with parked work.")
class WorkIntervention:
    action: str = strawberry.field(description="`RETRY` or `DISMISS`.")
    actor: str = strawberry.field(description="Who.")
    reason: str = strawberry.field(description="Why.")
    at: DateTime = strawberry.field(description="When.")


@strawberry.type(description="Parked work, with what people did with it before. For staff.")
class ParkedWorkEntry:
    work: ParkedWork = strawberry.field(description="The work.")
    attempts: int = strawberry.field(description="How often it has run.")
    interventions: list[WorkIntervention] = strawberry.field(
        directives=[costs.at_most(10)], description="What people did with it, oldest first."
    )

    @classmethod
    def of(cls, row: ParkedJob) -> Self:
        return cls(
            work=ParkedWork(
                id=global_id("ParkedWork", row.id),
                job_id=str(row.id),
                kind=row.kind,
                key=row.key,
                reason=row.reason,
                parked_at=DateTime(row.parked_at),
            ),
            attempts=row.attempts,
            interventions=[
                WorkIntervention(
                    action=act.action.value, actor=act.actor, reason=act.reason, at=DateTime(act.occurred_at)
                )
                for act in row.interventions
            ],
        )


ParkedWorkEntryConnection = Connection[ParkedWorkEntry]


def parked_place(after: str | None) -> ParkedPlace | None:
    """Raises CursorMalformed."""
    return ParkedPlace(*decode_cursor(after, read_moment, read_id)) if after is not None else None


def parked_page(rows: Sequence[ParkedJob], *, first: int, after: str | None) -> ParkedWorkEntryConnection:
    edges: list[Edge[ParkedWorkEntry]] = [
        Edge.of(Placed((row.parked_at.isoformat(), row.id), ParkedWorkEntry.of(row))) for row in rows[:first]
    ]
    return ParkedWorkEntryConnection.of(edges, has_next_page=len(rows) > first, after=after)


@strawberry.type(description="What went wrong with somebody's money, written with the change that it tells of.")
class LedgerError(Node):
    kind: ErrorKind = strawberry.field(description="What went wrong.")
    amount: Money = strawberry.field(description="The money that it is about.")
    detail: str = strawberry.field(description="What happened, for people.")
    order_id: strawberry.ID | None = strawberry.field(description="The order, where it is about one.")
    at: DateTime = strawberry.field(description="When.")

    @classmethod
    def of(cls, row: ErrorEntry) -> Self:
        return cls(
            id=global_id("LedgerError", row.id),
            kind=row.kind,
            amount=Money.showing(Amount(row.amount_fen)),
            detail=row.detail,
            order_id=None if row.order_id is None else global_id("Order", row.order_id),
            at=DateTime(row.occurred_at),
        )


LedgerErrorConnection = Connection[LedgerError]


@strawberry.type(description="One line of a suspense account.")
class SuspenseEntry(Node):
    account: str = strawberry.field(description="The account.")
    amount: Money = strawberry.field(description="Positive where the account is debited.")
    posting: str = strawberry.field(description="The key of the posting, which says what it is about.")
    order_id: strawberry.ID | None = strawberry.field(description="The order, where it is about one.")
    at: DateTime = strawberry.field(description="When it was booked.")

    @classmethod
    def of(cls, row: SuspenseLine) -> Self:
        return cls(
            id=global_id("SuspenseEntry", row.id),
            account=row.account,
            amount=Money.showing(Amount(row.amount_fen)),
            posting=row.posting_key,
            order_id=None if row.order_id is None else global_id("Order", row.order_id),
            at=DateTime(row.occurred_at),
        )


SuspenseEntryConnection = Connection[SuspenseEntry]


@strawberry.input(description="What to find orders by. All of it has to fit, and something has to be given.")
class OrderSearchInput:
    number: str | None = strawberry.field(
        description="The order's id, its number, or the number of a payment of it.", default=None
    )
    user_id: str | None = strawberry.field(description="The account.", default=None)
    card_tail: str | None = strawberry.field(description="The last four digits of the card.", default=None)
    phone_tail: str | None = strawberry.field(description="The last four digits of the user's phone.", default=None)
    transaction_id: str | None = strawberry.field(description="The channel's number of a payment.", default=None)
    out_trade_no: str | None = strawberry.field(description="Our number of a payment.", default=None)
    issuer_order_id: str | None = strawberry.field(description="The issuer's number of a recharge.", default=None)
    since: DateTime | None = strawberry.field(description="Created then or later.", default=None)
    until: DateTime | None = strawberry.field(description="Created before.", default=None)
    state: OrderState | None = strawberry.field(description="In this state.", default=None)


@strawberry.type(directives=[costs.FREE], description="An attempt to pay an order, as the channel knows it.")
class FoundPayment:
    channel: str = strawberry.field(description="The channel.")
    out_trade_no: str = strawberry.field(description="Our number of it.")
    transaction_id: str | None = strawberry.field(description="The channel's number, once it is paid.")
    state: PaymentState = strawberry.field(description="Where it stands.")
    amount: Money = strawberry.field(description="How much.")

    @classmethod
    def of(cls, row: PaymentAttempt) -> Self:
        return cls(
            channel=row.channel,
            out_trade_no=row.out_trade_no,
            transaction_id=row.transaction_id,
            state=row.state,
            amount=Money.showing(Amount(row.amount_fen)),
        )


@strawberry.type(directives=[costs.FREE], description="An attempt to recharge, as the issuer knows it.")
class FoundRecharge:
    issuer: str = strawberry.field(description="The issuer.")
    issuer_order_id: str | None = strawberry.field(description="The issuer's number, where it has given one.")
    state: RechargeState = strawberry.field(description="Where it stands.")

    @classmethod
    def of(cls, row: RechargeAttempt) -> Self:
        return cls(issuer=row.issuer, issuer_order_id=row.issuer_order_id, state=row.state)


@strawberry.type(description="An order that was found, with what belongs to it. For staff.")
class FoundOrder:
    order: Order = strawberry.field(description="The order.")
    number: str = strawberry.field(description="The order's number, with which those of its payments begin.")
    user_id: str = strawberry.field(description="The account, as `OrderSearchInput.userId` takes it.")
    customer_name: str = strawberry.field(description="Masked where the role does not need it.")
    phone: str | None = strawberry.field(description="Masked; null where none is bound.")
    card_tail: str = strawberry.field(description="The last four digits of the card.")
    payments: list[FoundPayment] = strawberry.field(
        directives=[costs.at_most(10)], description="The attempts to pay, oldest first."
    )
    recharges: list[FoundRecharge] = strawberry.field(
        directives=[costs.at_most(10)], description="The attempts to recharge, oldest first."
    )

    @classmethod
    def of(cls, row: Found) -> Self:
        return cls(
            order=Order.of(row.order),
            number=short_text(row.order.id),
            user_id=str(row.order.user_id),
            customer_name=row.customer_name,
            phone=row.phone,
            card_tail=row.card.number_tail,
            payments=[FoundPayment.of(each) for each in row.payments],
            recharges=[FoundRecharge.of(each) for each in row.recharges],
        )


FoundOrderConnection = Connection[FoundOrder]


def found_place(after: str | None) -> tuple[datetime, UUID] | None:
    """Raises CursorMalformed."""
    if after is None:
        return None
    created_at, order_id = decode_cursor(after, read_moment, read_id)
    return created_at, order_id


def found_page(rows: Sequence[Found], *, first: int, after: str | None) -> FoundOrderConnection:
    edges: list[Edge[FoundOrder]] = [
        Edge.of(Placed((row.order.created_at.isoformat(), row.id), FoundOrder.of(row))) for row in rows[:first]
    ]
    return FoundOrderConnection.of(edges, has_next_page=len(rows) > first, after=after)


@strawberry.type(description="What somebody who works here has done, or looked at. For auditors.")
class StaffAction(Node):
    position: int = strawberry.field(description="Its place in the record, which has no gaps.")
    actor: str = strawberry.field(description="Who, such as `staff:…`, or `operator:…` for a command.")
    roles: list[str] = strawberry.field(
        directives=[costs.at_most(10)], description="The roles by which they were let in."
    )
    action: str = strawberry.field(description="The field or command, such as `reviewOrder`.")
    object_type: str = strawberry.field(description="What kind of object it was done to.")
    object_id: str = strawberry.field(description="Which one.")
    reason: str = strawberry.field(description="Why, in their words; empty for a look.")
    before: JsonObject | None = strawberry.field(description="The object before; null where there was none.")
    after: JsonObject | None = strawberry.field(description="The object after, or what was looked for and found.")
    request_id: str = strawberry.field(description="The request; empty for a command.")
    at: DateTime = strawberry.field(description="When.")
    digest: str = strawberry.field(description="Over this action and the digest before it.")

    @classmethod
    def of(cls, row: ActionRow) -> Self:
        return cls(
            id=global_id("StaffAction", row.id),
            position=row.position,
            actor=row.actor,
            roles=row.roles.split(",") if row.roles else [],
            action=row.action,
            object_type=row.object_type,
            object_id=row.object_id,
            reason=row.reason,
            before=row.before,
            after=row.after,
            request_id=row.request_id,
            at=DateTime(row.occurred_at),
            digest=row.digest,
        )


StaffActionConnection = Connection[StaffAction]


@strawberry.input(description="Parked work, and why it is settled so.")
class SettleWorkInput:
    work_id: strawberry.ID = strawberry.field(description="The work.")
    reason: str = strawberry.field(description="Why; it is kept.")


@strawberry.type(description="The work, settled.")
class SettleWorkSuccess:
    work: ParkedWork = strawberry.field(description="The work as it is now.")

    @classmethod
    def of(cls, row: Job) -> Self:
        return cls(work=ParkedWork.of(row))
