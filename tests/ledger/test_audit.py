"""The audit finds each way of cooking the books, and nothing in true ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from domain.ledger import audit as ledger
from domain.ledger import postings
from domain.ledger.operations import post
from domain.orders import audit as orders
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.states import FailureKind, OrderState, PaymentState, RefundState
from models.database import transactional
from models.ledger import LedgerAccount, LedgerTransaction
from models.orders import RechargeOrder
from models.payments import PaymentAttempt, Refund
from tests.factories import create_card, create_order, create_viewer

CLEARING = postings.channel_clearing("wechat_pay", "1900000209")


@pytest.fixture
async def order(database: str) -> RechargeOrder:
    """A paid order on its way to the card, with true books."""
    viewer = await create_viewer()
    order = await create_order(viewer, await create_card(viewer))
    await PaymentAttempt.create(
        id=new_id(),
        order_id=order.id,
        number=1,
        channel="wechat_pay",
        sub_mchid="1900000209",
        out_trade_no=order.id.hex,
        amount_fen=order.amount_fen,
        state=PaymentState.PAID,
        transaction_id="t",
        created_at=utc_now(),
    )
    await RechargeOrder.filter(id=order.id).update(state=OrderState.RECHARGING)
    await _post(postings.paid(order_id=order.id, attempt=1, clearing=CLEARING, amount_fen=order.amount_fen))
    return order


@transactional
async def _post(*posting: postings.Posting) -> None:
    await post(*posting, now=utc_now())


async def rules_broken() -> set[str]:
    return {finding.rule for finding in (*await ledger.findings(), *await orders.findings())}


async def test_true_books_are_proven(order: RechargeOrder) -> None:
    assert await rules_broken() == set()


async def _double_credit(order: RechargeOrder) -> None:
    await _post(postings.paid(order_id=order.id, attempt=2, clearing=CLEARING, amount_fen=order.amount_fen))


async def _succeed_without_posting(order: RechargeOrder) -> None:
    await RechargeOrder.filter(id=order.id).update(state=OrderState.SUCCEEDED)


async def _balance_moved_by_hand(_order: RechargeOrder) -> None:
    await LedgerAccount.filter(code=CLEARING).update(balance_fen=1)


async def _transaction_without_entries(_order: RechargeOrder) -> None:
    await LedgerTransaction.create(id=new_id(), key="empty", occurred_at=utc_now())


async def _fail_without_owing(order: RechargeOrder) -> None:
    await RechargeOrder.filter(id=order.id).update(state=OrderState.FAILED, failure_kind=FailureKind.ISSUER_REFUSED)


async def _refund_twice(order: RechargeOrder) -> None:
    await _fail_without_owing(order)
    await _post(postings.failed(order_id=order.id, attempt=1, amount_fen=order.amount_fen))
    attempt = await PaymentAttempt.get(order_id=order.id)
    await Refund.create(
        id=new_id(),
        order_id=order.id,
        attempt_id=attempt.id,
        out_refund_no="R",
        amount_fen=order.amount_fen * 2,
        state=RefundState.SUCCESS,
        created_at=utc_now(),
    )


async def _step_without_a_story(order: RechargeOrder) -> None:
    await RechargeOrder.filter(id=order.id).update(version=7)


TRANSIT_RULE, OWED_RULE, REFUND_RULE, _PAID_RULE, STORY_RULE = orders.PROOFS
BALANCED_RULE, REPLAY_RULE, _OVERDRAFT_RULE = ledger.PROOFS


@pytest.mark.parametrize(
    ("cook", "rule"),
    [
        (_double_credit, TRANSIT_RULE),
        (_succeed_without_posting, TRANSIT_RULE),
        (_balance_moved_by_hand, REPLAY_RULE),
        (_transaction_without_entries, BALANCED_RULE),
        (_fail_without_owing, OWED_RULE),
        (_refund_twice, REFUND_RULE),
        (_step_without_a_story, STORY_RULE),
    ],
)
async def test_cooked_books_are_found(
    order: RechargeOrder, cook: Callable[[RechargeOrder], Awaitable[None]], rule: str
) -> None:
    await cook(order)
    assert rule in await rules_broken()


async def test_the_subject_is_named(order: RechargeOrder) -> None:
    await _fail_without_owing(order)
    found = [finding for finding in await orders.findings() if finding.rule == OWED_RULE]
    assert [UUID(finding.subject) for finding in found] == [order.id]
    assert found[0].figures["paid_fen"] == order.amount_fen
