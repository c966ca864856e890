"""What waits for a slow client: all of it, in order, where the stream is lossless; else the newest of each key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from schema.types.delivery import DeliveryPolicy
from subscriptions.deliveries import Delivery
from subscriptions.outbox import Lane, Outbox
from subscriptions.waiting import Gate, Mailbox
from subscriptions.wire import UNSENT_MAX_BYTES, SendingWire
from tests.subscriptions.support import eventually

PATIENCE_S = 30.0


class Tap:
    """A wire whose room is turned on and off by hand."""

    def __init__(self, *, room: int | None = None) -> None:
        self.closed = False
        self.sent: list[str] = []
        self.room_left = room
        self.gate = asyncio.Event()
        self.gate.set()

    @property
    def writable(self) -> bool:
        return self.gate.is_set()

    def write(self, text: bytes) -> None:
        self.sent.append(text.decode())
        if self.room_left is not None:
            self.room_left -= 1
            if self.room_left <= 0:
                self.gate.clear()

    async def room(self) -> None:
        await self.gate.wait()

    def close(self, code: int, reason: str) -> None:
        self.closed = True

    def give(self, room: int | None) -> None:
        self.room_left = room
        self.gate.set()


class Client:
    def __init__(self, tap: Tap, *, queue_size_max: int = 4, patience_s: float = PATIENCE_S) -> None:
        self.tap = tap
        self.stalled = 0
        self.overflowed: list[str | None] = []
        self.outbox = Outbox(tap, queue_size_max=queue_size_max, patience_s=patience_s, on_stalled=self._stall)

    def lane(self, policy: DeliveryPolicy, name: str = "") -> Lane:
        return self.outbox.lane(
            frame=lambda delivery: name.encode() + delivery.payload, policy=policy, on_overflow=self.overflowed.append
        )

    def _stall(self) -> None:
        self.stalled += 1
        self.tap.closed = True


def some(text: str, *, key: str | None = None) -> Delivery:
    return Delivery(text.encode(), cursor=f"at {text}", key=key)


def sent(tap: Tap, *texts: str) -> Callable[[], bool]:
    return lambda: tap.sent == list(texts)


class TestLossless:
    async def test_what_waits_goes_out_in_order_and_in_full(self) -> None:
        tap = Tap(room=1)
        lane = Client(tap).lane(DeliveryPolicy.LOSSLESS)
        for text in "abcde":
            lane.deliver(some(text, key="the same"))
        assert tap.sent == ["a"]
        tap.give(2)
        await eventually(sent(tap, "a", "b", "c"))
        tap.give(None)
        await eventually(sent(tap, *"abcde"))
        lane.deliver(some("f"))
        assert tap.sent[-1] == "f"
        assert lane.cursor == "at f"

    async def test_too_much_ends_it_with_the_cursor_of_what_went_out(self) -> None:
        tap = Tap(room=2)
        client = Client(tap, queue_size_max=3)
        lane = client.lane(DeliveryPolicy.LOSSLESS)
        for text in "abcdefgh":
            lane.deliver(some(text))
        assert client.overflowed == ["at b"]
        tap.give(None)
        await asyncio.sleep(0.02)
        assert tap.sent == ["a", "b"]

    async def test_nothing_went_out_before_there_is_no_cursor(self) -> None:
        tap = Tap()
        tap.gate.clear()
        client = Client(tap, queue_size_max=1)
        lane = client.lane(DeliveryPolicy.LOSSLESS)
        lane.deliver(some("a"))
        lane.deliver(some("b"))
        assert client.overflowed == [None]


class TestLatest:
    async def test_the_newest_of_each_key_goes_out_in_order_of_time(self) -> None:
        tap = Tap(room=1)
        lane = Client(tap).lane(DeliveryPolicy.LATEST)
        for text, key in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a"), ("b2", "b"), ("a4", "a")):
            lane.deliver(some(text, key=key))
        tap.give(None)
        await eventually(sent(tap, "a1", "b2", "a4"))
        assert lane.cursor == "at a4"

    async def test_what_has_no_key_is_not_replaced(self) -> None:
        tap = Tap(room=1)
        lane = Client(tap).lane(DeliveryPolicy.LATEST)
        for text, key in (("a1", "a"), ("gap", None), ("gap", None), ("a2", "a")):
            lane.deliver(some(text, key=key))
        tap.give(None)
        await eventually(sent(tap, "a1", "gap", "gap", "a2"))

    async def test_more_keys_than_may_wait_are_told_and_not_dropped(self) -> None:
        tap = Tap(room=1)
        client = Client(tap, queue_size_max=2)
        lane = client.lane(DeliveryPolicy.LATEST)
        for number in range(5):
            lane.deliver(some(str(number), key=str(number)))
        assert client.overflowed == ["at 0"]


class TestLanes:
    async def test_none_waits_for_a_busier_one(self) -> None:
        tap = Tap(room=1)
        client = Client(tap, queue_size_max=100)
        busy, calm = client.lane(DeliveryPolicy.LOSSLESS, "busy "), client.lane(DeliveryPolicy.LOSSLESS, "calm ")
        for number in range(50):
            busy.deliver(some(str(number)))
        calm.deliver(some("0"))
        for _ in range(3):
            tap.give(2)
            await eventually(lambda: not tap.writable)
        assert "calm 0" in tap.sent

    async def test_the_last_word_comes_behind_what_waits(self) -> None:
        tap = Tap(room=1)
        lane = Client(tap).lane(DeliveryPolicy.LOSSLESS)
        for text in "abc":
            lane.deliver(some(text))
        lane.finish(b"complete")
        lane.deliver(some("d"))
        tap.give(None)
        await eventually(sent(tap, "a", "b", "c", "complete"))

    async def test_a_closed_lane_sends_nothing_of_what_waited(self) -> None:
        tap = Tap(room=1)
        client = Client(tap)
        lane, other = client.lane(DeliveryPolicy.LOSSLESS), client.lane(DeliveryPolicy.LOSSLESS)
        for text in "abc":
            lane.deliver(some(text))
        lane.close()
        other.deliver(some("x"))
        tap.give(None)
        await eventually(sent(tap, "a", "x"))

    async def test_room_is_when_nothing_waits(self) -> None:
        tap = Tap(room=1)
        lane = Client(tap).lane(DeliveryPolicy.LOSSLESS)
        await lane.room()
        lane.deliver(some("a"))
        lane.deliver(some("b"))
        waiting = asyncio.create_task(lane.room())
        await asyncio.sleep(0.02)
        assert not waiting.done()
        tap.give(None)
        await asyncio.wait_for(waiting, PATIENCE_S)
        assert tap.sent == ["a", "b"]

    async def test_a_client_without_room_for_too_long_is_told_of_once(self) -> None:
        tap = Tap(room=1)
        client = Client(tap, patience_s=0.05)
        lane = client.lane(DeliveryPolicy.LOSSLESS)
        lane.deliver(some("a"))
        lane.deliver(some("b"))
        await eventually(lambda: client.stalled == 1)
        await asyncio.sleep(0.1)
        assert client.stalled == 1
        assert tap.sent == ["a"]

    async def test_closing_forgets_everything(self) -> None:
        tap = Tap(room=1)
        client = Client(tap)
        lane = client.lane(DeliveryPolicy.LOSSLESS)
        for text in "abc":
            lane.deliver(some(text))
        client.outbox.close()
        tap.give(None)
        await asyncio.sleep(0.02)
        assert tap.sent == ["a"]


class TestSendingWire:
    async def test_it_says_when_too_much_is_unsent_and_closes_behind_it(self) -> None:
        gate, sent, closed = asyncio.Event(), [], []

        async def send(text: bytes) -> None:
            await gate.wait()
            sent.append(len(text))

        async def close(code: int, reason: str) -> None:
            closed.append((code, reason, len(sent)))

        wire = SendingWire(send, close)
        wire.write(bytes(UNSENT_MAX_BYTES))
        before = wire.writable
        wire.write(b"x")
        assert (before, wire.writable) == (True, False)
        waiting = asyncio.create_task(wire.room())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        gate.set()
        await asyncio.wait_for(waiting, PATIENCE_S)
        wire.write(b"y")
        wire.close(4000, "é" * 100)
        wire.write(b"never")
        wire.close(4001, "never")
        await wire.finished()
        assert sent == [UNSENT_MAX_BYTES, 1, 1]
        assert closed == [(4000, "é" * 61, 3)]
        assert wire.closed

    @pytest.mark.parametrize("error", [RuntimeError("closed"), OSError("gone")])
    async def test_a_client_who_has_gone_is_written_to_no_more(self, error: Exception) -> None:
        async def send(text: bytes) -> None:
            raise error

        async def close(code: int, reason: str) -> None:
            raise AssertionError("there is nobody to say it to")

        wire = SendingWire(send, close)
        wire.write(bytes(2 * UNSENT_MAX_BYTES))
        await asyncio.wait_for(wire.room(), PATIENCE_S)
        assert wire.closed
        await wire.finished()


class TestWaiting:
    async def test_a_mailbox_gives_messages_in_order_and_survives_a_cancelled_reader(self) -> None:
        box = Mailbox[int]()
        reading = asyncio.create_task(box.get())
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        box.put_nowait(1)
        box.put_nowait(2)
        assert [await box.get(), await box.get()] == [1, 2]
        assert box.empty()
        reading = asyncio.create_task(box.get())
        await asyncio.sleep(0)
        box.put_nowait(3)
        assert await reading == 3

    async def test_a_gate_lets_everybody_through_who_is_there(self) -> None:
        gate = Gate()
        waiting = [asyncio.create_task(gate.wait()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        assert not any(each.done() for each in waiting[1:])
        gate.set()
        await asyncio.gather(*waiting[1:])
        # It stays open for whoever comes later.
        await asyncio.wait_for(gate.wait(), PATIENCE_S)
