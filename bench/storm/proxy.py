"""A TCP proxy on loopback that stands between a client and its server and spoils the network on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from bench.processes import HOST

CHUNK_MAX_BYTES = 64 * 1024
CHUNKS_HELD_MAX = 1_024
END = b""


class Mode(StrEnum):
    """What happens to connections, old and new, for as long as the mode holds."""

    CLEAR = "clear"  # Everything arrives.
    CUT = "cut"  # Every connection is reset, and a new one is refused.
    DELAY = "delay"  # Whatever is sent arrives later, either way.
    STALL = "stall"  # Nothing arrives, either way, until the mode ends; then all of it does.
    DROP_REPLIES = "drop-replies"  # The server hears everything, and nothing of what it says arrives.
    SWALLOW = "swallow"  # The server hears nothing.


@dataclass(eq=False, slots=True)
class Lane:
    """One direction of a connection. Once bytes were lost on it, nothing else arrives, not even its end.

    TCP would never deliver a stream with a hole in it. Whoever reads such a lane hears silence, and has to notice.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    lost_in: Mode
    held: asyncio.Queue[tuple[float, bytes]] = field(default_factory=lambda: asyncio.Queue(CHUNKS_HELD_MAX))
    lost: bool = False


class Proxy:
    """Forwards connections from `port` to `target_port`; `set` changes the weather for all of them at once."""

    def __init__(self, port: int, target_port: int) -> None:
        self.port, self._target_port = port, target_port
        self._mode, self._delay_s = Mode.CLEAR, 0.0
        self._moving = asyncio.Event()
        self._moving.set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._links: set[asyncio.Task[None]] = set()

    async def set(self, mode: Mode, *, delay_ms: float = 0) -> None:
        """Change the mode. `delay_ms` is how much later everything arrives in the mode DELAY."""
        self._mode = mode
        self._delay_s = delay_ms / 1_000 if mode is Mode.DELAY else 0.0
        if mode is Mode.STALL:
            self._moving.clear()
        else:
            self._moving.set()
        if mode is Mode.CUT:
            self._hang_up()
        elif self._server is None:
            await self.listen()

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, self.port)

    async def close(self) -> None:
        """Reset every connection and return once all of them are gone."""
        self._hang_up()
        while self._links:
            await asyncio.wait(set(self._links))

    def _hang_up(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for link in self._links:
            link.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.get_running_loop().create_task(self._link(reader, writer), name="proxy:link")
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until the end that one of the sides has made reaches the other."""
        with _ended(writer):
            try:
                far_reader, far_writer = await asyncio.open_connection(HOST, self._target_port)
            except OSError:
                return
            with _ended(far_writer):
                there = Lane(reader, far_writer, lost_in=Mode.SWALLOW)
                back = Lane(far_reader, writer, lost_in=Mode.DROP_REPLIES)
                work = [asyncio.create_task(step(lane)) for lane in (there, back) for step in (self._give, self._take)]
                try:
                    await asyncio.wait(work[::2], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for task in work:
                        task.cancel()
                    await asyncio.gather(*work, return_exceptions=True)

    async def _take(self, lane: Lane) -> None:
        """Read whatever comes, so that the sender does not notice what becomes of it."""
        chunk = None
        while chunk != END:
            try:
                chunk = await lane.reader.read(CHUNK_MAX_BYTES)
            except OSError:
                chunk = END
            await lane.held.put((asyncio.get_running_loop().time() + self._delay_s, chunk))

    async def _give(self, lane: Lane) -> None:
        """Hand on what was read, when it is due and unless it is lost; return at the stream's end."""
        while True:
            due, chunk = await lane.held.get()
            await asyncio.sleep(due - asyncio.get_running_loop().time())
            await self._moving.wait()
            lane.lost = lane.lost or self._mode is lane.lost_in
            if lane.lost:
                continue
            if chunk == END:
                return
            lane.writer.write(chunk)
            try:
                await lane.writer.drain()
            except OSError:
                return


@contextmanager
def _ended(writer: asyncio.StreamWriter) -> Iterator[None]:
    """Close a connection at the end, after what was written; where it is cut off, reset it."""
    try:
        yield
    except BaseException:
        writer.transport.abort()
        raise
    writer.close()
