"""The audit knows of events that were deleted because they are old, and still misses any other."""

from __future__ import annotations

from domain.events.streams import arrivals_stream, order_stream
from domain.ledger.audit import prove
from domain.orders.audit import PROOFS
from domain.orders.lifecycle import Trigger
from kernel.clock import utc_now
from models.events import Event
from tests.factories import create_card, create_order, create_viewer
from tests.subscriptions.happenings import arrive, forget_history, recharge, step

STEPS, ARRIVALS = "every step of an order is told by its event", "every arrival is told once"


async def missed() -> list[tuple[str, str]]:
    return [(rule, finding.subject) for rule in (STEPS, ARRIVALS) for finding in await prove(rule, PROOFS[rule])]


async def publish_and_forget() -> None:
    await Event.filter(published_at__isnull=True).update(published_at=utc_now())
    await forget_history()


async def test_what_was_purged_was_told(database: str) -> None:
    viewer = await create_viewer()
    card = await create_card(viewer)
    old, new = await create_order(viewer, card), await create_order(viewer, card)
    await recharge(old)
    await step(new.id, Trigger.START_PAYMENT)
    assert await missed() == []
    await publish_and_forget()
    assert await Event.all().count() == 0
    assert await missed() == []
    await step(new.id, Trigger.CONFIRM_PAYMENT, Trigger.SUBMIT_RECHARGE, Trigger.CONFIRM_RECHARGE)
    await arrive(new)
    assert await missed() == []
    stream = order_stream(new.id)
    await Event.filter(stream=stream, position=4).delete()
    assert await missed() == [(STEPS, stream)]
    await Event.filter(stream=arrivals_stream(viewer.user_id)).delete()
    assert await missed() == [(STEPS, stream), (ARRIVALS, arrivals_stream(viewer.user_id))]
