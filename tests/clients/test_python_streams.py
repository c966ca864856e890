"""How the Python client follows a subscription: through cuts, restarts, expired tokens and limits, without a gap."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from clients.python import FixedToken, OperationFailed, Retry, SignInFailed, StreamEnded, YoukaClient
from clients.python.generated.arrivals import ARRIVALS, ArrivalsArrivalEvent

Scene = Callable[["Line"], Awaitable[None]]
WITHIN_S = 60.0
QUICK = Retry(attempts_max=4, base_s=0.01, wait_max_s=5.0)


@dataclass
class Line:
    """One connection as the server sees it, after `connection_init`."""

    socket: ServerConnection
    init: dict[str, Any]
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def hear(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self.socket.recv())
        return message

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def subscribed(self) -> dict[str, Any]:
        await self.say(type="connection_ack")
        message = await self.hear()
        assert message["type"] == "subscribe"
        self.asked.append(message["payload"])
        return dict(message["payload"])

    async def event(self, number: int) -> None:
        notice = {
            "order": {"id": str(number), "state": "SUCCEEDED"}, "amount": {"fen": 1, "text": "¥0.01"},
            "arrivedAt": "2026-12-01T00:00:00.000Z", "text": "…",
        }  # fmt: skip
        event = {"__typename": "ArrivalEvent", "cursor": f"c{number}", "notice": notice}
        await self.say(id="1", type="next", payload={"data": {"arrivals": event}})

    async def refuse(self, code: str, **extensions: Any) -> None:
        error = {"message": "no", "extensions": {"code": code, **extensions}}
        await self.say(id="1", type="error", payload=[error])


@asynccontextmanager
async def playing(*scenes: Scene) -> AsyncIterator[tuple[str, list[Line]]]:
    """Serve the scenes, one for each connection; the last one for all that follow."""
    lines: list[Line] = []

    async def connected(socket: ServerConnection) -> None:
        init = json.loads(await socket.recv())
        assert init["type"] == "connection_init"
        lines.append(Line(socket, init["payload"]))
        await scenes[min(len(lines), len(scenes)) - 1](lines[-1])

    async with serve(connected, "127.0.0.1", 0, subprotocols=[Subprotocol("graphql-transport-ws")]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"http://127.0.0.1:{port}", lines


async def follow(url: str, count: int, **options: Any) -> list[str]:
    """Return the ids of the first so many orders."""
    async with YoukaClient(url, trust_env=False, **{"retry": QUICK, **options}) as youka:
        found: list[str] = []
        async with asyncio.timeout(WITHIN_S), aclosing(youka.arrivals()) as events:  # type: ignore[type-var]
            async for event in events:
                assert isinstance(event, ArrivalsArrivalEvent)
                found.append(event.notice.order.id)
                if len(found) == count:
                    break
        return found


async def cutting(line: Line) -> None:
    await line.subscribed()
    await line.event(1)
    await line.event(2)
    line.socket.transport.abort()


async def going_on(line: Line) -> None:
    after = (await line.subscribed())["variables"].get("after", "c0")
    for number in range(int(after[1:]) + 1, int(after[1:]) + 4):
        await line.event(number)
    await line.socket.wait_closed()


async def test_it_goes_on_behind_what_it_has_after_a_cut() -> None:
    async with playing(cutting, going_on) as (url, lines):
        assert await follow(url, 5) == ["1", "2", "3", "4", "5"]
    assert [line.asked[0]["variables"] for line in lines] == [{}, {"after": "c2"}]
    assert lines[0].asked[0]["documentId"] == f"sha256:{ARRIVALS.sha256}"


async def test_many_cuts_are_no_failure_as_long_as_something_comes() -> None:
    async def one(line: Line) -> None:
        after = (await line.subscribed())["variables"].get("after", "c0")
        await line.event(int(after[1:]) + 1)
        line.socket.transport.abort()

    async with playing(one) as (url, _):
        assert await follow(url, 9) == [str(number) for number in range(1, 10)]


async def test_a_restart_is_waited_for() -> None:
    async def restarting(line: Line) -> None:
        await line.subscribed()
        await line.event(1)
        await line.say(type="ping", payload={"reconnectAfterMs": 50})
        await line.socket.close(1012, "Server restarting")

    async with playing(restarting, going_on) as (url, _):
        assert await follow(url, 3) == ["1", "2", "3"]


async def test_an_overflow_is_resumed_where_the_server_says() -> None:
    async def overflowing(line: Line) -> None:
        await line.subscribed()
        await line.event(1)
        await line.refuse("STREAM_OVERFLOW", cursor="c7")
        await line.socket.wait_closed()

    async with playing(overflowing, going_on) as (url, lines):
        assert await follow(url, 3) == ["1", "8", "9"]
    assert lines[1].asked[0]["variables"] == {"after": "c7"}


async def test_a_limit_is_waited_for_and_not_longer_than_allowed() -> None:
    async def limited(line: Line) -> None:
        await line.subscribed()
        await line.refuse("RATE_LIMITED", retryAfterMs=60, cursor="c4")
        await line.socket.wait_closed()

    async def closed(line: Line) -> None:
        await line.subscribed()
        await line.refuse("RATE_LIMITED", retryAfterMs=600_000)
        await line.socket.wait_closed()

    async with playing(limited, going_on) as (url, _):
        assert await follow(url, 1) == ["5"]
    async with playing(closed) as (url, _):
        with pytest.raises(StreamEnded):
            await follow(url, 1)


async def test_a_server_that_does_not_know_the_hash_gets_the_document() -> None:
    async def untrusting(line: Line) -> None:
        await line.subscribed()
        await line.refuse("PERSISTED_QUERY_NOT_FOUND")
        line.asked.append((await line.hear())["payload"])
        await line.event(1)
        await line.socket.wait_closed()

    async with playing(untrusting) as (url, lines):
        assert await follow(url, 1) == ["1"]
    assert ["query" in each for each in lines[0].asked] == [False, True]


async def test_what_is_refused_is_raised_and_not_tried_again() -> None:
    async def refusing(line: Line) -> None:
        await line.subscribed()
        await line.refuse("FORBIDDEN")
        await line.socket.wait_closed()

    async with playing(refusing) as (url, lines):
        with pytest.raises(OperationFailed, match="FORBIDDEN"):
            await follow(url, 1)
    assert len(lines) == 1


async def test_what_another_try_cannot_help_ends_it_with_its_cursor() -> None:
    async def hopeless(line: Line) -> None:
        await line.subscribed()
        await line.event(1)
        await line.socket.close(4400, "Invalid message")

    async with playing(hopeless) as (url, lines):
        with pytest.raises(StreamEnded, match="4400") as ended:
            await follow(url, 2)
    assert (ended.value.cursor, len(lines)) == ("c1", 1)


async def test_it_gives_up_where_nobody_answers(free_port: int) -> None:
    with pytest.raises(StreamEnded):
        await follow(f"http://127.0.0.1:{free_port}", 1)


async def test_its_end_is_the_end() -> None:
    async def ending(line: Line) -> None:
        await line.subscribed()
        await line.event(1)
        await line.say(id="1", type="complete")
        await line.socket.wait_closed()

    async with playing(ending) as (url, _):
        assert await follow(url, 5) == ["1"]


class Newer:
    """A token for each time that one is asked for anew."""

    def __init__(self) -> None:
        self.number, self.refused = 1, list[str | None]()

    async def token(self, http: httpx.AsyncClient, *, refused: str | None = None) -> str:
        self.refused.append(refused)
        self.number += refused is not None
        return f"t{self.number}"


async def test_a_token_is_renewed_while_the_connection_stands() -> None:
    renewed: list[Any] = []

    async def renewing(line: Line) -> None:
        await line.subscribed()
        await line.say(type="ping", payload={"expiresInMs": 1_000})
        renewed.extend([await line.hear(), await line.hear()])
        await line.event(1)
        await line.socket.wait_closed()

    async with playing(renewing) as (url, lines):
        assert await follow(url, 1, tokens=Newer()) == ["1"]
    assert renewed == [{"type": "pong"}, {"type": "ping", "payload": {"authorization": "Bearer t2"}}]
    assert lines[0].init == {"locale": "zh-CN", "authorization": "Bearer t1"}


async def test_who_is_signed_out_comes_back_with_another_token() -> None:
    async def expired(line: Line) -> None:
        await line.subscribed()
        await line.event(1)
        await line.socket.close(4403, "TOKEN_EXPIRED")

    async with playing(expired, going_on) as (url, lines):
        assert await follow(url, 2, tokens=Newer()) == ["1", "2"]
    assert [line.init["authorization"] for line in lines] == ["Bearer t1", "Bearer t2"]
    async with playing(expired) as (url, lines):
        with pytest.raises(SignInFailed):
            await follow(url, 2, tokens=FixedToken("one"))
    assert len(lines) == 1


async def test_leaving_closes_the_connection() -> None:
    closed = asyncio.Event()

    async def watching(line: Line) -> None:
        await line.subscribed()
        await line.event(1)
        await line.socket.wait_closed()
        closed.set()

    async with playing(watching) as (url, _):
        assert await follow(url, 1) == ["1"]
        await asyncio.wait_for(closed.wait(), WITHIN_S)
