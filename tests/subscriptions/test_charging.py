"""What is asked is charged before it is executed, on every transport; who has spent everything is told when to come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest

from domain.identity.viewer import Viewer
from kernel.clock import utc_now
from kernel.settings import Settings
from schema.extensions.trusted import hash_of
from schema.types.context import Context
from subscriptions.execution import Executed
from subscriptions.operations import Engine
from tests.factories import SCOPES, viewer_of
from tests.subscriptions.documents import TRUSTED_QUERY
from tests.subscriptions.serving import COUNTED, TOKENS, Served, bearer, connecting, services_of, serving
from tests.subscriptions.transports import TRANSPORTS, Ask, over_sse, over_websocket

# One comes back in a second, and a test takes less than a few of them.
SLOW: dict[str, Any] = {"rate_limit_factor": 1, "cost_anonymous_refill_per_s": 0.01, "cost_partner_refill_per_s": 0.01}
INTROSPECTION = "{ __schema { types { name } } }"


@asynccontextmanager
async def house(**values: Any) -> AsyncIterator[tuple[Served, httpx.AsyncClient]]:
    async with (
        serving(services_of(**{**SLOW, **values})) as address,
        httpx.AsyncClient(base_url=f"http://{address}") as http,
    ):
        yield address, http


async def post(http: httpx.AsyncClient, query: str, viewer: Viewer | None = None, **headers: str) -> httpx.Response:
    return await http.post("/graphql", json={"query": query}, headers={**(bearer(viewer) if viewer else {}), **headers})


async def spend_all(http: httpx.AsyncClient, viewer: Viewer | None = None) -> httpx.Response:
    """Ask until nothing is left, and return the first refusal."""
    for _ in range(1_000):
        answer = await post(http, "{ hello }", viewer)
        if answer.status_code != 200:
            return answer
    raise AssertionError("it never ends")


def error_of(answer: Any) -> dict[str, Any]:
    assert "data" not in answer
    (error,) = answer["errors"]
    return dict(error["extensions"])


class TestHttp:
    async def test_who_has_spent_everything_is_told_when_to_come_back(self) -> None:
        async with house(cost_anonymous_max=20) as (_, http):
            refused = await spend_all(http)
            assert refused.status_code == 429
            error = error_of(refused.json())
            assert error["code"] == "RATE_LIMITED"
            assert 90_000 < error["retryAfterMs"] <= 100_000
            assert (error["cost"], error["remaining"], error["limit"]) == (1, 0, 20)
            assert int(refused.headers["retry-after"]) in range(90, 101)
            assert "429" not in refused.text

    @pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
    async def test_what_waiting_does_not_help_is_told_apart(self, accept: str) -> None:
        async with house(cost_anonymous_max=100) as (_, http):
            refused = await post(http, INTROSPECTION, accept=accept)
            assert error_of(refused.json()) == {"code": "COST_TOO_HIGH", "cost": 101, "maximum": 100}
            assert refused.status_code == (200 if accept == "application/json" else 400)
            assert "retry-after" not in refused.headers
            # Nothing was taken for it.
            assert (await post(http, "{ hello }")).headers["ratelimit"].startswith('"cost";r=99;')

    async def test_headers_say_how_much_is_left(self) -> None:
        async with house(cost_anonymous_max=100) as (_, http):
            answer = await post(http, "{ hello }")
            assert answer.headers["ratelimit-policy"] == '"cost";q=100;w=10000'
            assert answer.headers["ratelimit"] == '"cost";r=99;t=100'

    async def test_answers_say_what_they_cost(self) -> None:
        async with house(cost_anonymous_max=200, cost_shown=True) as (_, http):
            before = utc_now()
            cost = (await post(http, INTROSPECTION)).json()["extensions"]["cost"]
            assert cost.pop("resetAt") > before.isoformat()
            assert cost == {
                "requested": 101, "fieldCost": 100, "typeCost": 1, "actual": 101, "remaining": 99, "limit": 200,
            }  # fmt: skip

    async def test_a_mutation_that_is_refused_is_not_executed(self) -> None:
        COUNTED.clear()
        async with house(cost_anonymous_max=3) as (_, http):
            answers = await asyncio.gather(*(post(http, "mutation { count }") for _ in range(20)))
        done = sum(answer.status_code == 200 for answer in answers)
        assert len(COUNTED) == done
        assert 3 <= done <= 5

    async def test_users_have_buckets_of_their_own_for_each_app(self) -> None:
        one, other = viewer_of(uuid4()), viewer_of(uuid4())
        async with house(cost_partner_max=5, cost_mini_program_max=5, cost_mini_program_refill_per_s=0.01) as (_, http):
            assert (await spend_all(http, one)).status_code == 429
            assert (await post(http, "{ hello }", other)).status_code == 200
            assert (await post(http, "{ hello }")).status_code == 200
            token = TOKENS.issue(user_id=one.user_id, client_id="mini-program", scopes=SCOPES, now=utc_now())
            elsewhere = await post(http, "{ hello }", authorization=f"Bearer {token}")
            assert elsewhere.status_code == 200
            assert elsewhere.headers["ratelimit-policy"].startswith('"cost";q=5;')
            assert (await post(http, "{ hello }", one)).status_code == 429

    async def test_what_cannot_be_executed_costs_as_well_and_then_nothing_is_read(self) -> None:
        async with house(cost_anonymous_max=30, cost_of_refusal=10) as (_, http):
            codes = []
            for number in range(6):
                codes.append(error_of((await post(http, f"{{ unknown{number} }}")).json())["code"])
            assert codes[:3] == ["GRAPHQL_VALIDATION_FAILED"] * 3
            assert codes[-1] == "RATE_LIMITED"
            assert (await post(http, "{ hello }")).status_code == 429

    async def test_variables_that_do_not_fit_cost_the_least(self) -> None:
        async with house(cost_anonymous_max=50) as (_, http):
            asked = {"query": "query ($n: Int!) { echo(times: $n) }", "variables": {"n": "x"}}
            answer = await http.post("/graphql", json=asked)
            assert error_of(answer.json())["code"] == "GRAPHQL_VALIDATION_FAILED"
            assert (await post(http, "{ hello }")).headers["ratelimit"].startswith('"cost";r=48;')

    async def test_a_trusted_document_pays(self) -> None:
        async with house(cost_anonymous_max=5, trusted_documents_only=True) as (_, http):
            answers = [await http.post("/graphql", json={"documentId": hash_of(TRUSTED_QUERY)}) for _ in range(9)]
            assert [each.status_code for each in answers][:5] == [200] * 5
            assert answers[-1].status_code == 429

    async def test_what_took_too_long_is_not_given_back(self) -> None:
        async with house(cost_anonymous_max=50, operation_timeout_s=0.2) as (_, http):
            assert (await post(http, "{ slow }")).json()["data"] is None
            assert (await post(http, "{ hello }")).headers["ratelimit"].startswith('"cost";r=4')

    async def test_a_batch_is_refused_before_it_is_charged(self) -> None:
        async with house(cost_anonymous_max=5) as (_, http):
            answer = await http.post("/graphql", json=[{"query": "{ hello }"}] * 50)
            assert error_of(answer.json())["code"] == "BATCHING_UNSUPPORTED"
            assert (await post(http, "{ hello }")).headers["ratelimit"].startswith('"cost";r=4;')


@TRANSPORTS
async def test_every_transport_is_charged(ask: Ask) -> None:
    async with house(cost_anonymous_max=3) as (address, _):
        answers = [await ask(address, {"query": "{ hello }"}) for _ in range(12)]
        assert answers[:3] == [{"data": {"hello": "hello world"}}] * 3
        error = error_of(answers[-1])
        assert error["code"] == "RATE_LIMITED"
        assert error["retryAfterMs"] > 0


@TRANSPORTS
async def test_every_transport_tells_what_it_cost(ask: Ask) -> None:
    async with house(cost_anonymous_max=50, cost_shown=True) as (address, _):
        answer = await ask(address, {"query": "{ hello }"})
        assert answer["extensions"]["cost"]["requested"] == answer["extensions"]["cost"]["actual"] == 1


class TestSubscriptions:
    @pytest.mark.parametrize("ask", [over_sse, over_websocket])
    async def test_one_that_is_too_dear_is_not_begun(self, ask: Ask) -> None:
        async with house(cost_anonymous_max=1) as (address, _):
            refused = await ask(address, {"query": "subscription { journal { number } }"})
            assert error_of(refused) == {"code": "COST_TOO_HIGH", "cost": 3, "maximum": 1}

    @pytest.mark.parametrize("ask", [over_sse, over_websocket])
    async def test_who_has_spent_everything_begins_none(self, ask: Ask) -> None:
        async with house(cost_anonymous_max=3) as (address, http):
            await spend_all(http)
            refused = await ask(address, {"query": "subscription { ticks(to: 1) }"})
            assert error_of(refused)["code"] == "RATE_LIMITED"
            assert address.cohorts == 0

    async def test_each_event_is_charged_and_the_stream_waits_for_more(self) -> None:
        viewer = viewer_of(uuid4())
        async with (
            house(cost_partner_max=6, cost_partner_refill_per_s=40) as (address, _),
            connecting(address) as client,
        ):
            await client.initialise(bearer(viewer))
            await client.subscribe("subscription { ticks(to: 30) }")
            assert [await client.data() for _ in range(30)] == [{"ticks": n} for n in range(1, 31)]
            assert (await client.receive())["type"] == "complete"

    async def test_without_a_user_the_connection_pays_and_requests_do_not(self) -> None:
        async with house(cost_anonymous_max=8) as (address, http):
            async with connecting(address) as one, connecting(address) as other:
                for client in (one, other):
                    await client.initialise()
                    await client.subscribe("subscription { ticks(to: 6) }")
                    assert [await client.data() for _ in range(6)] == [{"ticks": n} for n in range(1, 7)]
            # Beginning them was charged to the address.
            left = (await post(http, "{ hello }")).headers["ratelimit"]
            assert left.startswith(('"cost";r=5;', '"cost";r=6;'))


async def test_a_query_whose_client_has_gone_is_settled() -> None:
    COUNTED.clear()
    async with house(cost_anonymous_max=50) as (address, http):
        with pytest.raises(httpx.TimeoutException):
            await http.post("/graphql", json={"query": "{ slow }"}, timeout=0.3)
        charging = address.graphql._engine.charging
        draw = charging.budgets.draw(viewer=None, address="127.0.0.1", cost=0)
        assert charging.budgets.buckets.peek(draw).remaining >= 49


def test_in_development_everything_is_larger_unless_somebody_says_so() -> None:
    def capacity(**values: Any) -> int:
        return services_of(**values).budgets.draw(viewer=None, address="", cost=0).bucket.capacity

    usual = Settings().cost_anonymous_max
    assert capacity() == 1_000 * usual
    assert capacity(rate_limit_factor=1) == usual
    assert capacity(environment="production") == usual


async def test_an_answer_that_is_there_already_is_charged_by_what_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Executed(b'{"data":{"hello":"kept"}}')

    def found(_engine: Engine, _prepared: object, context: Context) -> Executed:
        assert context.meter is not None
        context.meter.fields = 7
        return kept

    monkeypatch.setattr(Engine, "answer_bytes", found)
    async with house(cost_anonymous_max=300, cost_shown=True) as (_, http):
        answer = (await post(http, INTROSPECTION)).json()
    assert answer["data"] == {"hello": "kept"}
    assert (answer["extensions"]["cost"]["actual"], answer["extensions"]["cost"]["remaining"]) == (7, 293)
    # What is kept is not written into.
    assert kept.body == b'{"data":{"hello":"kept"}}'
