"""The courier against receivers of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sandbox.courier import TRIES_AT_ONCE_MAX, Courier
from sandbox.faults import Faults
from sandbox.store import Store
from tests.services import LOOPBACK

SOON_S = 60.0


class Receiver:
    """Takes callbacks, and answers them once it is allowed to."""

    def __init__(self) -> None:
        self.port, self.waiting, self.waiting_most, self.answered = 0, 0, 0, 0
        self.answering = asyncio.Event()
        self.changed = asyncio.Condition()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Receiver]:
        server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.port = server.sockets[0].getsockname()[1]
        yield self
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        async with self.changed:
            self.waiting += 1
            self.waiting_most = max(self.waiting_most, self.waiting)
            self.changed.notify_all()
        await self.answering.wait()
        async with self.changed:
            self.waiting -= 1
            self.answered += 1
            self.changed.notify_all()
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()


async def test_a_receiver_that_is_away_is_not_asked_by_all_at_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "sandbox.db")
    courier = Courier(store, Faults(store, merchants=()))
    courier.add_sender("channel", lambda _body: {})
    count = TRIES_AT_ONCE_MAX + 8
    async with asyncio.timeout(SOON_S), Receiver().listening() as receiver:
        url = f"http://{LOOPBACK}:{receiver.port}/callbacks"
        for number in range(count):
            courier.send(id=f"c{number}", sender="channel", event="PAID", subject="o", url=url, body=b"{}")
        async with receiver.changed:
            await receiver.changed.wait_for(lambda: receiver.waiting == TRIES_AT_ONCE_MAX)
        receiver.answering.set()
        async with receiver.changed:
            await receiver.changed.wait_for(lambda: receiver.answered == count)
        await courier.stop()
    store.close()
    assert receiver.waiting_most == TRIES_AT_ONCE_MAX
