"""`/graphql` over WebSocket: the protocol to the letter, identity, limits, and what happens at the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import websockets
from structlog.testing import capture_logs

from kernel.clock import utc_now
from subscriptions import conversation
from tests.subscriptions.serving import COUNTED, TRANSPORT_WS, connecting, services_of, serving, token_of
from tests.subscriptions.support import eventually

FOREVER = "subscription { ticks(to: 1000000, everyS: 60) }"


@pytest.fixture
async def address() -> AsyncIterator[str]:
    async with serving(services_of(subscriptions_per_connection_max=3, connection_init_timeout_s=0.3)) as served:
        yield served


class TestOperations:
    async def test_a_subscription_streams_and_completes(self, address: str) -> None:
        async with connecting(address) as client:
            assert client.connection.subprotocol == TRANSPORT_WS
            await client.initialise()
            await client.subscribe("subscription S($to: Int!) { ticks(to: $to) }", id="a", variables={"to": 3})
            assert [await client.data() for _ in range(3)] == [{"ticks": 1}, {"ticks": 2}, {"ticks": 3}]
            assert await client.receive() == {"id": "a", "type": "complete"}

    async def test_queries_and_mutations_run_too(self, address: str) -> None:
        COUNTED.clear()
        async with connecting(address) as client:
            await client.initialise()
            await client.subscribe("{ hello }")
            assert await client.data() == {"hello": "hello world"}
            assert await client.receive() == {"id": "1", "type": "complete"}
            await client.subscribe("mutation { count }")
            assert await client.data() == {"count": 1}

    async def test_the_named_operation_runs_with_its_extensions(self, address: str) -> None:
        async with connecting(address) as client:
            await client.initialise()
            await client.subscribe(
                "query A { hello } query B { extension }", operationName="B", extensions={"name": "x"}
            )
            assert await client.data() == {"extension": "x"}

    async def test_operations_run_beside_each_other(self, address: str) -> None:
        async with connecting(address) as client:
            await client.initialise()
            await client.subscribe(FOREVER, id="long")
            assert await client.data() == {"ticks": 1}
            await client.subscribe("{ hello }", id="short")
            assert (await client.receive())["id"] == "short"

    async def test_an_id_can_be_used_again_after_it_ended(self, address: str) -> None:
        async with connecting(address) as client:
            await client.initialise()
            for _ in range(20):
                await client.subscribe(FOREVER)
                assert await client.data() == {"ticks": 1}
                await client.send({"id": "1", "type": "complete"})
            await client.subscribe("{ hello }")
            assert await client.data() == {"hello": "hello world"}

    async def test_completing_what_does_not_run_is_ignored(self, address: str) -> None:
        async with connecting(address) as client:
            await client.initialise()
            await client.send({"id": "unknown", "type": "complete"})
            await client.subscribe("{ hello }")
            assert await client.data() == {"hello": "hello world"}

    async def test_a_ping_is_answered(self, address: str) -> None:
        async with connecting(address) as client:
            await client.send({"type": "ping", "payload": {"a": 1}})
            assert await client.receive() == {"type": "pong", "payload": {"a": 1}}
            await client.send({"type": "ping"})
            assert await client.receive() == {"type": "pong"}
            await client.send({"type": "pong", "payload": {}})
            await client.initialise()


class TestErrors:
    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ("{ hello", "GRAPHQL_PARSE_FAILED"),
            ("", "BAD_REQUEST"),
            ("subscription { unknown }", "GRAPHQL_VALIDATION_FAILED"),
            ("query A { hello } query B { hello }", "OPERATION_NAME_REQUIRED"),
            ("fragment F on Query { hello }", "OPERATION_NOT_FOUND"),
            ("subscription { locked }", "TOO_MUCH"),
        ],
    )
    async def test_an_operation_that_cannot_run_ends_alone(self, address: str, query: str, code: str) -> None:
        async with connecting(address) as client:
            await client.initialise()
            await client.subscribe(query)
            assert await client.error_code() == code
            await client.subscribe("{ hello }")
            assert await client.data() == {"hello": "hello world"}

    async def test_what_nobody_meant_is_hidden_behind_an_id(self, address: str) -> None:
        async with connecting(address) as client:
            await client.initialise({"locale": "en"})
            with capture_logs() as logs:
                await client.subscribe("subscription { ticks(to: 5, breaksAt: 2) }")
                assert await client.data() == {"ticks": 1}
                message = await client.receive()
        assert message["type"] == "error"
        (error,) = message["payload"]
        assert error["message"] == "Internal error"
        assert "hunter2" not in json.dumps(message)
        (line,) = [line for line in logs if line["event"] == "graphql.internal_error"]
        assert line["error_id"] == error["extensions"]["id"]

    async def test_a_refusal_is_in_the_language_of_the_connection(self, address: str) -> None:
        for payload, message in (({"locale": "en"}, "At most 5"), ({"locale": "zh-CN"}, "最多 5"), ({}, "最多 5")):
            async with connecting(address) as client:
                await client.initialise(payload)
                await client.subscribe("{ refused }")
                answer = (await client.receive())["payload"]
                assert answer["errors"][0]["message"] == message
                assert answer["errors"][0]["extensions"] == {"code": "TOO_MUCH", "maximum": 5}


class TestIdentity:
    @pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
    async def test_a_token_names_the_viewer(self, address: str, name: str) -> None:
        user_id = uuid4()
        async with connecting(address) as client:
            await client.initialise({name: f"Bearer {token_of(user_id)}"})
            await client.subscribe("{ whoami }")
            assert await client.data() == {"whoami": str(user_id)}

    @pytest.mark.parametrize("payload", [None, {}, {"Authorization": None}])
    async def test_without_a_token_nobody_is_there(self, address: str, payload: dict[str, Any] | None) -> None:
        async with connecting(address) as client:
            await client.initialise(payload)
            await client.subscribe("{ whoami }")
            assert await client.data() == {"whoami": None}

    @pytest.mark.parametrize("authorization", ["", "x", "Bearer", "Bearer x", "Bearer a b", 5, [], {}, True])
    async def test_a_bad_token_closes(self, address: str, authorization: object) -> None:
        async with connecting(address) as client:
            await client.send({"type": "connection_init", "payload": {"Authorization": authorization}})
            assert await client.closed() == (4403, "TOKEN_INVALID")

    async def test_an_expired_token_closes_and_says_so(self, address: str) -> None:
        token = token_of(uuid4(), now=utc_now() - timedelta(hours=2))
        async with connecting(address) as client:
            await client.send({"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}})
            assert await client.closed() == (4403, "TOKEN_EXPIRED")

    async def test_a_token_that_expires_meanwhile_closes(self, address: str) -> None:
        token = token_of(uuid4(), now=utc_now() - timedelta(seconds=3_599))
        async with connecting(address) as client:
            await client.initialise({"Authorization": f"Bearer {token}"})
            await client.subscribe(FOREVER)
            assert await client.data() == {"ticks": 1}
            assert await client.closed() == (4403, "TOKEN_EXPIRED")


class TestRules:
    async def test_another_subprotocol_is_refused(self, address: str) -> None:
        for protocols in (("graphql-ws",), ("soap",), ()):
            async with connecting(address, protocols=protocols) as client:
                # A browser would hide the code of a connection that chose none of what it offered.
                assert client.connection.subprotocol == (protocols[0] if protocols else None)
                assert await client.closed() == (4406, "Subprotocol not acceptable")

    async def test_ours_is_chosen_among_others(self, address: str) -> None:
        async with connecting(address, protocols=("graphql-ws", TRANSPORT_WS)) as client:
            assert client.connection.subprotocol == TRANSPORT_WS
            await client.initialise()

    async def test_a_page_of_another_origin_is_refused(self, address: str) -> None:
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with connecting(address, origin="https://evil.example"):
                pass
        assert refused.value.response.status_code == 403

    async def test_an_allowed_origin_is_let_in(self) -> None:
        services = services_of(allowed_origins=("https://servicewechat.com",))
        async with (
            serving(services) as served,
            connecting(served, origin="https://servicewechat.com") as client,
        ):
            await client.initialise()

    async def test_silence_closes(self, address: str) -> None:
        async with connecting(address) as client:
            assert await client.closed() == (4408, "Connection initialisation timeout")

    async def test_an_initialised_connection_may_be_silent(self, address: str) -> None:
        async with connecting(address) as client:
            await client.initialise()
            await asyncio.sleep(0.5)
            await client.subscribe("{ hello }")
            assert await client.data() == {"hello": "hello world"}

    async def test_initialising_twice_closes(self, address: str) -> None:
        async with connecting(address) as client:
            await client.initialise()
            await client.send({"type": "connection_init"})
            assert await client.closed() == (4429, "Too many initialisation requests")

    async def test_subscribing_before_the_acknowledgement_closes(self, address: str) -> None:
        COUNTED.clear()
        async with connecting(address) as client:
            await client.subscribe("mutation { count }")
            assert await client.closed() == (4401, "Unauthorized")
        assert COUNTED == []

    async def test_an_id_in_use_closes(self, address: str) -> None:
        async with connecting(address) as client:
            await client.initialise()
            await client.subscribe(FOREVER, id="x" * 128)
            await client.subscribe(FOREVER, id="x" * 128)
            code, reason = await client.closed()
        assert code == 4409
        assert reason.startswith("Subscriber for xxx")

    async def test_operations_over_the_limit_are_refused_one_by_one(self, address: str) -> None:
        async with connecting(address) as client:
            await client.initialise()
            for number in range(3):
                await client.subscribe(FOREVER, id=str(number))
                await client.data()
            await client.subscribe(FOREVER, id="over")
            message = await client.receive()
            assert (message["id"], message["type"]) == ("over", "error")
            assert message["payload"][0]["extensions"] == {"code": "SUBSCRIPTION_LIMIT_REACHED", "maximum": 3}
            await client.send({"id": "0", "type": "complete"})
            await client.subscribe("{ hello }", id="fits")
            assert await client.data() == {"hello": "hello world"}

    @pytest.mark.parametrize(
        "frame",
        [
            "null", "1", "[]", '"text"', "true", "", "{", "NaN", b"{}", b"\xff", "{}", '{"type": null}', '{"type": 1}',
            '{"type": []}', '{"type": "unknown"}', '{"type": "connection_ack"}', '{"type": "next", "id": "1"}',
            '{"type": "' + "x" * 5_000 + '"}', '{"type": "ping", "payload": 1}', '{"type": "pong", "payload": []}',
            '{"type": "subscribe"}', '{"type": "subscribe", "id": 1, "payload": {"query": "{ hello }"}}',
            '{"type": "subscribe", "id": "", "payload": {"query": "{ hello }"}}',
            '{"type": "subscribe", "id": "' + "x" * 129 + '", "payload": {"query": "{ hello }"}}',
            '{"type": "subscribe", "id": "1"}', '{"type": "subscribe", "id": "1", "payload": null}',
            '{"type": "subscribe", "id": "1", "payload": []}', '{"type": "subscribe", "id": "1", "payload": {}}',
            '{"type": "subscribe", "id": "1", "payload": {"query": 1}}',
            '{"type": "subscribe", "id": "1", "payload": {"query": "{ hello }", "variables": []}}',
            '{"type": "subscribe", "id": "1", "payload": {"query": "{ hello }", "operationName": 1}}',
            '{"type": "subscribe", "id": "1", "payload": {"query": "{ hello }", "extensions": "x"}}',
            '{"type": "complete"}', '{"type": "complete", "id": null}', '{"type": "connection_init", "payload": []}',
            "[" * 2_000 + "]" * 2_000,
        ],
    )  # fmt: skip
    async def test_a_frame_that_is_no_message_closes(self, address: str, frame: str | bytes) -> None:
        with capture_logs() as logs:
            async with connecting(address) as client:
                await client.initialise()
                await client.send(frame)
                code, reason = await client.closed()
        assert code == 4400
        assert 0 < len(reason.encode()) <= 123
        assert logs == []

    async def test_text_that_is_not_utf_8_closes(self, address: str, caplog: pytest.LogCaptureFixture) -> None:
        async with connecting(address) as client:
            await client.initialise()
            await client.connection.send(b'{"type": "ping", "payload": {"a": "\xff"}}', text=True)
            await client.connection.send(b"\xff", text=True)
            assert await client.closed() == (1007, "not UTF-8")
        assert [record for record in caplog.records if record.levelname == "ERROR"] == []

    async def test_text_may_come_in_pieces_that_cut_a_character(self, address: str) -> None:
        message = '{"id": "1", "type": "subscribe", "payload": {"query": "{ hello(name: \\"油\\") }"}}'.encode()
        cut = message.index("油".encode()) + 1
        async with connecting(address) as client:
            await client.initialise()
            await client.connection.send([message[:cut], message[cut:]], text=True)
            assert await client.data() == {"hello": "hello 油"}

    async def test_an_oversized_frame_closes(self) -> None:
        async with (
            serving(services_of(websocket_frame_size_max_bytes=1_024)) as served,
            connecting(served) as client,
        ):
            await client.initialise()
            await client.send("x" * 1_025)
            assert (await client.closed())[0] == 1009


class TestLeaving:
    async def test_an_error_of_our_own_closes_and_is_logged(
        self, address: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_arguments: object) -> None:
            raise RuntimeError("the password is hunter2")

        monkeypatch.setattr(conversation.Conversation, "_answer", fail)
        with capture_logs() as logs:
            async with connecting(address) as client:
                await client.send({"type": "ping"})
                assert await client.closed() == (4500, "Internal error")
        assert [line["event"] for line in logs] == ["graphql.internal_error"]

    async def test_nothing_runs_on_after_a_connection_is_gone(self, address: str) -> None:
        before = asyncio.all_tasks()
        for cut in (False, True):
            async with connecting(address) as client:
                await client.initialise()
                for number in range(3):
                    await client.subscribe(FOREVER, id=str(number))
                    await client.data()
                if cut:
                    client.connection.transport.abort()
        await eventually(lambda: not [task for task in asyncio.all_tasks() - before if "operation" in task.get_name()])

    async def test_a_server_that_stops_closes_its_connections(self) -> None:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(AsyncExitStack())
            served = await stack.enter_async_context(serving(services_of()))
            open_client = await client.enter_async_context(connecting(served))
            await open_client.initialise()
            await open_client.subscribe(FOREVER)
            await open_client.data()
            with capture_logs() as logs:
                async with asyncio.timeout(4):
                    # The server's context was entered last and is left first, while the connection is open.
                    await stack.pop_all().__aexit__(None, None, None)
            assert open_client.connection.close_code == 1012
        assert [line["event"] for line in logs] == ["drain.begun", "drain.ended"]
