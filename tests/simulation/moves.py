"""The moves of an order's life, one rule each, of which Hypothesis makes histories; see `test_stateful`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.cards.ports import IssuerOrderState
from domain.identity.ports import FaceOutcome
from domain.orders import cases, face_checks, operations, paying, reviewing
from domain.orders.face_checks import StartedFaceCheck
from domain.orders.notices import Facts
from domain.orders.operations import Wanted
from domain.payments import top_ups
from domain.payments.ports import ChannelRefundState, PaymentParameters, TradeState
from domain.work import manual_queue
from kernel.states import PaymentMethod, ReviewState
from models.orders import RechargeOrder
from tests.simulation.channels import ChannelRefund, PayerRefused, SimulatedChannel, Trade
from tests.simulation.fate import Commit, Exchange
from tests.simulation.issuer import CORRECTIONS, Recharge
from tests.simulation.post import Letter
from tests.simulation.stage import OpenCase, Stage
from tests.simulation.world import Customer

T = TypeVar("T")
ORDERS_MAX = 5
STAFF = 3
IMPATIENCE_S = 0.04
MINUTE_S, HOUR_S, DAY_S = 60.0, 3_600.0, 86_400.0
SHORTLY_S = 5.0
# None is a client that goes away without its answer.
FAULTS: tuple[Exchange | Commit | None, ...] = (
    *(each for each in Exchange if each is not Exchange.ANSWERED),
    *(each for each in Commit if each is not Commit.PLAIN),
    None,
)
# Behind each deadline there is: of an answer, of a lease, of a face, of a payment and of the first compensation.
PAUSES_S = (10.0, MINUTE_S, 11 * MINUTE_S, 20 * MINUTE_S)
# Behind the deadline of a review, too; with workers that run it would be full of questions.
OUTAGES_S = (*PAUSES_S, 3 * HOUR_S, 2 * DAY_S)


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


# An order that has come far may still go anywhere, and is rarely got there by chance.
DISTANCES = (Far.ORDERED, Far.PAYING, Far.GIVEN_UP, Far.PAID, Far.SUBMITTED, Far.SUBMITTED, Far.SUBMITTED)


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


# What a customer may want: an amount in yuan, or the number of an offer.
WISHES: tuple[str | int, ...] = ("100.00", "500.00", "2500.00", 0, 1)


def in_hand(found: Callable[[Books], Iterable[T]]) -> st.SearchStrategy[T]:
    """Draw one of what there is just now; a precondition says that there is something."""
    return st.runner().flatmap(lambda machine: st.sampled_from(list(found(machine))))


class Books(RuleBasedStateMachine):
    """Any move may come at any time, so many of them come at a time when they should change nothing.

    What they are made with is drawn from what is there by then, by a name that counts.
    """

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
        found = enumerate(self.stage.world.issuer.recharges.values())
        return {f"recharge {number}": recharge for number, recharge in found if CORRECTIONS[recharge.state]}

    @property
    def letters(self) -> dict[str, Letter]:
        return {letter.notice_id: letter for letter in self.stage.letters}

    @initialize(full=st.booleans())
    def a_wallet_is_filled(self, full: bool) -> None:
        if full:
            for payment in self._top_up(0, Decimal(1_000)):
                self._pay_at_once(payment)

    @initialize(wish=st.sampled_from(WISHES), far=st.sampled_from(DISTANCES))
    def one_order_is_under_way(self, wish: str | int, far: Far) -> None:
        self._come(0, wish, PaymentMethod.WECHAT_PAY, far)

    @initialize(wish=st.sampled_from(WISHES), method=st.sampled_from(PaymentMethod), far=st.sampled_from(DISTANCES))
    def another_order_is_under_way(self, wish: str | int, method: PaymentMethod, far: Far) -> None:
        self._come(0 if method is PaymentMethod.WALLET else 1, wish, method, far)

    @precondition(lambda self: len(self.orders) < ORDERS_MAX)
    @rule(customer=st.integers(0, 1), wish=st.sampled_from(WISHES))
    def a_customer_orders(self, customer: int, wish: str | int) -> None:
        self._order(customer, wish)

    @precondition(lambda self: self.orders)
    @rule(
        order=in_hand(lambda machine: machine.orders),
        method=st.sampled_from(PaymentMethod),
        face=st.sampled_from((FaceOutcome.PASSED, FaceOutcome.FAILED)),
    )
    def the_customer_starts_to_pay(self, order: str, method: PaymentMethod, face: FaceOutcome) -> None:
        self._start_to_pay(self.orders[order], method, face)

    @rule(customer=st.integers(0, 1), yuan=st.sampled_from(("100.00", "500.00")))
    def a_customer_tops_up(self, customer: int, yuan: str) -> None:
        self._top_up(customer, Decimal(yuan))

    @precondition(lambda self: self.orders)
    @rule(order=in_hand(lambda machine: machine.orders))
    def the_customer_cancels(self, order: str) -> None:
        world, placed = self.stage.world, self.orders[order]
        self._ask(
            lambda now: operations.cancel(
                viewer=placed.customer.viewer,
                order_id=placed.order_id,
                channels=world.parties.channels,
                policy=world.policy,
                now=now,
            )
        )

    @precondition(lambda self: self.asked)
    @rule(back=st.integers(0, 7))
    def a_client_asks_the_same_again(self, back: int) -> None:
        self.asked[-1 - back % len(self.asked)]()

    @precondition(lambda self: self.payable)
    @rule(
        name=in_hand(lambda machine: machine.payable),
        late=st.booleans(),
        telling=st.sampled_from(Telling),
    )
    def the_payer_pays(self, name: str, late: bool, telling: Telling) -> None:
        """A bank may be slow and pay what is closed; then only the callback tells of it, so it is always sent."""
        payment = self.payments[name]
        timely = payment.trade.state is TradeState.UNPAID and self.stage.now < payment.trade.expires_at
        try:
            payment.channel.pay(payment.trade.prepay_id, now=self.stage.now, late=late)
        except PayerRefused:
            return
        self.stage.world.note(f"{payment.channel.party} takes {payment.trade.amount_fen} fen")
        if telling is Telling.NEVER and not timely:
            telling = Telling.LATER
        self._tell(payment.channel.name, payment.channel.facts_of(payment.trade.out_trade_no), telling)

    @precondition(lambda self: self.payable)
    @rule(name=in_hand(lambda machine: machine.payable))
    def the_channel_closes_of_itself(self, name: str) -> None:
        trade = self.payments[name].trade
        if trade.state is TradeState.UNPAID:
            trade.state = TradeState.CLOSED

    @precondition(lambda self: self.payments)
    @rule(name=in_hand(lambda machine: machine.payments), more_fen=st.sampled_from((-1, 1)))
    def a_callback_lies_about_the_amount(self, name: str, more_fen: int) -> None:
        payment = self.payments[name]
        facts = payment.channel.facts_of(payment.trade.out_trade_no)
        lie = replace(
            facts,
            state=TradeState.SUCCESS,
            transaction_id=facts.transaction_id or f"T{facts.out_trade_no}",
            amount_fen=facts.amount_fen + more_fen,
        )
        self.stage.bring(self.stage.write(payment.channel.name, lie, lie=True))

    @precondition(lambda self: self.letters)
    @rule(name=in_hand(lambda machine: machine.letters), copies=st.integers(1, 3), anew=st.booleans())
    def the_post_brings(self, name: str, copies: int, anew: bool) -> None:
        """Copies carry one id; a third party that tells `anew` has forgotten that it did, and uses another."""
        letter = self.letters[name]
        for _ in range(copies):
            letter = self.stage.rewritten(letter) if anew else letter
            self.stage.bring(letter)

    @precondition(lambda self: self.recharges)
    @rule(
        name=in_hand(lambda machine: machine.recharges),
        telling=st.sampled_from(Telling),
        better=st.booleans(),
    )
    def the_issuer_ends(self, name: str, telling: Telling, better: bool) -> None:
        """It may be wrong at first; a correction is always told, because nobody asks after what is settled."""
        recharge = self.recharges[name]
        possible = sorted(CORRECTIONS[recharge.state], reverse=better)
        if telling is Telling.NEVER and recharge.state is not IssuerOrderState.PROCESSING:
            telling = Telling.LATER
        issuer = self.stage.world.issuer
        self._tell(issuer.name, issuer.settle(recharge, possible[0]), telling)

    @precondition(lambda self: self.refunds)
    @rule(
        name=in_hand(lambda machine: machine.refunds),
        state=st.sampled_from((ChannelRefundState.SUCCESS, ChannelRefundState.ABNORMAL)),
        telling=st.sampled_from(Telling),
    )
    def the_channel_settles_a_refund(self, name: str, state: ChannelRefundState, telling: Telling) -> None:
        owed = self.refunds[name]
        before = owed.refund.state
        if before is state:
            return
        if telling is Telling.NEVER and before is ChannelRefundState.ABNORMAL:
            telling = Telling.LATER
        self._tell(owed.channel.name, owed.channel.settle_refund(owed.refund, state), telling)

    @precondition(lambda self: self.stage.due)
    @rule(job=in_hand(lambda machine: machine.stage.due))
    def a_worker_runs(self, job: str) -> None:
        self.stage.run_job(job)

    @precondition(lambda self: self.stage.due)
    @rule()
    def a_worker_runs_what_is_due(self) -> None:
        self.stage.run_due()

    @rule(seconds=st.sampled_from(PAUSES_S))
    def time_passes(self, seconds: float) -> None:
        self.stage.pass_time(seconds)

    @rule(seconds=st.sampled_from(OUTAGES_S))
    def nobody_works_for(self, seconds: float) -> None:
        self.stage.jump(seconds)

    @precondition(lambda self: not self.stage.due and self.stage.due_in_s)
    @rule()
    def the_next_work_falls_due(self) -> None:
        self.stage.jump(self.stage.due_in_s)

    @precondition(lambda self: self.orders)
    @rule(staff=st.integers(0, STAFF - 1), order=in_hand(lambda machine: machine.orders), approve=st.booleans())
    def staff_review(self, staff: int, order: str, approve: bool) -> None:
        self._review(staff, self.orders[order], approve)

    @precondition(lambda self: self.stage.cases)
    @rule(case=in_hand(lambda machine: machine.stage.cases), staff=st.integers(0, STAFF - 1), other=st.booleans())
    def staff_decide(self, case: OpenCase, staff: int, other: bool) -> None:
        """They go by the issuer's word, and of the ways to clear a recharge that came too late they take either."""
        if not case.outcomes:
            return
        member = self.stage.world.staff[staff]
        outcome = case.proposed if case.proposed in case.outcomes else case.outcomes[-1 if other else 0]
        if case.proposed is outcome and not other:
            self._ask(lambda now: cases.approve(staff=member, case_id=case.id, outcome=outcome, now=now))
        else:
            propose = partial(cases.propose, staff=member, case_id=case.id, outcome=outcome, reason="seen")
            self._ask(lambda now: propose(now=now))

    @precondition(lambda self: self.stage.parked)
    @rule(job=in_hand(lambda machine: machine.stage.parked))
    def staff_retry(self, job: str) -> None:
        retry = partial(manual_queue.retry, job_id=self.stage.parked[job], actor="staff", reason="seen")
        self._ask(lambda now: retry(now=now))

    @rule(fault=st.sampled_from(FAULTS), after=st.integers(0, 3))
    def something_will_go_wrong(self, fault: Exchange | Commit | None, after: int) -> None:
        if isinstance(fault, Exchange):
            self.stage.fate.plan_exchange(fault, after=after)
        elif isinstance(fault, Commit):
            self.stage.fate.plan_commit(fault, after=after)
        else:
            self.patience_s = IMPATIENCE_S * (after + 1)

    @rule(party=st.sampled_from(("main route", "backup route", "issuer")), down=st.booleans(), refuses=st.booleans())
    def a_party_changes(self, party: str, down: bool, refuses: bool) -> None:
        main, backup = self.stage.world.channels
        channel = {"main route": main, "backup route": backup}.get(party)
        lost = self.stage.world.network.down
        (lost.add if down else lost.discard)(channel.party if channel else self.stage.world.issuer.name)
        if channel:
            channel.refuses = refuses

    @invariant()
    def the_books_are_true(self) -> None:
        self.stage.check()

    def teardown(self) -> None:
        try:
            if not self.stage.broken:
                self.stage.settle()
        finally:
            self.stage.close()

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
            self.stage.pass_time(PAUSES_S[-1])
        elif far is Far.SUBMITTED:
            self._review(1, order, approve=True)
            self.stage.pass_time(SHORTLY_S)

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
            ),
            lambda started: self._handed(started.parameters),
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

    def _handed(self, parameters: PaymentParameters | None) -> None:
        """Keep what a client was handed to pay by; the answer may come under a later move, and more than once."""
        if parameters is None:
            return
        prepay_id = parameters.package
        channel = next(each for each in self.stage.world.channels if prepay_id in each.by_prepay_id)
        trade = channel.by_prepay_id[prepay_id]
        if trade not in [payment.trade for payment in self.payments.values()]:
            self.payments[f"payment {len(self.payments) + 1}"] = Payable(channel, trade)

    def _pay_at_once(self, payment: Payable) -> None:
        payment.channel.pay(payment.trade.prepay_id, now=self.stage.now)
        self._tell(payment.channel.name, payment.channel.facts_of(payment.trade.out_trade_no), Telling.AT_ONCE)
        self.stage.run_due()

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
