"""The guard around each call: when it lets nobody through, how long it waits, and what it notes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateways.exchange import Unsettled, exchange
from gateways.guard import BreakerOpen, Guard, NoPlace
from tests.gateways.guarding import FAILURES_MAX, PAUSE_S, Party, guarded, sample, settings_for

SECRET = "hunter2-of-the-platform"


@pytest.fixture
def party() -> Party:
    return Party()


@pytest.fixture
async def opened(party: Party) -> AsyncIterator[tuple[httpx.AsyncClient, Guard]]:
    async with guarded(party, settings_for()) as both:
        yield both


async def fail(client: httpx.AsyncClient, party: Party, *, times: int) -> None:
    party.status = 500
    for _ in range(times):
        assert (await client.get("/")).status_code == 500
    party.status = 200


class TestBreaker:
    async def test_after_failures_in_a_row_nothing_is_sent(
        self, party: Party, opened: tuple[httpx.AsyncClient, Guard]
    ) -> None:
        client, guard = opened
        await fail(client, party, times=FAILURES_MAX)
        assert guard.degraded_since is None
        with pytest.raises(BreakerOpen):
            await client.get("/")
        assert party.asked == FAILURES_MAX
        assert guard.degraded_since is not None

    async def test_a_success_between_forgives(self, party: Party, opened: tuple[httpx.AsyncClient, Guard]) -> None:
        client, _ = opened
        for _ in range(3):
            await fail(client, party, times=FAILURES_MAX - 1)
            assert (await client.get("/")).status_code == 200

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
    async def test_refusals_of_what_was_asked_are_no_failures(
        self, party: Party, opened: tuple[httpx.AsyncClient, Guard], status: int
    ) -> None:
        client, _ = opened
        party.status = status
        for _ in range(FAILURES_MAX + 1):
            assert (await client.get("/")).status_code == status

    @pytest.mark.parametrize("error", [httpx.ConnectError("no"), httpx.RemoteProtocolError("cut")])
    async def test_lost_connections_are(
        self, party: Party, opened: tuple[httpx.AsyncClient, Guard], error: Exception
    ) -> None:
        client, _ = opened
        party.error = error
        for _ in range(FAILURES_MAX):
            with pytest.raises(type(error)):
                await client.get("/")
        with pytest.raises(BreakerOpen):
            await client.get("/")

    async def test_after_the_pause_one_caller_tries_and_the_others_wait_for_what_it_finds(
        self, party: Party, opened: tuple[httpx.AsyncClient, Guard]
    ) -> None:
        client, guard = opened
        await fail(client, party, times=FAILURES_MAX)
        with pytest.raises(BreakerOpen):
            await client.get("/")
        await asyncio.sleep(PAUSE_S)
        party.hangs = True
        trying = asyncio.create_task(client.get("/"))
        await party.until_asked(FAILURES_MAX + 1)
        with pytest.raises(BreakerOpen):
            await client.get("/")
        party.hangs = False
        party.released.set()
        assert (await trying).status_code == 200
        assert (await client.get("/")).status_code == 200
        assert guard.degraded_since is None

    async def test_a_trial_that_fails_begins_another_pause(
        self, party: Party, opened: tuple[httpx.AsyncClient, Guard]
    ) -> None:
        client, _ = opened
        await fail(client, party, times=FAILURES_MAX)
        await asyncio.sleep(PAUSE_S)
        await fail(client, party, times=1)
        with pytest.raises(BreakerOpen):
            await client.get("/")
        assert party.asked == FAILURES_MAX + 1

    async def test_who_does_not_wait_says_nothing_of_the_third_party(
        self, party: Party, opened: tuple[httpx.AsyncClient, Guard]
    ) -> None:
        client, _ = opened
        party.hangs = True
        for _ in range(FAILURES_MAX + 1):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await client.get("/")
        party.hangs = False
        assert (await client.get("/")).status_code == 200


class TestDeadline:
    @pytest.mark.parametrize("where", ["hangs", "hangs_in_body"])
    async def test_a_party_that_hangs_is_given_up_and_has_failed(
        self, party: Party, opened: tuple[httpx.AsyncClient, Guard], where: str
    ) -> None:
        client, _ = opened
        setattr(party, where, True)
        for _ in range(FAILURES_MAX):
            with pytest.raises(httpx.ReadTimeout):
                await client.get("/")
        with pytest.raises(BreakerOpen):
            await client.get("/")

    async def test_whoever_has_less_time_gets_less(self, party: Party, opened: tuple[httpx.AsyncClient, Guard]) -> None:
        client, _ = opened
        party.hangs = True
        late = sample("youka_third_party_calls_total", party="tested", outcome="timeout")
        for _ in range(FAILURES_MAX):
            with pytest.raises(Unsettled):
                await exchange(client, lambda: client.build_request("GET", "/"), budget_s=0.05)
        assert sample("youka_third_party_calls_total", party="tested", outcome="timeout") == late + FAILURES_MAX

    async def test_what_the_guard_refuses_is_not_asked_again(
        self, party: Party, opened: tuple[httpx.AsyncClient, Guard]
    ) -> None:
        client, _ = opened
        await fail(client, party, times=FAILURES_MAX)
        refused = sample("youka_third_party_calls_total", party="tested", outcome="breaker_open")
        with pytest.raises(Unsettled, match="BreakerOpen"):
            await exchange(client, lambda: client.build_request("GET", "/"), budget_s=1)
        assert sample("youka_third_party_calls_total", party="tested", outcome="breaker_open") == refused + 1


async def test_calls_at_a_time_are_bounded_and_wait_for_a_little_only(party: Party) -> None:
    party.hangs = True
    async with guarded(party, settings_for(third_party_calls_max=2)) as (client, _):
        calls = [asyncio.create_task(client.get("/")) for _ in range(2)]
        await party.until_asked(2)
        assert sample("youka_third_party_calls_under_way", party="tested") == 2
        with pytest.raises(NoPlace):
            await client.get("/")
        assert party.asked == 2
        waiting = asyncio.create_task(client.get("/"))
        await asyncio.sleep(0.001)
        party.released.set()
        assert [each.status_code for each in await asyncio.gather(*calls, waiting)] == [200] * 3
        assert sample("youka_third_party_calls_under_way", party="tested") == 0
        # No place is lost, however the calls ended.
        assert [each.status_code for each in await asyncio.gather(client.get("/"), client.get("/"))] == [200] * 2


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


class TestNotes:
    def spans(self, exporter: InMemorySpanExporter) -> list[ReadableSpan]:
        found = list(exporter.get_finished_spans())
        exporter.clear()
        return found

    async def test_a_call_is_a_span_without_secrets(
        self, party: Party, opened: tuple[httpx.AsyncClient, Guard], exporter: InMemorySpanExporter
    ) -> None:
        client, _ = opened
        exporter.clear()
        await client.post(f"/{SECRET}", params={"key": SECRET}, json={"pin": SECRET}, headers={"Authorization": SECRET})
        party.error = httpx.ConnectError(f"http://third.party/?key={SECRET}")
        with pytest.raises(httpx.ConnectError):
            await client.get(f"/?key={SECRET}")
        answered, failed = self.spans(exporter)
        assert answered.name == "tested POST"
        assert dict(answered.attributes or {}) == {
            "peer.service": "tested",
            "http.request.method": "POST",
            "http.response.status_code": 200,
            "youka.outcome": "answered",
        }
        assert answered.status.is_ok or answered.status.is_unset
        assert (failed.attributes or {})["youka.outcome"] == "transport_error"
        assert not failed.status.is_ok
        assert SECRET not in answered.to_json() + failed.to_json()

    async def test_a_call_that_is_not_sent_is_one_too(
        self, party: Party, opened: tuple[httpx.AsyncClient, Guard], exporter: InMemorySpanExporter
    ) -> None:
        client, _ = opened
        await fail(client, party, times=FAILURES_MAX)
        exporter.clear()
        with pytest.raises(BreakerOpen):
            await client.get("/")
        (refused,) = self.spans(exporter)
        assert (refused.name, (refused.attributes or {})["youka.outcome"]) == ("tested refused", "breaker_open")

    async def test_metrics_tell_the_outcomes(self, party: Party, opened: tuple[httpx.AsyncClient, Guard]) -> None:
        client, _ = opened
        outcomes = ("answered", "server_error", "breaker_open")
        before = [sample("youka_third_party_calls_total", party="tested", outcome=each) for each in outcomes]
        took = sample("youka_third_party_call_seconds_count", party="tested")
        await client.get("/")
        assert sample("youka_third_party_breaker_open", party="tested") == 0
        await fail(client, party, times=FAILURES_MAX)
        with pytest.raises(BreakerOpen):
            await client.get("/")
        after = [sample("youka_third_party_calls_total", party="tested", outcome=each) for each in outcomes]
        assert [new - old for new, old in zip(after, before, strict=True)] == [1, FAILURES_MAX, 1]
        assert sample("youka_third_party_call_seconds_count", party="tested") == took + 1 + FAILURES_MAX
        assert sample("youka_third_party_breaker_open", party="tested") == 1
