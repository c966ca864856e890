"""An event that is published before its commit tells of what never happened, and hides what did.

Nothing in the database knows of it. What catches it is that a subscriber must have heard what the table holds, event by
event; the relay reads committed rows only, so without the fault that is so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from tortoise.transactions import in_transaction

import models.database
from domain.events import messages, queries
from domain.events.operations import append
from domain.events.ports import StoredEvent
from domain.events.streams import order_stream
from domain.orders import transitions
from domain.orders.lifecycle import Trigger
from domain.orders.transitions import advance, lock
from kernel.clock import utc_now
from models.database import transactional
from tests.audits import assert_audits_find_nothing
from tests.factories import create_card, create_order, create_viewer
from tests.subscriptions.support import Reader, Running, running, settings_for


class ServerDied(Exception):
    """The process is gone, and with it the transaction that it was in."""


@asynccontextmanager
async def dying_before_the_commit() -> AsyncIterator[None]:
    async with in_transaction():
        yield
        raise ServerDied


@transactional
async def step(order_id: UUID, trigger: Trigger) -> None:
    await advance(await lock(order_id), trigger, actor="tests", now=utc_now())


def publish_at_once(patch: pytest.MonkeyPatch, system: Running) -> None:
    """An event goes out while its transaction still runs, to be faster than the relay."""

    async def append_and_publish(**event: Any) -> int:
        position = await append(**event)
        stored = StoredEvent(event["stream"], position, event["type"].value, event["payload"], event["now"])
        await system.broadcast.publish(event["stream"], messages.encode(stored))
        return position

    patch.setattr(transitions, "append", append_and_publish)


@pytest.mark.parametrize("planted", [False, True])
async def test_what_is_heard_is_what_is_told(database: str, monkeypatch: pytest.MonkeyPatch, planted: bool) -> None:
    viewer = await create_viewer()
    order = await create_order(viewer, await create_card(viewer))
    stream = order_stream(order.id)
    async with running(settings_for()) as system:
        reader = await Reader(system.hub, stream, after=1).subscribed()
        if planted:
            publish_at_once(monkeypatch, system)
        with monkeypatch.context() as patch:
            patch.setattr(models.database, "tortoise_transaction", dying_before_the_commit)
            with pytest.raises(ServerDied):
                await step(order.id, Trigger.CANCEL)
        # The order was not cancelled, so it can be paid.
        await step(order.id, Trigger.START_PAYMENT)
        await step(order.id, Trigger.CLOSE_ATTEMPT)
        await reader.until(2)
        await reader.stop()
        heard = [(event.position, event.payload["state"]) for event in reader.events]
    told = [(event.position, event.payload["state"]) for event in await queries.after(stream, position=1, limit=10)]
    assert told == [(2, "PAYING"), (3, "PENDING_PAYMENT")]
    assert heard == ([(2, "FAILED"), (3, "PENDING_PAYMENT")] if planted else told)
    # The books are true all the same: only whoever listens can tell.
    await assert_audits_find_nothing()
