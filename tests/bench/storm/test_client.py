"""Clients against a server that answers as the test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest

from bench.storm import client as clients
from bench.storm.client import Api, Ears, Refused, Unanswered
from bench.storm.load import Load, User
from bench.storm.wire import NoAnswer, Wire
from bench.storm.witness import Witness
from kernel.ids import new_id
from schema.types.relay import global_id
from tests.services import LOOPBACK, find_free_port

Answering = Callable[[str, Any], bytes | None]
DONE = orjson.dumps({"data": {"field": {"done": True}}})
MASKED = orjson.dumps({"errors": [{"message": "系统错误", "extensions": {"code": "INTERNAL"}}]})


def refusal(code: str) -> bytes:
    return orjson.dumps({"data": {"field": {"code": code, "message": "no"}}})


class Canned:
    """Answers each POST; where there is no answer it hangs up, as a killed server does."""

    def __init__(self) -> None:
        self.answering: Answering = lambda _path, _content: DONE
        self.asked: list[tuple[str, Any]] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.split("content-length: ")[1].split("\r\n")[0])
                content = orjson.loads(await reader.readexactly(length))
                path = head.split()[1]
                self.asked.append((path, content))
                body = self.answering(path, content)
                if body is None:
                    return
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@pytest.fixture
async def canned() -> AsyncIterator[Canned]:
    canned = Canned()
    await canned.listen()
    yield canned
    canned.close()


def in_turn(*bodies: bytes | None) -> Answering:
    """Answer with one body after another, and with the last of them from then on."""
    left = list(bodies)
    return lambda _path, _content: left.pop(0) if len(left) > 1 else left[0]


class TestWire:
    async def test_a_connection_is_used_again_and_one_that_broke_is_not(self, canned: Canned) -> None:
        canned.answering = in_turn(DONE, None, DONE)
        async with Wire(canned.port) as wire:
            assert await wire.post("/graphql", {"query": "{}"}, token="t") == (200, DONE)
            with pytest.raises(NoAnswer, match="ConnectionBroken"):
                await wire.post("/graphql", {})
            assert await wire.post("/graphql", {}) == (200, DONE)
        assert len(canned.asked) == 3

    async def test_nobody_listens(self) -> None:
        async with Wire(find_free_port()) as wire:
            with pytest.raises(NoAnswer, match="ConnectionRefusedError"):
                await wire.post("/graphql", {})


class TestApi:
    async def test_insists_through_silence_masked_errors_and_transient_refusals(self, canned: Canned) -> None:
        canned.answering = in_turn(None, MASKED, refusal("PAYMENT_UNAVAILABLE"), DONE)
        ears = Ears()
        async with Api([canned.port], ears) as api:
            assert await api.insist("mutation", {"key": "k"}, token="t") == {"done": True}
        assert ears.outcomes == {
            "silent ConnectionBroken": 1,
            "broken INTERNAL": 1,
            "refused PAYMENT_UNAVAILABLE": 1,
            "done": 1,
        }
        assert {content["variables"]["key"] for _, content in canned.asked} == {"k"}

    async def test_a_refusal_is_final(self, canned: Canned) -> None:
        canned.answering = in_turn(refusal("CARD_NOT_FOUND"))
        async with Api([canned.port], Ears()) as api:
            with pytest.raises(Refused, match="CARD_NOT_FOUND"):
                await api.insist("mutation", {}, token="t")
        assert len(canned.asked) == 1

    async def test_patience_ends(self, canned: Canned, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(clients, "PATIENCE_S", 0.1)
        canned.answering = in_turn(MASKED)
        async with Api([canned.port], Ears()) as api:
            with pytest.raises(Unanswered, match="INTERNAL"):
                await api.insist("mutation", {}, token="t")
        assert len(canned.asked) > 1

    async def test_a_lost_server_is_left_for_the_next_one(self, canned: Canned) -> None:
        async with Api([find_free_port(), canned.port], Ears()) as api:
            assert await api.insist("mutation", {}, token="t") == {"done": True}

    async def test_leaks_are_heard_with_their_words(self, canned: Canned) -> None:
        body = orjson.dumps({"errors": [{"message": "asyncpg: connection was closed"}]})
        canned.answering = in_turn(body)
        ears = Ears()
        async with Api([canned.port], ears) as api:
            await api.ask("mutation", {}, token="t")
        (leak,) = ears.leaks
        assert leak.startswith("'asyncpg' in ")
        assert ears.bodies_read == 1

    async def test_first_done_is_what_was_sent_later_and_succeeded(self, canned: Canned) -> None:
        canned.answering = in_turn(DONE, MASKED, DONE)
        ears = Ears()
        async with Api([canned.port], ears) as api, asyncio.timeout(5):
            await api.ask("mutation", {}, token="t")
            since = asyncio.get_running_loop().time()
            waiting = asyncio.create_task(ears.first_done(0, began_after=since))
            await asyncio.sleep(0)
            await api.ask("mutation", {}, token="t")
            assert not waiting.done()
            answer = await api.ask("mutation", {}, token="t")
            assert await waiting == answer.ended_at


class TestLoad:
    """The load against a service that makes a new order for every request, whatever its key: there is no worse one."""

    @staticmethod
    def answer(path: str, content: Any) -> bytes:
        if path == "/control/pay":
            return orjson.dumps({"out_trade_no": f"T{content['package']}"})
        if path == "/control/repeat-callbacks":
            return orjson.dumps({"repeated": 1})
        if "createRecharge" in content["query"]:
            return orjson.dumps({"data": {"createRecharge": {"order": {"id": global_id("Order", new_id())}}}})
        return orjson.dumps({"data": {"payRecharge": {"payment": {"package": "p"}}}})

    @staticmethod
    async def acknowledged(witness: Witness, count: int) -> None:
        while witness.acknowledged < count:  # noqa: ASYNC110 -- the witness is asked by the storm in the same way.
            await asyncio.sleep(0.01)

    async def recharge(self, canned: Canned, count: int, *, seed: int = 1) -> Witness:
        witness = Witness()
        canned.answering = self.answer
        async with (
            asyncio.timeout(20),
            Api([canned.port], Ears()) as api,
            Wire(canned.port) as sandbox,
            Load(api, sandbox, witness, seed=seed, clients=4) as load,
        ):
            load.users = [User(f"t{number}", global_id("Card", new_id()), f"{number:04d}") for number in range(4)]
            running = asyncio.create_task(load.run())
            await self.acknowledged(witness, count)
            load.stop()
            await running
        return witness

    async def test_three_in_ten_are_sent_twice_and_every_answer_is_written_down(self, canned: Canned) -> None:
        witness = await self.recharge(canned, 200)
        creates = [content["variables"]["key"] for path, content in canned.asked if "createRecharge" in str(content)]
        promises = list(witness)
        assert len(set(creates)) == len(promises)
        assert 0.2 < len(creates) / len(promises) - 1 < 0.4
        assert {promise.key for promise in promises if len(promise.order_ids) == 2} == {
            key for key in creates if creates.count(key) == 2
        }
        assert all(promise.acknowledged and promise.paid for promise in promises)
        repeated = sum(path == "/control/repeat-callbacks" for path, _ in canned.asked)
        assert 0.2 < repeated / len(promises) < 0.4

    async def test_the_seed_says_what_is_sent(self, canned: Canned) -> None:
        def amounts(witness: Witness) -> list[int]:
            return [promise.amount_fen for promise in sorted(witness, key=lambda promise: promise.key)][:20]

        first, again = await self.recharge(canned, 20), await self.recharge(canned, 20)
        other = await self.recharge(canned, 20, seed=2)
        assert amounts(first) == amounts(again) != amounts(other)
