"""What a connection does for many requests: each is answered in its turn, at once, and one timer looks after all."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, cast

import httpx
import pytest

from subscriptions.heads import RawHeaders, Reply, Whole
from subscriptions.http_connections import HttpConnection
from tests.subscriptions.serving import Served, application, services_of, serving

ORIGIN = "https://app.example"
ALLOWING: dict[str, Any] = {"allowed_origins": (ORIGIN,)}


def request(number: object, *, version: str = "1.1", **headers: str) -> bytes:
    body = json.dumps({"query": f'{{ hello(name: "{number}") }}'}).encode()
    head = {"host": "x", "content-type": "application/json", "content-length": str(len(body)), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in head.items())
    return f"POST /graphql HTTP/{version}\r\n{lines}\r\n".encode() + body


async def heard(address: Served, *sent: bytes) -> bytes:
    """Return what comes back until the server ends the connection."""
    host, _, port = address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for each in sent:
        writer.write(each)
        await asyncio.sleep(0.01)
    try:
        async with asyncio.timeout(20):
            return await reader.read()
    finally:
        writer.close()


class TestAnswers:
    @pytest.mark.parametrize("together", [True, False])
    async def test_requests_that_wait_for_nothing_are_answered_in_their_order(self, together: bool) -> None:
        requests = [request(number) for number in range(5)] + [request(5, connection="close")]
        async with serving(services_of()) as address:
            answers = await heard(address, *([b"".join(requests)] if together else requests))
        assert answers.count(b"HTTP/1.1 200 OK\r\n") == 6
        assert [answers.index(b"hello %d" % number) for number in range(6)] == sorted(
            answers.index(b"hello %d" % number) for number in range(6)
        )
        assert answers.count(b"connection: close\r\n") == 1

    async def test_an_old_client_is_answered_and_gone(self) -> None:
        async with serving(services_of()) as address:
            answer = await heard(address, request(1, version="1.0"))
        assert b"hello 1" in answer
        assert b"connection: close\r\n" in answer

    async def test_a_body_that_waits_to_be_asked_for_is_asked_for(self) -> None:
        head, body = request(1, expect="100-continue", connection="close").split(b"\r\n\r\n")
        async with serving(services_of()) as address:
            answer = await heard(address, head + b"\r\n\r\n", body)
        assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")

    @pytest.mark.parametrize("kind", ["answered", "refused", "preflight", "page of another origin", "head"])
    async def test_whoever_serves_it_the_answer_is_the_same(self, kind: str) -> None:
        """Any server of ASGI takes an answer by messages; ours takes it whole."""
        headers = {
            "x-request-id": "r",
            "origin": ORIGIN if kind != "page of another origin" else "https://evil.example",
        }
        asked: dict[str, Any] = {"json": {"query": "{ hello }"}}
        method = {"preflight": "OPTIONS", "head": "HEAD"}.get(kind, "POST")
        if kind == "refused":
            headers["authorization"] = "Bearer x"
        if kind == "preflight":
            headers["access-control-request-method"] = "POST"
        app = application(services_of(**ALLOWING))
        messages = httpx.ASGITransport(app=app)
        async with (
            serving(services_of(**ALLOWING)) as address,
            httpx.AsyncClient(base_url=f"http://{address}") as ours,
            httpx.AsyncClient(base_url="http://any", transport=messages) as any_server,
        ):
            mine = await ours.request(method, "/graphql", headers=headers, **asked)
            theirs = await any_server.request(method, "/graphql", headers=headers, **asked)
        assert mine.status_code == theirs.status_code
        if kind != "head":
            assert mine.content == theirs.content
        ignored = {"date", "server", "ratelimit"}
        assert [each for each in mine.headers.multi_items() if each[0] not in ignored] == [
            each for each in theirs.headers.multi_items() if each[0] not in ignored
        ]

    async def test_it_is_taken_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def never(*_: Any) -> None:
            raise AssertionError("it went by messages")

        monkeypatch.setattr("uvicorn.protocols.http.httptools_impl.RequestResponseCycle.send", never)
        async with serving(services_of()) as address, httpx.AsyncClient(base_url=f"http://{address}") as client:
            assert (await client.post("/graphql", json={"query": "{ hello }"})).status_code == 200

    async def test_without_a_body_there_is_no_length(self) -> None:
        messages: list[Any] = []

        async def send(message: Any) -> None:
            messages.append(message)

        headers: RawHeaders = [(b"a", b"b")]
        reply = Reply(204, headers, None)
        await reply.send({}, send, [(b"c", b"d")], application(services_of()).graphql._headers)
        assert not [name for name, _ in messages[0]["headers"] if name == b"content-length"]
        assert dict(messages[0]["headers"])[b"c"] == b"d"


BY_HEART = Whole(200, b"content-length: 14\r\n", b"known by heart")


class Knowing:
    """A door that knows the answer to some requests, fails at others, and sends the rest to another one."""

    def __init__(self, door: Any) -> None:
        self._door = door
        self.asked: list[bytes] = []
        self.begun: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._door, name)

    def at_once(self, _caller: Any, _peer: str, body: bytes) -> Whole | None:
        self.asked.append(body)
        if b"fails" in body:
            raise RuntimeError("no answer")
        return BY_HEART if b"known" in body else None

    def begin(self, caller: Any, peer: str, body: bytes) -> Any:
        if b"known" in body:
            return BY_HEART
        self.begun.append(body)
        return self._door.begin(caller, peer, body)


@pytest.fixture
def knowing(monkeypatch: pytest.MonkeyPatch) -> list[Knowing]:
    """The doors of the servers that are started."""
    doors: list[Knowing] = []
    opened = application

    def with_door(*given: Any, **options: Any) -> Any:
        app = opened(*given, **options)
        doors.append(Knowing(app.door))
        app.door = cast("Any", doors[-1])
        return app

    monkeypatch.setattr("tests.subscriptions.serving.application", with_door)
    return doors


class TestAtOnce:
    @pytest.mark.parametrize("together", [True, False])
    async def test_what_is_known_is_answered_in_its_turn(self, together: bool, knowing: list[Knowing]) -> None:
        names = ["known", "new", "known", "fails", "new", "known"]
        requests = [request(each) for each in names[:-1]] + [request(names[-1], connection="close")]
        async with serving(services_of()) as address:
            answers = await heard(address, *([b"".join(requests)] if together else requests))
        assert answers.count(b"HTTP/1.1 200 OK\r\n") == 6
        # Behind one that is being worked on, what is known waits for its turn, and is asked for as the others are.
        found = re.findall(rb"known by heart|hello \w+", answers)
        assert [each.replace(b"known by heart", b"hello known") for each in found] == [
            b"hello " + each.encode() for each in names
        ]
        assert found[0] == b"known by heart"
        assert len(knowing[0].begun) == (0 if together else 3)

    async def test_a_body_that_comes_later_is_waited_for(self, knowing: list[Knowing]) -> None:
        whole = request("known", connection="close")
        async with serving(services_of()) as address:
            answer = await heard(address, whole[:-8], whole[-8:])
        assert b"hello known" in answer
        assert knowing[0].asked == []


class TestTime:
    async def test_one_timer_looks_after_many_requests(self, monkeypatch: pytest.MonkeyPatch) -> None:
        looked: list[float] = []
        look_at = HttpConnection._look_at

        def counting(self: HttpConnection, at_s: float) -> None:
            before = self._timer
            look_at(self, at_s)
            if self._timer is not before:
                looked.append(at_s)

        monkeypatch.setattr(HttpConnection, "_look_at", counting)
        # Nothing is due while it runs, however long that takes.
        patient: dict[str, Any] = {"request_head_timeout_s": 600, "request_body_timeout_s": 900}
        async with (
            serving(services_of(**patient), timeout_keep_alive=600) as address,
            httpx.AsyncClient(base_url=f"http://{address}", timeout=60) as client,
        ):
            for _ in range(30):
                await client.post("/graphql", json={"query": "{ hello }"})
        assert len(looked) == 1

    async def test_who_is_idle_behind_an_answer_is_let_go(self) -> None:
        async with serving(services_of(), timeout_keep_alive=1) as address:
            assert b"hello 1" in await heard(address, request(1))
