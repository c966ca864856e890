"""What the machine of `moves` holds in its hands, and the single acts that its moves are made of."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from hypothesis.stateful import RuleBasedStateMachine

from domain.cards.ports import IssuerOrderState
from domain.identity.ports import FaceOutcome
from domain.orders import face_checks, operations, paying, reviewing
from domain.orders.creating import Wanted
from domain.orders.face_checks import StartedFaceCheck
from domain.orders.notices import Facts
from domain.payments import top_ups
from domain.payments.ports import ChannelRefundState, ClientParameters
from kernel.states import PaymentMethod, ReviewState
from models.orders import RechargeOrder
from tests.simulation.channels import ChannelRefund, SimulatedChannel, Trade, prepay_id_of
from tests.simulation.issuer import CORRECTIONS, Recharge
from tests.simulation.post import Letter
from tests.simulation.stage import Stage
from tests.simulation.world import Customer

T = TypeVar("T")
SHORTLY_S = 5.0
LONGER_THAN_A_PAYMENT_S = 1_200.0


class Telling(StrEnum):
    """When a callback comes: with the event itself, whenever a later move brings it, or never."""

    AT_ONCE = "at once"
    LATER = "later"
    NEVER = "never"


class Far(IntEnum):
    """How far an order has come before a history begins."""

    ORDERED = 0
    PAYING = 1
    GIVEN_UP = 2  # and what it was to be paid by is still in the payer's hands
    PAID = 3
    SUBMITTED = 4
    REFUSED = 5  # and the money is on its way back


@dataclass(frozen=True)
class Placed:
    """An order and whoever made it."""

    customer: Customer
    order_id: UUID


@dataclass(frozen=True)
class Payable:
    """What a payer was handed: a merchant order at a channel."""

    channel: SimulatedChannel
    trade: Trade


@dataclass(frozen=True)
class Owed:
    """A refund that a channel has accepted."""

    channel: SimulatedChannel
    refund: ChannelRefund


class Hands(RuleBasedStateMachine):
    """Orders, payments, refunds, recharges and callbacks, each by a name that counts."""

    def __init__(self, fresh: Callable[[], AbstractContextManager[str]]) -> None:
        super().__init__()
        self.stage = Stage(fresh)
        self.orders: dict[str, Placed] = {}
        self.payments: dict[str, Payable] = {}
        self.asked: list[Callable[[], None]] = []
        self.keys = 0
        self.patience_s: float | None = None

    @property
    def payable(self) -> list[str]:
        return [name for name, payment in self.payments.items() if not payment.trade.transaction_id]

    @property
    def refunds(self) -> dict[str, Owed]:
        """The refunds that a channel may still settle."""
        found = [Owed(channel, each) for channel in self.stage.world.channels for each in channel.refunds.values()]
        return {
            owed.refund.out_refund_no: owed for owed in found if owed.refund.state is not ChannelRefundState.SUCCESS
        }

    @property
    def recharges(self) -> dict[str, Recharge]:
        """The recharges of which the issuer may still change its mind."""
        found = enumerate(self.stage.world.recharges.values())
        return {f"recharge {number}": recharge for number, recharge in found if CORRECTIONS[recharge.state]}

    @property
    def letters(self) -> dict[str, Letter]:
        return {letter.notice_id: letter for letter in self.stage.letters}

    def _key(self) -> str:
        self.keys += 1
        return f"key-{self.keys:08d}"

    def _ask(
        self,
        make: Callable[[datetime], Coroutine[Any, Any, T]],
        answered: Callable[[T], None] = lambda _answer: None,
    ) -> None:
        """Ask, and remember what was asked, so that it can be asked again with the same key."""
        self.asked.append(lambda: self.stage.ask(make, answered))
        self.stage.ask(make, answered, patience_s=self.patience_s)
        self.patience_s = None

    def _come(self, customer: int, wish: str | int, method: PaymentMethod, far: Far) -> None:
        """Make an order and let all go well with it for a while."""
        known = len(self.orders)
        self._order(customer, wish)
        made = list(self.orders.values())[known:]
        if not made or far < Far.PAYING:
            return
        (order,) = made
        for payment in self._start_to_pay(order, method, FaceOutcome.PASSED):
            if far >= Far.PAID:
                self._pay_at_once(payment)
        if far is Far.GIVEN_UP:
            self.stage.pass_time(LONGER_THAN_A_PAYMENT_S)
        elif far >= Far.SUBMITTED:
            under_way = self.recharges
            self._review(1, order, approve=True)
            self.stage.pass_time(SHORTLY_S)
            if far is Far.REFUSED:
                self._refuse([each for name, each in self.recharges.items() if name not in under_way])

    def _order(self, customer: int, wish: str | int) -> None:
        world, buyer = self.stage.world, self.stage.world.customers[customer]
        offer = world.offers[wish] if isinstance(wish, int) else None
        wanted = Wanted(
            operation=operations.CREATE,
            key=self._key(),
            card_id=buyer.cards[0].id,
            yuan=Decimal(wish) if isinstance(wish, str) else None,
            names_offer=offer is not None,
            offer_id=offer.id if offer else None,
        )

        def made(order: RechargeOrder) -> None:
            placed = Placed(buyer, order.id)
            if placed.order_id not in {each.order_id for each in self.orders.values()}:
                self.orders[f"order {len(self.orders) + 1}"] = placed

        self._ask(lambda now: operations.create(viewer=buyer.viewer, wanted=wanted, policy=world.policy, now=now), made)

    def _start_to_pay(self, order: Placed, method: PaymentMethod, face: FaceOutcome) -> list[Payable]:
        world, key, token = self.stage.world, self._key(), self._face_token(order, face)
        known = len(self.payments)
        self._ask(
            lambda now: paying.start_payment(
                viewer=order.customer.viewer,
                order_id=order.order_id,
                idempotency_key=key,
                channels=world.parties.channels,
                face=world.face,
                policy=world.policy,
                now=now,
                method=method,
                face_token=token,
                alipay_code=f"{order.customer.openid} {key}" if method is PaymentMethod.ALIPAY else None,
            ),
            lambda started: self._handed(started.parameters or started.alipay),
        )
        return list(self.payments.values())[known:]

    def _top_up(self, customer: int, yuan: Decimal) -> list[Payable]:
        world, key, known = self.stage.world, self._key(), len(self.payments)
        self._ask(
            lambda now: top_ups.start(
                viewer=world.customers[customer].viewer,
                yuan=yuan,
                idempotency_key=key,
                channels=world.parties.channels,
                limits=world.policy.limits,
                pay_within=world.policy.pay_within,
                query_after=world.policy.payment_query_after,
                now=now,
            ),
            lambda started: self._handed(started.parameters),
        )
        return list(self.payments.values())[known:]

    def _handed(self, parameters: ClientParameters | None) -> None:
        """Keep what a client was handed to pay by; the answer may come under a later move, and more than once."""
        if parameters is None:
            return
        prepay_id = prepay_id_of(parameters)
        channel = next(each for each in self.stage.world.channels if prepay_id in each.by_prepay_id)
        trade = channel.by_prepay_id[prepay_id]
        if trade not in [payment.trade for payment in self.payments.values()]:
            self.payments[f"payment {len(self.payments) + 1}"] = Payable(channel, trade)

    def _pay_at_once(self, payment: Payable) -> None:
        payment.channel.pay(payment.trade.prepay_id, now=self.stage.now)
        self._tell(payment.channel.name, payment.channel.facts_of(payment.trade.out_trade_no), Telling.AT_ONCE)
        self.stage.run_due()

    def _refuse(self, recharges: list[Recharge]) -> None:
        for recharge in recharges:
            issuer = self.stage.world.issuer_of(recharge)
            self._tell(issuer.name, issuer.settle(recharge, IssuerOrderState.REFUSED), Telling.AT_ONCE)
        self.stage.pass_time(SHORTLY_S)

    def _review(self, staff: int, order: Placed, approve: bool) -> None:
        member = self.stage.world.staff[staff]
        decide = partial(reviewing.decide, staff=member, order_id=order.order_id, approve=approve, reason="seen")
        self._ask(lambda now: decide(now=now))

    def _face_token(self, order: Placed, outcome: FaceOutcome) -> str | None:
        """Show a face where the order needs one, and return the token if there was an answer."""
        life = self.stage.lives.lives.get(order.order_id)
        if life and life.standing and life.standing.review_state is not ReviewState.REQUIRED:
            return None
        world, tokens = self.stage.world, list[str]()

        def begun(started: StartedFaceCheck) -> None:
            world.face.sessions[started.token].outcome = outcome
            tokens.append(started.token)

        lifetime = world.policy.face_token_lifetime
        begin = partial(face_checks.begin, viewer=order.customer.viewer, order_id=order.order_id, face=world.face)
        self.stage.ask(lambda now: begin(lifetime=lifetime, now=now), begun)
        return tokens[0] if tokens else None

    def _tell(self, source: str, facts: Facts, telling: Telling) -> None:
        if telling is not Telling.NEVER:
            letter = self.stage.write(source, facts)
            if telling is Telling.AT_ONCE:
                self.stage.bring(letter)
