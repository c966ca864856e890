"""An issuer that corrects itself, contradicts itself, or whose callbacks cross on the way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

import httpx
import pytest

from domain.cards.ports import CardIssuer, IssuerNotice, IssuerNoticeRefused, IssuerOrderState
from domain.orders.ports import ThirdParties
from tests.gateways.stand_ins import Listener, Signer, create_recharge, now, recharge_document
from tests.sandbox_fixtures import Sandbox

COST_FEN = 49_750
SUCCEEDED, REFUSED, REVERSED = IssuerOrderState.SUCCEEDED, IssuerOrderState.REFUSED, IssuerOrderState.REVERSED
Told = Callable[[int], Awaitable[list[IssuerNotice]]]


@pytest.fixture
def issuer(parties: ThirdParties) -> CardIssuer:
    return parties.issuer


@pytest.fixture
def told(issuer: CardIssuer, listener: Listener) -> Told:
    """Return the first callbacks, opened, in the order in which they came."""

    async def wait(count: int) -> list[IssuerNotice]:
        deliveries = await listener.wait_for(count)
        return [issuer.open_notice(headers=each.headers, body=each.body, now=now()) for each in deliveries]

    return wait


async def submit(issuer: CardIssuer, sandbox: Sandbox) -> UUID:
    """Submit a recharge that stays open until somebody settles it."""
    sandbox.faults(issuer="stuck", times=1)
    request = create_recharge()
    await issuer.submit(request)
    return request.attempt_id


async def test_success_after_refusal(issuer: CardIssuer, sandbox: Sandbox, told: Told) -> None:
    sandbox.faults(issuer="refuse", issuer_delay_ms=0, times=1)
    request = create_recharge()
    await issuer.submit(request)
    (first,) = await told(1)
    assert (first.recharge.state, first.recharge.cost_fen) == (REFUSED, None)
    sandbox.settle_recharge(request.attempt_id, "SUCCEEDED")
    first, second = await told(2)
    assert first.notice_id != second.notice_id
    assert (second.recharge.state, second.recharge.cost_fen, second.recharge.reason) == (SUCCEEDED, COST_FEN, "")
    assert second.recharge.issuer_order_id == first.recharge.issuer_order_id
    assert await issuer.query(request.attempt_id) == second.recharge


async def test_a_reversal_is_a_fact_of_its_own(issuer: CardIssuer, sandbox: Sandbox, told: Told) -> None:
    attempt_id = await submit(issuer, sandbox)
    sandbox.settle_recharge(attempt_id, "SUCCEEDED")
    await told(1)
    sandbox.settle_recharge(attempt_id, "REVERSED")
    first, second = await told(2)
    assert [each.recharge.state for each in (first, second)] == [SUCCEEDED, REVERSED]
    assert first.notice_id != second.notice_id
    assert second.recharge.cost_fen == COST_FEN
    assert second.recharge.reason == "充值已冲正，金额已退回"
    assert await issuer.query(attempt_id) == second.recharge


@pytest.mark.parametrize("state", ["PROCESSING", "REFUSED", "REVERSED"])
async def test_only_what_has_succeeded_is_reversed(issuer: CardIssuer, sandbox: Sandbox, state: str) -> None:
    attempt_id = await submit(issuer, sandbox)
    for step in {"REFUSED": ["REFUSED"], "REVERSED": ["SUCCEEDED", "REVERSED"]}.get(state, []):
        sandbox.settle_recharge(attempt_id, step)
    sent = len(sandbox.callbacks(attempt_id))
    with pytest.raises(httpx.HTTPStatusError, match="409"):
        sandbox.settle_recharge(attempt_id, "REVERSED")
    assert (await issuer.query(attempt_id)).state == state
    assert len(sandbox.callbacks(attempt_id)) == sent


async def test_a_reversal_told_to_nobody_is_found_by_a_query(
    issuer: CardIssuer, sandbox: Sandbox, listener: Listener
) -> None:
    sandbox.faults(issuer="silent", issuer_delay_ms=0)
    request = create_recharge()
    await issuer.submit(request)
    await sandbox.wait_until(lambda: sandbox.recharge(request.attempt_id)["state"] == "SUCCEEDED")
    sandbox.settle_recharge(request.attempt_id, "REVERSED")
    assert (await issuer.query(request.attempt_id)).state is REVERSED
    assert (sandbox.callbacks(request.attempt_id), listener.deliveries) == ([], [])


async def test_what_is_settled_by_hand_is_not_settled_again_by_the_clock(issuer: CardIssuer, sandbox: Sandbox) -> None:
    by_hand, by_clock = create_recharge(), create_recharge()
    await issuer.submit(by_hand)
    sandbox.settle_recharge(by_hand.attempt_id, "REFUSED")
    await issuer.submit(by_clock)
    await sandbox.wait_until(lambda: sandbox.recharge(by_clock.attempt_id)["state"] == "SUCCEEDED")
    assert (await issuer.query(by_hand.attempt_id)).state is REFUSED


@pytest.mark.parametrize("truth", [("REFUSED", "SUCCEEDED"), ("SUCCEEDED", "REFUSED")])
class TestCrossing:
    """Both outcomes are on the way; what a query says is the later one, whichever arrives last."""

    async def crossing(self, issuer: CardIssuer, sandbox: Sandbox, truth: tuple[str, str]) -> UUID:
        attempt_id = await submit(issuer, sandbox)
        sandbox.faults(callbacks="hold", times=2)
        for state in truth:
            sandbox.settle_recharge(attempt_id, state)
        return attempt_id

    @pytest.mark.parametrize("order", ["oldest_first", "newest_first"])
    async def test_in_either_order(
        self, issuer: CardIssuer, sandbox: Sandbox, told: Told, truth: tuple[str, str], order: str
    ) -> None:
        attempt_id = await self.crossing(issuer, sandbox, truth)
        assert [each["tries"] for each in sandbox.callbacks(attempt_id)] == [[], []]
        assert sandbox.repeat_callbacks(attempt_id, order) == 2
        arrived = [str(each.recharge.state) for each in await told(2)]
        assert arrived == (list(truth) if order == "oldest_first" else list(truth)[::-1])
        assert (await issuer.query(attempt_id)).state == truth[1]

    async def test_at_once(self, issuer: CardIssuer, sandbox: Sandbox, told: Told, truth: tuple[str, str]) -> None:
        attempt_id = await self.crossing(issuer, sandbox, truth)
        sandbox.repeat_callbacks(attempt_id)
        assert {str(each.recharge.state) for each in await told(2)} == set(truth)
        assert (await issuer.query(attempt_id)).state == truth[1]


@pytest.mark.parametrize(
    ("event", "changes"),
    [
        ("RECHARGE.REVERSED", {"state": "SUCCEEDED"}),
        ("RECHARGE.SUCCEEDED", {"state": "REVERSED"}),
        ("RECHARGE.REVERSED", {"state": "REVERSED", "cost_fen": None}),
        ("RECHARGE.REVERSED", {"state": "REVERSED", "cost_fen": -1}),
    ],
)
async def test_a_reversal_that_contradicts_itself_or_says_no_amount(
    issuer: CardIssuer, issuing: Signer, event: str, changes: dict[str, object]
) -> None:
    document = recharge_document(create_recharge().attempt_id)
    good = issuing.issuer_notice("RECHARGE.REVERSED", {**document, "state": "REVERSED"})
    opened = issuer.open_notice(headers=issuing.issuer_headers(good), body=good, now=now())
    assert (opened.recharge.state, opened.recharge.cost_fen) == (REVERSED, COST_FEN)
    body = issuing.issuer_notice(event, {**document, **changes})
    with pytest.raises(IssuerNoticeRefused):
        issuer.open_notice(headers=issuing.issuer_headers(body), body=body, now=now())
