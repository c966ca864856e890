"""Hundreds of frames that no client of good will sends: every connection ends properly and the server goes on."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import websockets
from structlog.testing import capture_logs

from tests.subscriptions.serving import Client, connecting, services_of, serving
from tests.subscriptions.support import eventually

SEEDS = range(6)
CONNECTIONS_PER_SEED = 60
CLOSE_CODES = {1000, 1002, 1006, 1007, 1009, 4400, 4401, 4403, 4408, 4409, 4429}

TEMPLATES: list[dict[str, Any]] = [
    {"type": "connection_init", "payload": {"Authorization": "Bearer abc", "locale": "en"}},
    {"type": "ping", "payload": {"a": 1}},
    {"type": "pong"},
    {"id": "1", "type": "subscribe", "payload": {"query": "{ hello }"}},
    {"id": "2", "type": "subscribe", "payload": {"query": "subscription { ticks(to: 2) }", "variables": {"a": 1}}},
    {"id": "3", "type": "subscribe", "payload": {"query": "query ($n: String!) { hello(name: $n) }"}},
    {"id": "4", "type": "subscribe", "payload": {"query": "{ pay(amount: 1e400) }", "operationName": "x"}},
    {"id": "5", "type": "subscribe", "payload": {"query": "{" * 300 + "a" + "}" * 300, "extensions": {}}},
    {"id": "6", "type": "subscribe", "payload": {"query": "fragment A on Query { ...A } { ...A }"}},
    {"id": "7", "type": "subscribe", "payload": {"query": 'subscription { orderUpdated(id: "x") { cursor } }'}},
    {"id": "1", "type": "complete"},
    {"id": "1", "type": "next", "payload": {"data": None}},
]


def nonsense(dice: random.Random, depth: int = 0) -> Any:
    """Return any JSON value."""
    kind = dice.randrange(9 if depth < 4 else 7)
    if kind == 7:
        return [nonsense(dice, depth + 1) for _ in range(dice.randrange(4))]
    if kind == 8:
        return {str(nonsense(dice, 4)): nonsense(dice, depth + 1) for _ in range(dice.randrange(4))}
    return [
        None, dice.random() < 0.5, dice.randint(-(2**70), 2**70), dice.random() * 10 ** dice.randint(-300, 300), "",
        "".join(chr(dice.choice([0, 34, 65, 123, 0x6CB9, 0x1F600, 0xFFFF, 0xD7FF])) for _ in range(dice.randrange(9))),
        "x" * dice.choice([1, 130, 5_000]),
    ][kind]  # fmt: skip


def mutated(dice: random.Random, message: Any) -> Any:
    """Replace or remove something, somewhere in the message."""
    if not isinstance(message, dict) or not message or dice.random() < 0.1:
        return nonsense(dice)
    key = dice.choice(list(message))
    rest = {name: value for name, value in message.items() if name != key}
    return rest if dice.random() < 0.2 else {**rest, key: mutated(dice, message[key])}


def hostile(dice: random.Random) -> str | bytes:
    """Return one frame; bytes are sent as a binary frame or as text, as the dice fall."""
    kind = dice.randrange(10)
    if kind < 6:
        return json.dumps(mutated(dice, dice.choice(TEMPLATES)), ensure_ascii=dice.random() < 0.5)
    if kind == 6:
        text = json.dumps(dice.choice(TEMPLATES))
        return text[: dice.randrange(len(text))]
    if kind == 7:
        return dice.choice(['{"type":', "NaN", "-", '"\\ud800"', '{"type":"ping","payload":1e999}', "\x00", "nul"])
    if kind == 8:
        depth = dice.choice([10, 1_000, 1_100, 5_000])
        return '{"type":"ping","payload":{"a":' + "[" * depth + "]" * depth + "}}"
    return dice.randbytes(dice.choice([0, 1, 50, 70_000]))


async def attack(client: Client, dice: random.Random) -> None:
    if dice.random() < 0.7:
        await client.initialise()
    for _ in range(dice.randint(1, 5)):
        frame = hostile(dice)
        if isinstance(frame, bytes):
            await client.connection.send(frame, text=dice.random() < 0.5)
        elif frame and dice.random() < 0.2:
            middle = len(frame) // 2
            await client.connection.send(iter([frame[:middle], frame[middle:]]))
        else:
            await client.connection.send(frame)
        if dice.random() < 0.3:
            await asyncio.sleep(0.002)
    if dice.random() < 0.2:
        client.connection.transport.abort()
    elif dice.random() < 0.4:
        await client.connection.close()


@contextmanager
def nothing_untoward(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with capture_logs() as logs, caplog.at_level(logging.WARNING):
        yield
    assert [line for line in logs if line["log_level"] not in {"debug", "info"}] == []
    assert caplog.records == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_hostile_frames_end_properly(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    dice = random.Random(seed)
    before = asyncio.all_tasks()
    codes: set[int | None] = set()
    with nothing_untoward(caplog):
        async with serving(services_of(connection_init_timeout_s=0.2)) as address:
            for _ in range(CONNECTIONS_PER_SEED):
                async with connecting(address, max_queue=None, ping_interval=None) as client:
                    with suppress(websockets.ConnectionClosed):
                        await attack(client, dice)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(0.05):
                            await client.connection.wait_closed()
                codes.add(client.connection.close_code)
            async with connecting(address) as client:
                await client.initialise()
                await client.subscribe("{ hello }")
                assert await client.data() == {"hello": "hello world"}
        await eventually(lambda: asyncio.all_tasks() == before)
    assert codes <= CLOSE_CODES
    assert 4400 in codes
