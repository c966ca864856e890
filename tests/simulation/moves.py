"""The moves of an order's life, one rule each, of which Hypothesis makes histories; see `test_stateful`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from domain.cards.ports import IssuerOrderState
from domain.identity.ports import FaceOutcome
from domain.orders import cases, operations
from domain.payments.ports import ChannelRefundState, TradeState
from domain.work import manual_queue
from kernel.states import PaymentMethod
from tests.simulation.channels import PayerRefused
from tests.simulation.fate import Commit, Exchange
from tests.simulation.hands import Far, Hands, Telling
from tests.simulation.issuer import CORRECTIONS
from tests.simulation.staff import approve_case
from tests.simulation.stage import OpenCase

T = TypeVar("T")
# How a recharge may end next; Hypothesis takes the first ones more often, and a refusal has the longest history.
ENDS = (
    IssuerOrderState.REFUSED,
    IssuerOrderState.SUCCEEDED,
    IssuerOrderState.NOT_ACCEPTED,
    IssuerOrderState.REVERSED,
)
ORDERS_MAX = 5
STAFF = 3
IMPATIENCE_S = 0.04
MINUTE_S, HOUR_S, DAY_S = 60.0, 3_600.0, 86_400.0
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


# An order that has come far may still go anywhere, and is rarely got there by chance.
# Mandates are signed at a third party that this world does not have.
METHODS = tuple(method for method in PaymentMethod if method is not PaymentMethod.MANDATE)
DISTANCES = (Far.ORDERED, Far.PAYING, Far.GIVEN_UP, Far.PAID, Far.SUBMITTED, Far.SUBMITTED, Far.SUBMITTED, Far.REFUSED)
# What a customer may want: an amount in yuan, or the number of an offer.
WISHES: tuple[str | int, ...] = ("100.00", "500.00", "2500.00", 0, 1)


def in_hand(found: Callable[[Books], Iterable[T]]) -> st.SearchStrategy[T]:
    """Draw one of what there is just now; a precondition says that there is something."""
    return st.runner().flatmap(lambda machine: st.sampled_from(list(found(machine))))


class Books(Hands):
    """Any move may come at any time, so many of them come at a time when they should change nothing.

    What they are made with is drawn from what is there by then, by a name that counts.
    """

    @initialize(full=st.booleans())
    def a_wallet_is_filled(self, full: bool) -> None:
        if full:
            for payment in self._top_up(0, Decimal(1_000)):
                self._pay_at_once(payment)

    @initialize(wish=st.sampled_from(WISHES), far=st.sampled_from(DISTANCES))
    def one_order_is_under_way(self, wish: str | int, far: Far) -> None:
        self._come(0, wish, PaymentMethod.WECHAT_PAY, far)

    @initialize(wish=st.sampled_from(WISHES), method=st.sampled_from(METHODS), far=st.sampled_from(DISTANCES))
    def another_order_is_under_way(self, wish: str | int, method: PaymentMethod, far: Far) -> None:
        self._come(0 if method is PaymentMethod.WALLET else 1, wish, method, far)

    @precondition(lambda self: len(self.orders) < ORDERS_MAX)
    @rule(customer=st.integers(0, 1), wish=st.sampled_from(WISHES))
    def a_customer_orders(self, customer: int, wish: str | int) -> None:
        self._order(customer, wish)

    @precondition(lambda self: self.orders)
    @rule(
        order=in_hand(lambda machine: machine.orders),
        method=st.sampled_from(METHODS),
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
        choice=st.integers(0, 2),
    )
    def the_issuer_ends(self, name: str, telling: Telling, choice: int) -> None:
        """It may be wrong at first; a correction is always told, because nobody asks after what is settled."""
        recharge = self.recharges[name]
        possible = [state for state in ENDS if state in CORRECTIONS[recharge.state]]
        if telling is Telling.NEVER and recharge.state is not IssuerOrderState.PROCESSING:
            telling = Telling.LATER
        issuer = self.stage.world.issuer_of(recharge)
        self._tell(issuer.name, issuer.settle(recharge, possible[choice % len(possible)]), telling)

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
            self._ask(lambda now: approve_case(staff=member, case_id=case.id, outcome=outcome, now=now))
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

    @rule(number=st.integers(0, 2), down=st.booleans(), refuses=st.booleans())
    def a_channel_changes(self, number: int, down: bool, refuses: bool) -> None:
        channel, lost = self.stage.world.channels[number], self.stage.world.network.down
        (lost.add if down else lost.discard)(channel.party)
        channel.refuses = refuses

    @rule(number=st.integers(0, 1), down=st.booleans(), closed=st.booleans())
    def an_issuer_changes(self, number: int, down: bool, closed: bool) -> None:
        issuer, lost = self.stage.world.issuers[number], self.stage.world.network.down
        (lost.add if down else lost.discard)(issuer.name)
        issuer.closed = closed

    @invariant()
    def the_books_are_true(self) -> None:
        self.stage.check()

    def teardown(self) -> None:
        try:
            if not self.stage.broken:
                self.stage.settle()
        finally:
            self.stage.close()
