"""Readers that do not read: they are closed or told, cost little meanwhile, and nobody beside them notices."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.house_process import ROOT
from tests.services import find_free_port
from tests.subscriptions.events import reading
from tests.subscriptions.serving import JOURNAL, Client, Served, connecting, journal_cursor, services_of, serving
from tests.subscriptions.support import eventually, running, settings_for, write

READ = "subscription Read($after: String) { journal(after: $after) { number cursor padding } }"
PADDING = "x" * 100_000
# More than the kernel's buffers and the server's hold together.
ENTRIES_MANY = 120
QUESTIONS = 45
ANSWER_SIZE_BYTES = 1_000_000


@asynccontextmanager
async def writing(database: str, **values: Any) -> AsyncIterator[Served]:
    async with running(settings_for()) as system, serving(services_of(system.hub, **values)) as served:
        yield served


async def padded(count: int) -> None:
    """Write entries one by one, as the world does."""
    for _ in range(count):
        await write(JOURNAL, of=lambda _number: {"padding": PADDING})


class Deaf:
    """A client on a bare socket with small buffers, which reads only when it is told to."""

    def __init__(self, address: str, request: bytes) -> None:
        host, _, port = address.partition(":")
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
        self._socket.connect((host, int(port)))
        self._socket.sendall(request)
        self._socket.setblocking(False)

    async def read_until(self, text: bytes) -> bytes:
        loop, heard = asyncio.get_running_loop(), b""
        async with asyncio.timeout(60):
            while text not in heard:
                chunk = await loop.sock_recv(self._socket, 65_536)
                assert chunk, heard[-200:]
                heard += chunk
        return heard

    async def read_to_the_end(self) -> bytes:
        loop, heard = asyncio.get_running_loop(), b""
        async with asyncio.timeout(60):
            try:
                while chunk := await loop.sock_recv(self._socket, 65_536):
                    heard += chunk
            except ConnectionResetError:
                pass
        return heard

    def send(self, message: Any) -> None:
        """Send a text frame, masked with zeros."""
        text = json.dumps(message).encode()
        assert len(text) < 65_536
        length = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2, "big")
        self._socket.sendall(b"\x81" + length + bytes(4) + text)

    def __enter__(self) -> Deaf:
        return self

    def __exit__(self, *reason: object) -> None:
        self._socket.close()


HANDSHAKE = (
    b"GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)


async def deaf_socket(address: str) -> Deaf:
    deaf = Deaf(address, HANDSHAKE)
    await deaf.read_until(b"\r\n\r\n")
    deaf.send({"type": "connection_init"})
    await deaf.read_until(b"connection_ack")
    deaf.send({"id": "1", "type": "subscribe", "payload": {"query": READ, "variables": {"after": journal_cursor(0)}}})
    return deaf


def deaf_events(address: str) -> Deaf:
    body = json.dumps({"query": READ, "variables": {"after": journal_cursor(0)}}).encode()
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return Deaf(address, head.encode() + body)


async def numbers_of(client: Client, count: int) -> list[int]:
    return [(await client.data())["journal"]["number"] for _ in range(count)]


class TestStalled:
    @pytest.mark.parametrize("transport", ["websocket", "events"])
    async def test_it_is_dropped_and_its_neighbours_hear_everything(self, sqlite_database: str, transport: str) -> None:
        everything = list(range(1, ENTRIES_MANY + 1))
        beginning = {"after": journal_cursor(0)}
        async with (
            writing(sqlite_database, slow_reader_patience_s=0.5) as address,
            connecting(address) as good,
            reading(address, READ, variables=beginning) as events,
        ):
            await good.initialise()
            await good.subscribe(READ, variables=beginning)
            with await deaf_socket(address) if transport == "websocket" else deaf_events(address) as deaf:
                await eventually(lambda: address.connections == 3)
                neighbours = asyncio.gather(numbers_of(good, ENTRIES_MANY), _numbers(events, ENTRIES_MANY))
                with capture_logs() as logs:
                    await padded(ENTRIES_MANY)
                    assert list(await neighbours) == [everything] * 2
                    await eventually(lambda: address.connections == 2)
                assert [line for line in logs if line["log_level"] == "error"] == []
                # What it had been sent is a beginning, and then nothing.
                assert (await deaf.read_to_the_end()).count(PADDING.encode()) < ENTRIES_MANY

    async def test_answers_that_nobody_reads_do_not_pile_up(self) -> None:
        """A client may ask and never read: its questions are read no faster than their answers are taken."""
        async with serving(services_of(slow_reader_patience_s=0.5, messages_burst_max=100_000)) as address:
            with Deaf(address, HANDSHAKE) as deaf:
                await deaf.read_until(b"\r\n\r\n")
                deaf.send({"type": "connection_init"})
                for number in range(QUESTIONS):
                    payload = {"query": f"{{ echo(times: {ANSWER_SIZE_BYTES // 10}) }}"}
                    deaf.send({"type": "subscribe", "id": str(number), "payload": payload})
                (connection,) = address.server.server_state.connections
                largest = 0

                def dropped() -> bool:
                    nonlocal largest
                    largest = max(largest, connection.transport.get_write_buffer_size())
                    return not address.connections

                await eventually(dropped)
            assert 0 < largest < 3 * ANSWER_SIZE_BYTES


class TestOverflow:
    async def test_a_stream_without_gaps_ends_with_the_cursor_to_resume_from(self, sqlite_database: str) -> None:
        options = {"slow_reader_patience_s": 30, "subscription_queue_size_max": 5}
        async with (
            writing(sqlite_database, **options) as address,
            connecting(address, max_queue=1) as client,
        ):
            await client.initialise()
            await client.subscribe(READ)
            await client.send({"type": "ping"})
            assert (await client.receive())["type"] == "pong"
            await eventually(lambda: address.cohorts == 1)
            client.connection.transport.pause_reading()
            await padded(ENTRIES_MANY)
            client.connection.transport.resume_reading()
            numbers, message = [], await client.receive()
            while message["type"] == "next":
                numbers.append(message["payload"]["data"]["journal"]["number"])
                message = await client.receive()
            assert message["type"] == "error"
            (error,) = message["payload"]
            assert error["extensions"]["code"] == "STREAM_OVERFLOW"
            assert 0 < len(numbers) < ENTRIES_MANY
            await client.subscribe(READ, variables={"after": error["extensions"]["cursor"]})
            rest = ENTRIES_MANY - len(numbers)
            assert numbers + await numbers_of(client, rest) == list(range(1, ENTRIES_MANY + 1))


async def _numbers(events: Any, count: int) -> list[int]:
    return [(await events.data())["journal"]["number"] for _ in range(count)]


DEAF_MANY = 60
# Each reader may cost one answer and what the server buffers beside it; all the answers would be 2.7 GB.
GROWTH_MAX_KB = 2 * DEAF_MANY * ANSWER_SIZE_BYTES // 1_000


def memory_kb(pid: int, name: str) -> int:
    """Return VmRSS, what the process has in memory, or VmHWM, the most that it has had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(name)).split()[1])


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@asynccontextmanager
async def alone() -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Serve the small schema in a process of its own."""
    port = find_free_port()
    arguments = [sys.executable, "-m", "tests.subscriptions.alone", str(port)]
    process = await asyncio.create_subprocess_exec(*arguments, cwd=ROOT, stderr=asyncio.subprocess.PIPE)

    async def listens() -> bool:
        try:
            _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    try:
        await eventually(listens, timeout_s=30)
        yield f"127.0.0.1:{port}", process
    finally:
        process.kill()
        await process.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read in /proc")
async def test_deaf_readers_cost_a_bounded_amount_of_memory() -> None:
    async with alone() as (address, process), AsyncExitStack() as stack, connecting(address) as good:
        await good.initialise()
        before_kb, files_before = memory_kb(process.pid, "VmRSS"), open_files(process.pid)
        all_deaf = [stack.enter_context(Deaf(address, HANDSHAKE)) for _ in range(DEAF_MANY)]
        for deaf in all_deaf:
            await deaf.read_until(b"\r\n\r\n")
            deaf.send({"type": "connection_init"})
            for number in range(QUESTIONS):
                payload = {"query": f"{{ echo(times: {ANSWER_SIZE_BYTES // 10}) }}"}
                deaf.send({"type": "subscribe", "id": str(number), "payload": payload})
        # Beside them, whoever reads is answered all the time.
        for number in range(50):
            await good.subscribe("{ hello }", id=str(number))
            assert await good.data() == {"hello": "hello world"}
            assert (await good.receive())["type"] == "complete"
        await eventually(lambda: open_files(process.pid) == files_before, timeout_s=60)
        heard = await asyncio.gather(*(deaf.read_to_the_end() for deaf in all_deaf))
        growth_kb = memory_kb(process.pid, "VmHWM") - before_kb
    assert max(map(len, heard)) < QUESTIONS * ANSWER_SIZE_BYTES
    assert growth_kb < GROWTH_MAX_KB
