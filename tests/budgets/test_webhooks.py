"""Webhooks pay as well: at their registration for one event, and for each event that is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from models.webhooks import Webhook
from tests.budgets.conftest import Opening
from tests.schema.support import ask
from tests.schema.test_webhooks import REGISTER, with_scopes
from tests.webhooks.receiver import Receiver, receiving
from tests.webhooks.support import ARRIVALS, Arrivals, amounts, create_partner, house

# What is spent is there again before anybody can ask, so that only the size of the budget can refuse something.
REFILLED_AT_ONCE = 1_000_000_000


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as there:
        yield there


async def test_a_document_whose_events_nobody_could_pay_is_refused(opening: Opening, receiver: Receiver) -> None:
    partner = with_scopes(
        await opening(cost_partner_max=100, cost_partner_refill_per_s=REFILLED_AT_ONCE), "recharge", "webhooks"
    )
    dear = """subscription ($after: String) { arrivals(after: $after) {
      ... on ArrivalGap { arrivals { order { story { __typename } } } } } }"""
    answer = await ask(partner, REGISTER, url=receiver.url, document=dear)
    assert (answer["code"], answer["documentReason"]) == ("WEBHOOK_DOCUMENT_INVALID", "TOO_COMPLEX")
    assert "100 is the most" in answer["detail"]
    assert await Webhook.all().count() == 0
    cheap = "subscription ($after: String) { arrivals(after: $after) { __typename } }"
    assert (await ask(partner, REGISTER, url=receiver.url, document=cheap))["__typename"] == "WebhookSecretSuccess"


async def test_the_limit_that_a_document_breaks_is_named(opening: Opening, receiver: Receiver) -> None:
    partner = with_scopes(await opening(document_depth_max=4), "recharge", "webhooks")
    answer = await ask(partner, REGISTER, url=receiver.url, document=ARRIVALS)
    assert answer["documentReason"] == "TOO_COMPLEX"
    assert "DEPTH" in answer["detail"]
    assert "4" in answer["detail"]
    assert await Webhook.all().count() == 0


@pytest.mark.usefixtures("database")
async def test_each_event_is_paid_by_its_owner(receiver: Receiver) -> None:
    partner = await create_partner()
    arrivals = await Arrivals.of(partner)
    async with house(rate_limit_factor=1, cost_partner_max=1_000, cost_partner_refill_per_s=0.01) as here:
        await here.register(partner, receiver.url)
        budgets = here.services.budgets
        draw = budgets.draw(viewer=partner, address="", cost=0)
        assert budgets.buckets.peek(draw).remaining == 1_000
        await arrivals.happen(10)
        await receiver.until(10)
        # The subscription, its field, the event, the notice, the amount and the order, and what these lead to.
        assert budgets.buckets.peek(draw).remaining <= 1_000 - 10 * 8


@pytest.mark.usefixtures("database")
async def test_where_the_owner_has_spent_everything_events_wait_and_none_is_lost(receiver: Receiver) -> None:
    partner = await create_partner()
    arrivals = await Arrivals.of(partner)
    async with house(rate_limit_factor=1, cost_partner_max=40, cost_partner_refill_per_s=100) as here:
        made = await here.register(partner, receiver.url)
        await arrivals.happen(12)
        requests = await receiver.until(12)
        assert amounts([request.verified(made.secret) for request in requests]) == list(range(1, 13))
