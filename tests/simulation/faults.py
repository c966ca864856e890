"""Faults of the code that the stateful tests must find, each with what it then says."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

from domain.cards.ports import IssuerOrderState, IssuerUnavailable, RechargeFacts, RechargeRequest
from domain.orders import lifecycle, refunding
from domain.orders.lifecycle import UNPAID_KINDS, Rule, Standing, Trigger
from domain.payments.ports import RefundRequest
from kernel.states import OrderState
from tests.simulation.issuer import SimulatedIssuer


@contextmanager
def late_payments_reopen() -> Iterator[None]:
    """An order that failed unpaid recharges after all when its money comes."""
    step = (OrderState.FAILED, Trigger.LATE_PAYMENT)

    class Reopening(Rule):
        def after(self, standing: Standing) -> Standing:
            return Standing(OrderState.RECHARGING, None, standing.review_state)

    reopening = Reopening(7, OrderState.FAILED, Trigger.LATE_PAYMENT, OrderState.RECHARGING, kinds=UNPAID_KINDS)
    with patch.dict(lifecycle.BY_STEP, {step: reopening}):
        yield


@contextmanager
def refunds_are_retried_under_new_numbers() -> Iterator[None]:
    """A refund that is asked for again looks like another one to the channel."""
    numbers = itertools.count(1)

    def request(*, out_refund_no: str, **rest: Any) -> RefundRequest:
        return RefundRequest(out_refund_no=f"{out_refund_no}-{next(numbers)}", **rest)

    with patch.object(refunding, "RefundRequest", request):
        yield


@contextmanager
def silence_is_taken_for_a_refusal() -> Iterator[None]:
    """An issuer that does not answer is believed not to have recharged."""
    submit = SimulatedIssuer.submit

    async def guess(issuer: SimulatedIssuer, request: RechargeRequest) -> RechargeFacts:
        try:
            return await submit(issuer, request)
        except IssuerUnavailable:
            refused = IssuerOrderState.REFUSED
            return RechargeFacts(request.attempt_id, refused, None, request.amount_fen, None, "no answer")

    with patch.object(SimulatedIssuer, "submit", guess):
        yield


FAULTS: dict[Callable[[], AbstractContextManager[None]], str] = {
    late_payments_reopen: "an order that was FAILED is",
    refunds_are_retried_under_new_numbers: "UnknownRefund|which is no refund of ours",
    silence_is_taken_for_a_refusal: "is REFUSED, there",
}
