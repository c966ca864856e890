"""The event table as outbox and history: positions, commits, and the signal that follows them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from domain.events import messages, queries, signals
from domain.events.messages import MessageMalformed
from domain.events.operations import MARK_PUBLISHED_ALONE, EventOutsideTransaction, append, mark_published
from domain.events.ports import StoredEvent
from domain.events.streams import PRICES, EventType
from kernel.clock import utc_now
from models.database import after_commit, connected, transactional
from models.events import Event, EventStream
from models.lean_transactions import write_alone


@transactional
async def write(stream: str, *payloads: dict[str, Any], fails: bool = False) -> list[int]:
    positions = [
        await append(stream=stream, type=EventType.PRICE_CHANGED, payload=payload, now=utc_now())
        for payload in payloads
    ]
    if fails:
        raise RuntimeError("rolled back")
    return positions


class TestAppend:
    async def test_positions_count_up_in_each_stream(self, database: str) -> None:
        assert await write("a", {"n": 1}, {"n": 2}) == [1, 2]
        assert await write("b", {"n": 1}) == [1]
        assert await write("a", {"n": 3}) == [3]
        assert (await queries.head("a"), await queries.head("b"), await queries.head("c")) == (3, 1, 0)
        assert await queries.heads(["a", "b", "c"]) == {"a": 3, "b": 1}

    async def test_concurrent_writers_leave_no_gap_and_no_double(self, database: str) -> None:
        written = await asyncio.gather(*(write(PRICES, {"n": n}) for n in range(40)))
        assert sorted(position for positions in written for position in positions) == list(range(1, 41))
        events = await queries.after(PRICES, position=0, limit=100)
        assert [event.position for event in events] == list(range(1, 41))

    async def test_a_rolled_back_event_gives_its_position_back(self, database: str) -> None:
        with pytest.raises(RuntimeError, match="rolled back"):
            await write(PRICES, {"n": 1}, fails=True)
        assert await Event.all().count() == 0
        assert await EventStream.all().count() == 0
        assert await write(PRICES, {"n": 2}) == [1]

    async def test_outside_a_transaction_it_is_refused(self, database: str) -> None:
        with pytest.raises(EventOutsideTransaction):
            await append(stream=PRICES, type=EventType.PRICE_CHANGED, payload={}, now=utc_now())
        assert await Event.all().count() == 0


class TestReading:
    async def test_after_gives_a_page_behind_the_position(self, database: str) -> None:
        await write("a", *({"n": n} for n in range(1, 8)))
        await write("b", {"n": 100})
        page = await queries.after("a", position=2, limit=3)
        assert [(event.position, event.payload) for event in page] == [(3, {"n": 3}), (4, {"n": 4}), (5, {"n": 5})]
        assert page[0].stream == "a"
        assert page[0].type == "price.changed"
        assert page[0].occurred_at.tzinfo is not None
        assert await queries.after("a", position=7, limit=3) == []

    async def test_what_is_marked_is_not_unpublished(self, database: str) -> None:
        await write("a", {"n": 1}, {"n": 2})
        await write("b", {"n": 3})
        waiting = await queries.unpublished(limit=2)
        assert [(item.event.stream, item.event.position) for item in waiting] == [("a", 1), ("a", 2)]
        await mark_published(ids=[item.id for item in waiting], now=utc_now())
        (left,) = await queries.unpublished(limit=2)
        assert left.event.stream == "b"

    async def test_nobody_waits_for_the_disk_when_it_is_marked(self, postgres_url: str) -> None:
        async with connected(postgres_url):
            await write("a", {"n": 1})
            (item,) = await queries.unpublished(limit=1)
            # The tests' own server never waits.
            await write_alone("SELECT set_config('synchronous_commit', 'on', false)")
            (marked,) = await write_alone(MARK_PUBLISHED_ALONE, [item.id], utc_now())
            assert marked["waits"] == "off"
            assert await queries.unpublished(limit=1) == []
            # Whoever has the connection next does.
            (after,) = await write_alone("SELECT current_setting('synchronous_commit') AS waits")
            assert after["waits"] == "on"

    async def test_marking_twice_keeps_the_first_moment(self, database: str) -> None:
        await write("a", {"n": 1})
        (item,) = await queries.unpublished(limit=1)
        first = utc_now()
        await mark_published(ids=[item.id], now=first)
        await mark_published(ids=[item.id], now=utc_now())
        assert (await Event.get(id=item.id)).published_at == first


class TestSignal:
    async def test_a_commit_wakes_every_listener_once_it_can_be_seen(self, database: str) -> None:
        with signals.listening() as one, signals.listening() as other:
            await write(PRICES, {"n": 1})
            assert one.is_set()
            assert other.is_set()
            assert await queries.head(PRICES) == 1

    async def test_a_rollback_wakes_nobody(self, database: str) -> None:
        with signals.listening() as committed:
            with pytest.raises(RuntimeError, match="rolled back"):
                await write(PRICES, {"n": 1}, fails=True)
            assert not committed.is_set()

    async def test_what_has_work_for_nobody_else_wakes_the_relays(self) -> None:
        with signals.listening() as other:
            with signals.listening(relays=True) as relay:
                signals.notify_relays()
                assert relay.is_set()
                assert not other.is_set()
            # Without a relay here, those of other processes have to hear of it.
            signals.notify_relays()
            assert other.is_set()

    async def test_who_stopped_listening_is_left_alone(self, database: str) -> None:
        with signals.listening() as committed:
            pass
        await write(PRICES, {"n": 1})
        assert not committed.is_set()


class TestAfterCommit:
    async def test_a_callback_runs_once_outside_the_transaction_and_cannot_undo_it(self, database: str) -> None:
        seen: list[str] = []

        def note() -> None:
            # A new callback would be refused here: the transaction is over.
            with pytest.raises(RuntimeError, match="no transaction"):
                after_commit(note)
            seen.append("note")

        def fail() -> None:
            raise ValueError("too late")

        @transactional
        async def work() -> None:
            after_commit(fail)
            after_commit(note)
            after_commit(note)
            await write(PRICES, {"n": 1})
            assert seen == []

        await work()
        assert seen == ["note"]
        assert await queries.head(PRICES) == 1

    def test_outside_a_transaction_it_is_refused(self) -> None:
        with pytest.raises(RuntimeError, match="no transaction"):
            after_commit(lambda: None)


class TestMessages:
    def test_an_event_survives_the_way(self) -> None:
        event = StoredEvent(
            stream="order:1", position=7, type="order.changed", payload={"名": ["油", 1, None]}, occurred_at=utc_now()
        )
        assert messages.decode("order:1", messages.encode(event)) == event

    @pytest.mark.parametrize(
        "message",
        [
            "",
            "null",
            "[]",
            "{}",
            '"text"',
            '{"position": "1", "type": "t", "payload": {}, "occurred_at": "2026-04-22T00:00:00+00:00"}',
            '{"position": 1, "type": 2, "payload": {}, "occurred_at": "2026-04-22T00:00:00+00:00"}',
            '{"position": 1, "type": "t", "payload": [], "occurred_at": "2026-04-22T00:00:00+00:00"}',
            '{"position": 1, "type": "t", "payload": {}, "occurred_at": "2026-04-22T00:00:00"}',
            '{"position": 1, "type": "t", "payload": {}, "occurred_at": 5}',
        ],
    )
    def test_what_is_not_an_event_is_refused(self, message: str) -> None:
        with pytest.raises(MessageMalformed):
            messages.decode("order:1", message)
