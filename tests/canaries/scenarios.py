"""What happens while a fault is looked for. Without one, each of these ends well and nobody finds anything.

Each returns the names by which an offence would be told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from models.orders import RechargeAttempt, RechargeOrder
from models.payments import PaymentAttempt, Refund
from tests.canaries.stage import Stage
from tests.simulation.channels import NAME
from tests.simulation.fate import Commit, Exchange

Names = dict[str, str]
Scenario = Callable[[Stage], Awaitable[Names]]


async def _names(stage: Stage, order: RechargeOrder) -> Names:
    """The order, its user, and what it has: the last payment with its channel, the first recharge, the refund."""
    names = {"order": str(order.id), "user": str(order.user_id)}
    if payment := await PaymentAttempt.filter(order_id=order.id).order_by("-number").first():
        names |= {"payment": payment.out_trade_no, "channel": f"{payment.channel}:{payment.sub_mchid}"}
    if recharge := await RechargeAttempt.filter(order_id=order.id).order_by("number").first():
        names["first_recharge"] = str(recharge.id)
    if refund := await Refund.get_or_none(order_id=order.id):
        names["refund"] = refund.out_refund_no
    return names


async def recharged(stage: Stage) -> Names:
    """A payment is told, and the card is recharged."""
    order = await stage.order()
    stage.tell(NAME, stage.pay(await stage.start(order)))
    await stage.settle()
    return await _names(stage, order)


async def told_twice(stage: Stage) -> Names:
    """The channel tells of a payment again when the card is recharged already."""
    order = await stage.order()
    facts = stage.pay(await stage.start(order))
    for _ in range(2):
        stage.tell(NAME, facts)
        await stage.settle()
    return await _names(stage, order)


async def submission_unanswered(stage: Stage) -> Names:
    """The issuer recharges, and its answer is lost."""
    stage.fate.exchanges["submit"].append(Exchange.ANSWER_LOST)
    return await recharged(stage)


async def topped_up(stage: Stage) -> Names:
    """The channel tells of a payment into the wallet twice."""
    top_up, prepay_id = await stage.top_up()
    facts = stage.pay(prepay_id)
    for _ in range(2):
        stage.tell(NAME, facts)
        await stage.settle()
    channel = f"{top_up.channel}:{top_up.sub_mchid}"
    return {"user": str(top_up.user_id), "top_up": str(top_up.id), "channel": channel}


async def paid_too_late(stage: Stage) -> Names:
    """A payment arrives for an order that was cancelled, and goes back. Only the callback tells of it."""
    return await _paid_too_late(stage, server_dies=False)


async def paid_too_late_and_the_server_dies(stage: Stage) -> Names:
    """The server dies while it takes that callback, just before it commits."""
    return await _paid_too_late(stage, server_dies=True)


async def _paid_too_late(stage: Stage, *, server_dies: bool) -> Names:
    order = await stage.order()
    prepay_id = await stage.start(order)
    await stage.cancel(order)
    stage.tell(NAME, stage.pay(prepay_id, late=True), server_dies=server_dies)
    await stage.settle()
    return await _names(stage, order)


async def refund_unanswered(stage: Stage) -> Names:
    """The issuer refuses; the channel refunds, and its answer is lost."""
    stage.third.refuses = True
    stage.fate.exchanges["refund"].append(Exchange.ANSWER_LOST)
    return await recharged(stage)


async def refunded_by_the_second_route(stage: Stage) -> Names:
    """The first route cannot be reached, the payment takes the second one, and goes back by it."""
    stage.third.refuses = True
    stage.fate.exchanges["prepay"].append(Exchange.UNREACHABLE)
    return await recharged(stage)


async def cancelled_while_dying(stage: Stage) -> Names:
    """The server dies before it commits a cancellation, and the customer asks again."""
    order = await stage.order()
    stage.fate.commits.append(Commit.DIES_BEFORE)
    await stage.cancel(order)
    return await _names(stage, order)


async def cancelled_and_dead(stage: Stage) -> Names:
    """The server dies as soon as it has committed a cancellation, and the customer asks again."""
    order = await stage.order()
    stage.fate.commits.append(Commit.DIES_AFTER)
    await stage.cancel(order)
    return await _names(stage, order)
