"""Thousands of hostile frames against the real server: in every state of the protocol, and below it."""

from __future__ import annotations

import asyncio
import json
import os
import random
from contextlib import suppress
from pathlib import Path

import websockets

from tests.house_process import RunningHouse, running
from tests.sandbox_fixtures import Sandbox
from tests.subscriptions.serving import Client, connecting
from tests.subscriptions.test_hostile_frames import CLOSE_CODES, hostile
from tests.subscriptions.test_slow_readers import HANDSHAKE

SEED = 20_261_128
FRAMES_MIN = 2_500
FRAMES_PER_CONNECTION_MAX = 9
RAW_CONNECTIONS = 120
PRICES = "subscription { priceChanges { __typename } }"
# 4406 is what a wrong subprotocol gets, and 1011 would be an error of ours.
ALLOWED = CLOSE_CODES | {4406, None}


async def before_initialising(client: Client) -> None:
    """The client has said nothing."""


async def initialising(client: Client) -> None:
    await client.send({"type": "connection_init"})


async def initialised(client: Client) -> None:
    await client.initialise()


async def subscribed(client: Client) -> None:
    await client.initialise()
    await client.subscribe(PRICES)


async def answered(client: Client) -> None:
    await client.initialise()
    await client.subscribe("{ viewer { __typename } }")
    await client.receive()


async def completed(client: Client) -> None:
    await subscribed(client)
    await client.send({"id": "1", "type": "complete"})


async def refused(client: Client) -> None:
    await client.send({"type": "connection_init", "payload": {"Authorization": "Bearer x"}})


async def closing(client: Client) -> None:
    await client.send("not a message")


STATES = (before_initialising, initialising, initialised, subscribed, answered, completed, refused, closing)


class Attack:
    def __init__(self, house: RunningHouse) -> None:
        self.address = f"127.0.0.1:{house.port}"
        self.dice = random.Random(SEED)
        self.frames = 0
        self.codes: dict[int | None, int] = {}

    async def in_every_state(self) -> None:
        """Send at least FRAMES_MIN frames; a connection that is closed earlier takes the fewer."""
        number = 0
        while self.frames < FRAMES_MIN:
            state = STATES[number % len(STATES)]
            number += 1
            async with connecting(self.address, max_queue=None, ping_interval=None) as client:
                with suppress(websockets.ConnectionClosed):
                    await state(client)
                    await self._send_some(client)
                if self.dice.random() < 0.3:
                    client.connection.transport.abort()
                else:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(0.05):
                            await client.connection.wait_closed()
            code = client.connection.close_code
            self.codes[code] = self.codes.get(code, 0) + 1

    async def _send_some(self, client: Client) -> None:
        for _ in range(self.dice.randint(2, FRAMES_PER_CONNECTION_MAX)):
            frame = hostile(self.dice)
            if isinstance(frame, bytes):
                await client.connection.send(frame, text=self.dice.random() < 0.5)
            else:
                await client.connection.send(frame)
            self.frames += 1
            if self.dice.random() < 0.3:
                await asyncio.sleep(0.001)

    async def below_the_protocol(self) -> None:
        """Send bytes that are no frames, frames that are not allowed, and handshakes that are none."""
        host, _, port = self.address.partition(":")
        for number in range(RAW_CONNECTIONS):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(HANDSHAKE if number % 4 else self._handshake())
            if number % 4:
                with suppress(asyncio.IncompleteReadError, ConnectionError):
                    await reader.readuntil(b"\r\n\r\n")
            for _ in range(self.dice.randint(1, 4)):
                writer.write(self._bytes())
                self.frames += 1
            with suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(0.05):
                    await writer.drain()
                    await reader.read()
            writer.transport.abort()

    def _handshake(self) -> bytes:
        lines = HANDSHAKE.split(b"\r\n")
        line = self.dice.randrange(1, len(lines) - 2)
        lines[line] = self.dice.choice([b"", b"x", lines[line][: len(lines[line]) // 2], lines[line] + b"\xff"])
        return b"\r\n".join(lines)

    def _bytes(self) -> bytes:
        mask, text = os.urandom(4), json.dumps({"type": "ping"}).encode()
        masked = bytes(each ^ mask[place % 4] for place, each in enumerate(text))
        frames = {
            "not masked": b"\x81" + bytes([len(text)]) + text,
            "reserved bits": b"\xf1" + bytes([0x80 | len(text)]) + mask + masked,
            "unknown opcode": b"\x83" + bytes([0x80 | len(text)]) + mask + masked,
            "a continuation of nothing": b"\x80" + bytes([0x80 | len(text)]) + mask + masked,
            "a control frame in pieces": b"\x09" + bytes([0x80 | len(text)]) + mask + masked,
            "a control frame too long": b"\x89\xfe\x00\xff" + mask + bytes(255),
            "a length without end": b"\x81\xff" + b"\xff" * 8 + mask,
            "a length over the limit": b"\x81\xff" + (1 << 40).to_bytes(8, "big") + mask,
            "half a frame": b"\x81" + bytes([0x80 | len(text)]) + mask + masked[:3],
            "a close without a code": b"\x88\x81" + mask + b"x",
            "a close that is not UTF-8": b"\x88\x84" + bytes(4) + b"\x03\xe8\xff\xff",
            "a close code that may not be": b"\x88\x82" + bytes(4) + b"\x03\xed",
            "nothing of the kind": self.dice.randbytes(self.dice.choice([1, 20, 3_000])),
        }
        return self.dice.choice(list(frames.values()))


async def test_thousands_of_hostile_frames_leave_no_trace(tmp_path: Path, sandbox: Sandbox, sqlite_url: str) -> None:
    environment = {"DATABASE_URL": sqlite_url, "YOUKA_CONNECTION_INIT_TIMEOUT_S": "0.3", "YOUKA_LOG_FORMAT": "json"}
    with running(tmp_path, sandbox, worker=False, **environment) as house:
        attack = Attack(house)
        async with connecting(attack.address) as bystander:
            await bystander.initialise()
            await bystander.subscribe(PRICES, id="kept")
            await asyncio.gather(attack.in_every_state(), attack.below_the_protocol())
            # Whoever was there before is there still, and who comes now is let in.
            await bystander.subscribe("{ viewer { __typename } }", id="new")
            assert await bystander.data() == {"viewer": None}
            async with connecting(attack.address) as newcomer:
                await newcomer.initialise()
        assert house.server.stop() is not None
        log = house.server.log.read_text(errors="replace")
    assert attack.frames >= FRAMES_MIN
    assert set(attack.codes) <= ALLOWED, attack.codes
    assert attack.codes[4400] > 50
    assert "Traceback" not in log
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert [line for line in lines if line["level"] in {"error", "critical"}] == []
    assert "graphql.internal_error" not in log
